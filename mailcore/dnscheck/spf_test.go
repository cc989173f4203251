package dnscheck_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore/dnscheck"
	"github.com/panelmail/panelmail/transport/transporttest"
)

// txt is a TXT record in a line.
func txt(name, text string) string { return name + ` 60 IN TXT "` + text + `"` }

// withProvider has provider.test serve records.
func withProvider(names *transporttest.Names, lines ...string) *transporttest.Names {
	names.Serve(provider, "provider.test.", append([]string{"provider.test. 60 IN SOA ns3.test. x. 1 60 60 60 60", "provider.test. 60 IN NS ns3.test."}, lines...)...)
	return names
}

func TestAPublishedSPFRecordThatCountsForNothingIsNotDone(t *testing.T) {
	var many []string
	for _, host := range strings.Fields("a b c d e f g h i j k") {
		many = append(many, "a:"+host+".provider.test")
	}
	for _, row := range []struct{ published, fault string }{
		{"v=spf1 ip4:192.0.2.25 ~all", ""},
		{"v=spf1 ip4:192.0.2.25 include:_spf.provider.test ~all", ""},
		{"v=spf1 ip4:192.0.2.25 include:nothing.provider.test ~all", "has 0 SPF records where there must be one"},
		{"v=spf1 ip4:192.0.2.25 include:broken.provider.test ~all", "the SPF record behind include:broken.provider.test counts for nothing"},
		{"v=spf1 ip4:192.0.2.25 " + strings.Join(many, " ") + " ~all", "takes 11 look-ups"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := check(t, withProvider(world(txt("x.test.", row.published)), txt("_spf.provider.test.", "v=spf1 ip4:192.0.2.31 -all"), txt("broken.provider.test.", "v=spf1 ipv4:192.0.2.31 -all"),
				"*.provider.test. 60 IN A 192.0.2.77"), []string{txt("x.test.", "v=spf1 ip4:192.0.2.25 ~all")})
			if len(r.Operations) > 0 || r.Done() != (row.fault == "") || row.fault != "" && !strings.Contains(r.Faults.Error(), row.fault) {
				t.Errorf("%s: done: %v, %v, faults %v", row.published, r.Done(), told(r), r.Faults)
			}
		})
	}
}

func TestWhatIsPublishedAtNamesWithNothingToDoIsInTheZoneAfterwards(t *testing.T) {
	const spf, dmarc = "v=spf1 include:_spf.provider.test ip4:192.0.2.25 -all", "v=DMARC1; p=reject; sp=none"
	want := []string{txt("x.test.", "v=spf1 ip4:192.0.2.25 ~all"), txt("_dmarc.x.test.", "v=DMARC1; p=none")}
	synctest.Test(t, func(t *testing.T) {
		names := world(txt("x.test.", spf), txt("x.test.", "other"), txt("_dmarc.x.test.", dmarc))
		serve(names, second, txt("x.test.", spf)) // behind with _dmarc
		z, err := dnstmpl.ParseZone("wanted", "x.test", strings.Join(want, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		after := check(t, names, want).After(z)
		if d := cmp.Diff(z.Records[0].Value, dnstmpl.Value(dnstmpl.TXT{Text: "v=spf1 ip4:192.0.2.25 ~all"})); d != "" {
			t.Errorf("what was wanted is changed (-got +want):\n%s", d)
		}
		got := []dnstmpl.Value{after.Records[0].Value, after.Records[1].Value}
		if d := cmp.Diff([]dnstmpl.Value{dnstmpl.TXT{Text: spf}, dnstmpl.TXT{Text: dmarc}}, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func TestASPFRecordThatNobodyCanReadIsRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := check(t, world(txt("x.test.", "v=spf1 ipv4:192.0.2.99 ip4:192.0.2.25 -all")), []string{txt("x.test.", "v=spf1 ip4:192.0.2.25 ~all")})
		want := []string{`change x.test. TXT "v=spf1 ipv4:192.0.2.99 ip4:192.0.2.25 -all" x.test. TXT "v=spf1 ip4:192.0.2.25 -all": the SPF record of x.test. counts for nothing: ` +
			`"ipv4:192.0.2.99": there is no mechanism "ipv4" (RFC 7208 section 4.6); what cannot be read is left out, and may be wanted in another form`}
		if d := cmp.Diff(want, told(r)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func TestASPFRecordIsJudgedByWhatItLetsThrough(t *testing.T) {
	wanted := []string{"x.test. 60 IN MX 10 mail.x.test.", "mail.x.test. 60 IN A 192.0.2.25", txt("x.test.", "v=spf1 ip4:192.0.2.24/31 a:relay.provider.test ~all")}
	others := []string{
		txt("_spf.provider.test.", "v=spf1 ip4:192.0.2.25 include:_more.provider.test -all"), txt("_more.provider.test.", "v=spf1 ip4:192.0.2.24 a:relay.provider.test -all"),
		txt("_all.provider.test.", "v=spf1 +all"), "relay.provider.test. 60 IN A 192.0.2.77", "relay.provider.test. 60 IN AAAA 2001:db8::77",
	}
	for _, row := range []struct{ published, want string }{
		{"v=spf1 include:_spf.provider.test -all", ""},
		{"v=spf1 redirect=_spf.provider.test", ""},
		{"v=spf1 mx/24 a:relay.provider.test -all", ""},
		{"v=spf1 mx ip4:192.0.2.24 ip4:192.0.2.77 ip6:2001:db8::/32 ~all", ""},
		{"v=spf1 -a:other.provider.test ip4:192.0.2.0/24 ip6:2001:db8::77 ~all", ""},
		{"v=spf1 ip4:192.0.2.24/31 ip4:192.0.2.77 ~all", "v=spf1 ip4:192.0.2.24/31 ip4:192.0.2.77 a:relay.provider.test ~all"},
		{"v=spf1 -mx include:_spf.provider.test ~all", "v=spf1 ip4:192.0.2.24/31 -mx include:_spf.provider.test ~all"},
		{"v=spf1 -a:mail.x.test ip4:192.0.2.24/31 a:relay.provider.test ~all", "v=spf1 ip4:192.0.2.24/31 -a:mail.x.test a:relay.provider.test ~all"},
		{"v=spf1 mx a:relay.provider.test ~all", "v=spf1 mx a:relay.provider.test ip4:192.0.2.24/31 ~all"},
		{"v=spf1 include:_spf.provider.test ?all", "v=spf1 include:_spf.provider.test ~all"},
		{"v=spf1 +all", "v=spf1 ip4:192.0.2.24/31 a:relay.provider.test ~all"},
		{"v=spf1 include:_all.provider.test -all", ""},
		{"v=spf1 exists:%{i}.x.test a:relay.provider.test -all", "v=spf1 exists:%{i}.x.test a:relay.provider.test ip4:192.0.2.24/31 -all"},
	} {
		synctest.Test(t, func(t *testing.T) {
			publish := func(text string) dnscheck.Report {
				return check(t, withProvider(world(wanted[0], wanted[1], txt("x.test.", text)), others...), wanted)
			}
			got := ""
			for _, o := range publish(row.published).Operations {
				got += o.Want.Value.(dnstmpl.TXT).Text
			}
			if got != row.want {
				t.Errorf("%s\n got %q\nwant %q", row.published, got, row.want)
			}
			if again := publish(got); got != "" && len(again.Operations) > 0 {
				t.Errorf("%s once more: %q", got, told(again))
			}
		})
	}
}
