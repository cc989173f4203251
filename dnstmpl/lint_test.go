package dnstmpl_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
)

// An internet is a Resolver of literals. A name in broken gets no answer.
type internet struct {
	strict bool // what is not there is an error that says so
	text   map[string][]string
	mx     map[string][]string
	addrs  map[string][]netip.Addr
	names  map[string][]string // by the address
	broken map[string]bool
}

func look[T any](n *internet, all map[string][]T, name string) ([]T, error) {
	if n.broken[name] {
		return nil, errors.New("servfail")
	}
	if n.strict && len(all[name]) == 0 {
		return nil, fmt.Errorf("of a resolver: %w", &net.DNSError{Err: "no such host", Name: name, IsNotFound: true})
	}
	return all[name], nil
}

func (n *internet) Text(_ context.Context, name string) ([]string, error) {
	return look(n, n.text, name)
}
func (n *internet) MX(_ context.Context, name string) ([]string, error) { return look(n, n.mx, name) }
func (n *internet) Addrs(_ context.Context, name string) ([]netip.Addr, error) {
	return look(n, n.addrs, name)
}
func (n *internet) Names(_ context.Context, ip netip.Addr) ([]string, error) {
	return look(n, n.names, ip.String())
}

// zoneText is a zone for shop.example of lines without TTL and class.
func zoneText(t *testing.T, lines ...string) dnstmpl.Zone {
	t.Helper()
	var b strings.Builder
	for _, line := range lines {
		name, rest, _ := strings.Cut(line, " ")
		fmt.Fprintf(&b, "%s 60 IN %s\n", name, rest)
	}
	zone, err := dnstmpl.ParseZone("zone", "shop.example", b.String())
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func spfRecord(text string) string { return `shop.example. TXT "v=spf1 ` + text + `"` }

func TestLintSaysWhatMakesRecordsWorthless(t *testing.T) {
	long := strings.Repeat(" ip4:192.0.2.1", 31)
	for _, row := range []struct {
		name  string
		lines []string
		data  dnstmpl.Data
		world internet
		want  []string // "rule: part of the text"
	}{
		{name: "nothing is wrong", lines: []string{spfRecord("ip4:192.0.2.1 a:x.example ip6:2001:db8::/32 -all"), `_dmarc.shop.example. TXT "v=DMARC1; p=none; rua=mailto:d@shop.example"`},
			world: internet{addrs: map[string][]netip.Addr{"x.example": addrs("192.0.2.9")}}},
		{name: "everybody passes", lines: []string{spfRecord("+all")}, want: []string{"spf-all: lets everybody pass"}},
		{name: "all without a sign", lines: []string{spfRecord("a all")}, want: []string{"spf-all: lets everybody pass"},
			world: internet{addrs: map[string][]netip.Addr{"shop.example": addrs("192.0.2.9")}}},
		{name: "neutral", lines: []string{spfRecord("ip4:192.0.2.1 ?all")}, want: []string{"spf-all: is neutral about everybody else"}},
		{name: "no end", lines: []string{spfRecord("ip4:192.0.2.1")}, want: []string{"spf-all: says nothing of everybody else"}},
		{name: "a redirect is an end", lines: []string{spfRecord("ip4:192.0.2.1 redirect=y.example")},
			world: internet{text: map[string][]string{"y.example": {"v=spf1 -all"}}}},
		{name: "a modifier called all is no end", lines: []string{spfRecord("ip4:192.0.2.1 all=x")}, want: []string{"spf-all: says nothing of everybody else"}},
		{name: "a redirect beside a modifier called all", lines: []string{spfRecord("all=x redirect=y.example")}, want: []string{"spf: redirect:y.example has 0 SPF records"}},
		{name: "a wide network", lines: []string{spfRecord("ip4:0.0.0.0/1 ip6:2000::/3 -all")}, want: []string{"spf-all: 0.0.0.0/1 lets", "spf-all: 2000::/3 lets"}},
		{name: "terms behind all", lines: []string{spfRecord("-all ip4:192.0.2.1 exp=e.example")}, want: []string{"spf: nobody looks at ip4"}},
		{name: "not in the form", lines: []string{spfRecord("ipv4:192.0.2.1 -all")}, want: []string{`spf: "ipv4:192.0.2.1": there is no mechanism "ipv4"`}},
		{name: "eleven look-ups, of which some are in what is included", lines: []string{spfRecord("include:y.example a mx exists:%{i}.z.example ptr -all"), "shop.example. MX 10 mx.far.example."},
			world: internet{
				text: map[string][]string{"y.example": {"some text", "v=spf1 a:1.example a:2.example a:3.example include:z.example -all"},
					"z.example": {"v=spf1 a:1.example a:2.example ~all a:not.example"}},
				addrs: map[string][]netip.Addr{"1.example": addrs("192.0.2.1"), "2.example": addrs("192.0.2.1"), "3.example": addrs("192.0.2.1"),
					"shop.example": addrs("192.0.2.1"), "mx.far.example": addrs("192.0.2.1")}},
			want: []string{"lookups: takes 11 look-ups, and with more than 10 it counts for nothing (RFC 7208 section 4.6.4): include:y.example 7, a:shop.example 1, mx:shop.example 1, exists:%{i}.z.example 1, ptr:shop.example 1"}},
		{name: "ten look-ups", lines: []string{spfRecord("include:y.example a -all")},
			world: internet{text: map[string][]string{"y.example": {"v=spf1 a a:y.example a:y.example a:y.example a:y.example a:y.example a:y.example a:y.example ~all"}},
				addrs: map[string][]netip.Addr{"y.example": addrs("192.0.2.1"), "shop.example": addrs("192.0.2.1")}}},
		{name: "records that include one another", lines: []string{spfRecord("include:y.example -all")},
			world: internet{text: map[string][]string{"y.example": {"v=spf1 include:z.example -all"}, "z.example": {"v=spf1 include:y.example -all"}}},
			want:  []string{"lookups: takes 100 look-ups"}},
		{name: "an include without a record", lines: []string{spfRecord("include:y.example -all")}, world: internet{text: map[string][]string{"y.example": {"x"}}},
			want: []string{"spf: include:y.example has 0 SPF records"}},
		{name: "an include of a broken record", lines: []string{spfRecord("include:y.example -all")}, world: internet{text: map[string][]string{"y.example": {"v=spf1 ip4:1.2.3"}}},
			want: []string{"spf: the SPF record behind include:y.example counts for nothing"}},
		{name: "no answer about an include", lines: []string{spfRecord("include:y.example -all")}, world: internet{broken: map[string]bool{"y.example": true}},
			want: []string{"no-answer: there was no answer about y.example: servfail"}},
		{name: "three void look-ups", lines: []string{spfRecord("a:1.example mx:2.example exists:3.example -all")}, want: []string{"void: asks for 3 names that have no records"}},
		{name: "two void look-ups", lines: []string{spfRecord("a:1.example mx:2.example -all")}},
		{name: "too many exchangers", lines: []string{spfRecord("mx:y.example -all")}, world: internet{mx: map[string][]string{"y.example": strings.Split("abcdefghijk", "")}},
			want: []string{"lookups: mx:y.example has 11 mail exchangers"}},
		{name: "a long answer", lines: []string{`shop.example. TXT "v=spf1` + long[:220] + `" "` + long[220:] + ` -all"`}, want: []string{"answer: are 457 octets"}},
		{name: "a long answer, of several records", lines: []string{spfRecord("-all"), `shop.example. TXT "` + strings.Repeat("x", 250) + `" "` + strings.Repeat("x", 177) + `"`},
			want: []string{"answer: are 450 octets"}},
		{name: "an answer that just fits", lines: []string{spfRecord("-all"), `shop.example. TXT "` + strings.Repeat("x", 250) + `" "` + strings.Repeat("x", 176) + `"`}},
		{name: "what is included ends as it likes", lines: []string{spfRecord("include:_spf1.shop.example -all"), `_spf1.shop.example. TXT "v=spf1 ip4:192.0.2.1 ?all"`}},
		{name: "an exchanger without an address", lines: []string{spfRecord("-all"), "shop.example. MX 10 mx.far.example.", "shop.example. MX 20 mx.shop.example.", "mx.shop.example. A 192.0.2.1"},
			want: []string{"exchanger: the mail exchanger mx.far.example. has no address"}},

		{name: "a DMARC record that is none", lines: []string{`_dmarc.shop.example. TXT "v=DMARC1; p=nothing; sp=x; aspf=q; pct=101; rua=d@shop.example"`},
			want: []string{"dmarc: has no policy that anybody knows", "dmarc: sp=x", "dmarc: aspf=q", "dmarc: pct=101", "dmarc: rua=d@shop.example is no address"}},
		{name: "a text that is no DMARC record", lines: []string{`_dmarc.shop.example. TXT "p=none"`}, want: []string{"dmarc: does not begin with v=DMARC1"}},
		{name: "a tag twice", lines: []string{`_dmarc.shop.example. TXT "v=DMARC1; p=none; p=reject"`}, want: []string{"dmarc: is no list of tags, or has one twice"}},
		{name: "reports to another domain", lines: []string{`_dmarc.shop.example. TXT "v=DMARC1; p=none; rua=mailto:a@far.example!10m, mailto:b@near.example,mailto:c@sub.shop.example"`},
			world: internet{text: map[string][]string{"shop.example._report._dmarc.near.example": {"v=DMARC1;"}}},
			want:  []string{"dmarc: no reports are sent to mailto:a@far.example!10m"}},
		{name: "a strict policy without a key", lines: []string{`_dmarc.shop.example. TXT "v=DMARC1; p=reject"`},
			data: dnstmpl.Data{DKIM: []dnstmpl.DKIM{{Name: "a._domainkey.shop.example", Pending: true}}}, want: []string{"alignment: no DKIM key of shop.example. signs yet"}},
		{name: "a strict policy with a key", lines: []string{`_dmarc.shop.example. TXT "v=DMARC1; p=reject"`},
			data: dnstmpl.Data{DKIM: []dnstmpl.DKIM{{Name: "a._domainkey.shop.example"}}}},
		{name: "a provider with reverse-paths of its own", lines: []string{`_dmarc.shop.example. TXT "v=DMARC1; p=none"`},
			data: dnstmpl.Data{Relays: []dnstmpl.Relay{{Host: "email-smtp.eu-west-1.amazonaws.com"}, {Host: "out.corp.example", Include: []string{"x.example"}, OwnReversePath: true}}},
			want: []string{"alignment: mail through email-smtp.eu-west-1.amazonaws.com", "alignment: mail through out.corp.example"}},

		{name: "smart hosts of which only the name is known", lines: []string{spfRecord("include:sendgrid.net a:out.example a:mail.panel.example ip4:10.0.0.1 -all")},
			world: internet{text: map[string][]string{"sendgrid.net": {"v=spf1 ip4:198.51.100.1 -all"}},
				addrs: map[string][]netip.Addr{"out.example": addrs("192.0.2.7"), "mail.panel.example": addrs("192.0.2.8")}},
			data: dnstmpl.Data{Hostname: "mail.panel.example", Relays: []dnstmpl.Relay{{Host: "smtp.sendgrid.net"}, {Host: "out.example"}, {Host: "10.0.0.1"}, {Host: "mail.panel.example"}}},
			want: []string{"relay: the smart host out.example is let through by", "relay: the smart host 10.0.0.1 has an address that nobody else sees"}},
		{name: "name, address and PTR do not agree", lines: []string{"out.shop.example. A 192.0.2.1", "out.shop.example. A 192.0.2.3", "out.shop.example. A 192.0.2.4"},
			data: dnstmpl.Data{HELO: []dnstmpl.Identity{{Name: "out.shop.example", Addrs: addrs("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "10.0.0.1")}, {Name: "localhost"}}},
			world: internet{
				names: map[string][]string{"192.0.2.1": {"OUT.shop.example."}, "192.0.2.2": {"other.example."}, "192.0.2.3": {"other.example", "again.example"}},
				addrs: map[string][]netip.Addr{"again.example": addrs("192.0.2.3")}},
			want: []string{
				"helo: the HELO name out.shop.example does not lead to 192.0.2.2",
				"helo: 192.0.2.2 is called other.example, which does not lead back: ",
				"helo: 192.0.2.3 is called again.example, and HELO says out.shop.example",
				"helo: there is no name for 192.0.2.4",
				"helo: mail leaves from 10.0.0.1",
				"helo: the HELO name localhost is no full name",
			}},
		{name: "a pool of which all addresses have the same faults", lines: []string{"out.shop.example. A 192.0.2.99"},
			data: dnstmpl.Data{HELO: []dnstmpl.Identity{{Name: "out.shop.example", Addrs: addrs("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "10.0.0.1", "10.0.0.2")}}},
			want: []string{
				"helo: the HELO name out.shop.example does not lead to 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4 and 2 more, where it is said",
				"helo: there is no name for 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4 and 2 more: large receivers refuse mail from there",
				"helo: mail leaves from 10.0.0.1 and 10.0.0.2, which nobody else sees",
			}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.data.Zone = "shop.example"
			problems := zoneText(t, row.lines...).Lint(t.Context(), row.data, &row.world)
			for i, p := range problems {
				got := fmt.Sprintf("%s: %s", p.Rule, p.Text)
				rule, text := "", "nothing"
				if i < len(row.want) {
					rule, text, _ = strings.Cut(row.want[i], ": ")
				}
				if string(p.Rule) != rule || !strings.Contains(p.Text, text) {
					t.Errorf("%q, want %s: %s", got, rule, text)
				}
			}
			if len(problems) < len(row.want) {
				t.Errorf("%d problems, want %q", len(problems), row.want)
			}
		})
	}
}

func TestLintWithoutTheDNSReportsWhatTheZoneShows(t *testing.T) {
	zone := zoneText(t, spfRecord("include:y.example mx a:z.example -all"), "shop.example. MX 10 mx.far.example.")
	d := dnstmpl.Data{Zone: "shop.example", HELO: []dnstmpl.Identity{{Name: "out.example", Addrs: addrs("192.0.2.1")}}}
	if got := zone.Lint(t.Context(), d, nil); got != nil {
		t.Errorf("%v", got)
	}
	zone = zoneText(t, spfRecord("include:1 a:2 a:3 a:4 a:5 a:6 a:7 a:8 a:9 a:10 a:11 -all"))
	got := zone.Lint(t.Context(), d, nil)
	if len(got) != 1 || !strings.Contains(got[0].Text, "takes at least 11 look-ups") {
		t.Errorf("%v", got)
	}
	if got := zone.Lint(t.Context(), dnstmpl.Data{}, nil); len(got) != 1 || got[0].Rule != dnstmpl.RuleData {
		t.Errorf("data without a zone: %v", got)
	}
}

func TestToLintTheErrorThatThereIsNoSuchNameIsAnEmptyAnswer(t *testing.T) {
	zone := zoneText(t, spfRecord("include:y.example a:1.example mx:2.example exists:3.example -all"), "shop.example. MX 10 mx.far.example.",
		`_dmarc.shop.example. TXT "v=DMARC1; p=none; rua=mailto:d@far.example"`)
	d := dnstmpl.Data{Zone: "shop.example", HELO: []dnstmpl.Identity{{Name: "out.example", Addrs: addrs("192.0.2.1")}}}
	want := zone.Lint(t.Context(), d, &internet{})
	if diff := cmp.Diff(want, zone.Lint(t.Context(), d, &internet{strict: true})); diff != "" || len(want) == 0 {
		t.Error(want, diff)
	}
}

func TestLintFindsNothingInWhatTheDefaultTemplateMakes(t *testing.T) {
	d := dnstmpl.Data{
		Zone: "shop.example", Hostname: "mail.shop.example", IPs: addrs("192.0.2.1"), Egress: addrs("192.0.2.1", "2001:db8::1"),
		HELO:   []dnstmpl.Identity{{Name: "mail.shop.example", Addrs: addrs("192.0.2.1", "2001:db8::1")}},
		Relays: []dnstmpl.Relay{{Host: "smtp.mailgun.org"}},
		DKIM:   []dnstmpl.DKIM{{Name: "a._domainkey.shop.example", Text: "v=DKIM1; p=AAAA"}}, DMARC: "v=DMARC1; p=reject",
	}
	zone, err := dnstmpl.Default().Render(d)
	if err != nil {
		t.Fatal(err)
	}
	world := &internet{
		text:  map[string][]string{"mailgun.org": {"v=spf1 ip4:198.51.100.1 -all"}},
		names: map[string][]string{"192.0.2.1": {"mail.shop.example"}, "2001:db8::1": {"mail.shop.example"}},
	}
	if diff := cmp.Diff(dnstmpl.Problems(nil), zone.Lint(t.Context(), d, world)); diff != "" {
		t.Error(diff)
	}
}
