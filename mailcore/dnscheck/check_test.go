package dnscheck_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore/dnscheck"
	"github.com/panelmail/panelmail/transport/transporttest"
)

// The servers of x.test are 192.0.2.11 and 192.0.2.12; provider.test is on 192.0.2.31.
const first, second, provider = "192.0.2.11", "192.0.2.12", "192.0.2.31"

// wanted is what x.test should have.
var wanted = []string{
	"x.test. 3600 IN MX 10 mail.x.test.",
	`x.test. 3600 IN TXT "v=spf1 ip4:192.0.2.25 ~all"`,
	"mail.x.test. 3600 IN A 192.0.2.25",
	"mail.x.test. 3600 IN AAAA 2001:db8::25",
	`s1._domainkey.x.test. 3600 IN TXT "v=DKIM1; k=rsa; p=AAAABBBB"`,
	`_dmarc.x.test. 3600 IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@panel.test"`,
	"autoconfig.x.test. 3600 IN CNAME config.panel.test.",
}

// world is name servers of which both of x.test have the records of published, in lines
// without "x.test. TTL IN" parts left out.
func world(published ...string) *transporttest.Names {
	names := transporttest.NewNames()
	names.Serve("192.0.2.1", ".", ". 60 IN SOA root. root. 1 60 60 60 60", ". 60 IN NS root.", "root. 60 IN A 192.0.2.1",
		"test. 60 IN NS ns.test.", "ns.test. 60 IN A 192.0.2.2")
	names.Serve("192.0.2.2", "test.", "test. 60 IN SOA ns.test. x. 1 60 60 60 60", "test. 60 IN NS ns.test.", "ns.test. 60 IN A 192.0.2.2",
		"x.test. 60 IN NS ns1.test.", "x.test. 60 IN NS ns2.test.", "ns1.test. 60 IN A "+first, "ns2.test. 60 IN A "+second,
		"provider.test. 60 IN NS ns3.test.", "ns3.test. 60 IN A "+provider)
	serve(names, first, published...)
	serve(names, second, published...)
	names.Serve(provider, "provider.test.", "provider.test. 60 IN SOA ns3.test. x. 1 60 60 60 60", "provider.test. 60 IN NS ns3.test.")
	return names
}

// serve has one server serve x.test with these records.
func serve(names *transporttest.Names, addr string, published ...string) {
	names.Serve(addr, "x.test.", append([]string{"x.test. 60 IN SOA ns1.test. x. 1 60 60 60 60",
		"x.test. 60 IN NS ns1.test.", "x.test. 60 IN NS ns2.test."}, published...)...)
}

// without is the records without those that contain a word, and with others.
func without(word string, others ...string) []string {
	return append(slices.DeleteFunc(slices.Clone(wanted), func(l string) bool { return strings.Contains(l, word) }), others...)
}

// told is a report in lines.
func told(r dnscheck.Report) (lines []string) {
	line := func(o dnscheck.Operation) string {
		text := string(o.Op)
		for _, r := range []dnstmpl.Record{o.Have, o.Want} {
			if r.Name != "" {
				text += fmt.Sprintf(" %s %s %s", r.Name, r.Type(), r.Value)
			}
		}
		if o.Alias != "" {
			text += " for " + o.Alias
		}
		if len(o.Servers) > 0 {
			text += " on " + strings.Join(o.Servers, " and ")
		}
		return text + ": " + o.Why
	}
	for _, o := range r.Operations {
		lines = append(lines, line(o))
	}
	for _, w := range r.Waiting {
		lines = append(lines, w.String())
		for _, o := range w.Operations {
			lines = append(lines, "  "+line(o))
		}
	}
	for _, t := range r.Troubles {
		lines = append(lines, t.String())
	}
	if len(r.Unknown) > 0 {
		lines = append(lines, "unknown: "+strings.Join(r.Unknown, " "))
	}
	return lines
}

func check(t *testing.T, names *transporttest.Names, want []string) dnscheck.Report {
	t.Helper()
	z, err := dnstmpl.ParseZone("wanted", "x.test", strings.Join(want, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := dnscheck.Check(t.Context(), names.Resolver(), z)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCheckTellsWhatToDoInEachStateOfAZone(t *testing.T) {
	const (
		notThere = "it is not published"
		noKey    = "the public key is not published: signatures with this selector cannot be verified"
	)
	for state, test := range map[string]struct {
		published []string
		provider  []string // beside its SOA and NS
		want      []string
	}{
		"all right": {published: wanted},
		"nothing published": {want: []string{
			"add x.test. MX 10 mail.x.test.: " + notThere,
			`add x.test. TXT "v=spf1 ip4:192.0.2.25 ~all": ` + notThere,
			"add mail.x.test. A 192.0.2.25: " + notThere,
			"add mail.x.test. AAAA 2001:db8::25: " + notThere,
			`add s1._domainkey.x.test. TXT "v=DKIM1; k=rsa; p=AAAABBBB": the public key is not published: signatures with this selector cannot be verified`,
			`add _dmarc.x.test. TXT "v=DMARC1; p=none; rua=mailto:dmarc@panel.test": ` + notThere,
			"add autoconfig.x.test. CNAME config.panel.test.: " + notThere,
		}},
		"half": {published: []string{"x.test. 60 IN MX 5 old.test.", "x.test. 60 IN MX 7 older.test.", "mail.x.test. 60 IN A 192.0.2.25",
			"mail.x.test. 60 IN AAAA 2001:db8::99", `x.test. 60 IN TXT "site-verification"`,
			`x.test. 60 IN TXT "v=spf1 include:news.test -all"`, `_dmarc.x.test. 60 IN TXT "v=DMARC1;p=reject"`,
			`s1._domainkey.x.test. 60 IN TXT "k=rsa; p=AAAA" "BBBB"`, "autoconfig.x.test. 60 IN CNAME old.test."},
			want: []string{
				"remove x.test. MX 7 older.test.: mail for x.test. would go to 7 older.test. too, which is not in force",
				"change x.test. MX 5 old.test. x.test. MX 10 mail.x.test.: what is published is not what is in force",
				`change x.test. TXT "v=spf1 include:news.test -all" x.test. TXT "v=spf1 include:news.test ip4:192.0.2.25 -all": ` +
					"the SPF record that is published does not let all mail of this server through; what it says beside stays",
				"change mail.x.test. AAAA 2001:db8::99 mail.x.test. AAAA 2001:db8::25: what is published is not what is in force",
				`change _dmarc.x.test. TXT "v=DMARC1;p=reject" _dmarc.x.test. TXT "v=DMARC1; p=reject; rua=mailto:dmarc@panel.test": ` +
					"the DMARC record that is published does not say all that is wanted; what it says beside stays",
				"change autoconfig.x.test. CNAME old.test. autoconfig.x.test. CNAME config.panel.test.: what is published is not what is in force",
			}},
		"wrong DKIM key": {published: without("_domainkey", `s1._domainkey.x.test. 60 IN TXT "v=DKIM1; k=rsa; p=CCCCDDDD"`), want: []string{
			`change s1._domainkey.x.test. TXT "v=DKIM1; k=rsa; p=CCCCDDDD" s1._domainkey.x.test. TXT "v=DKIM1; k=rsa; p=AAAABBBB": ` +
				"the key that is published is another one: signatures with this selector fail"}},
		"revoked DKIM key": {published: without("_domainkey", `s1._domainkey.x.test. 60 IN TXT "v=DKIM1; p="`), want: []string{
			`change s1._domainkey.x.test. TXT "v=DKIM1; p=" s1._domainkey.x.test. TXT "v=DKIM1; k=rsa; p=AAAABBBB": ` +
				"the record that is published revokes the key: its p= is empty"}},
		"DKIM key cut off": {published: without("_domainkey", `s1._domainkey.x.test. 60 IN TXT "v=DKIM1; p=AAAA"`), want: []string{
			`change s1._domainkey.x.test. TXT "v=DKIM1; p=AAAA" s1._domainkey.x.test. TXT "v=DKIM1; k=rsa; p=AAAABBBB": ` +
				"the key that is published is cut off after 4 of 8 characters"}},
		"two SPF records": {published: append(slices.Clone(wanted), `x.test. 3600 IN TXT "v=spf1 include:news.test -all"`), want: []string{
			`remove x.test. TXT "v=spf1 include:news.test -all": a second SPF record: with two, receivers take it as an error and neither counts (RFC 7208 section 4.5)`,
			`change x.test. TXT "v=spf1 ip4:192.0.2.25 ~all" x.test. TXT "v=spf1 ip4:192.0.2.25 include:news.test ~all": ` +
				"the SPF record that is published does not let all mail of this server through; what it says beside stays"}},
		"selector delegated by CNAME": {published: without("_domainkey", "s1._domainkey.x.test. 60 IN CNAME X.Provider.test."),
			provider: []string{`x.provider.test. 60 IN TXT "v=DKIM1; k=rsa; p=AAAABBBB"`}},
		"selector delegated to a wrong key": {published: without("_domainkey", "s1._domainkey.x.test. 60 IN CNAME x.provider.test."),
			provider: []string{`x.provider.test. 60 IN TXT "v=DKIM1; k=rsa; p=CCCCDDDD"`}, want: []string{
				`change x.provider.test. TXT "v=DKIM1; k=rsa; p=CCCCDDDD" x.provider.test. TXT "v=DKIM1; k=rsa; p=AAAABBBB" for s1._domainkey.x.test.: ` +
					"the key that is published is another one: signatures with this selector fail"}},
		"selector delegated to nothing": {published: without("_domainkey", "s1._domainkey.x.test. 60 IN CNAME x._domainkey.provider.test."), want: []string{
			`add x._domainkey.provider.test. TXT "v=DKIM1; k=rsa; p=AAAABBBB" for s1._domainkey.x.test.: ` +
				"the public key is not published: signatures with this selector cannot be verified"}},
		"selector as the alias of a host": {published: without("_domainkey", "s1._domainkey.x.test. 60 IN CNAME web.provider.test."),
			provider: []string{`web.provider.test. 60 IN TXT "site-verification"`}, want: []string{
				"remove s1._domainkey.x.test. CNAME web.provider.test.: beside an alias s1._domainkey.x.test. may not have other data",
				`add s1._domainkey.x.test. TXT "v=DKIM1; k=rsa; p=AAAABBBB": ` + noKey}},
		"selector with text that is no key": {published: without("_domainkey", `s1._domainkey.x.test. 60 IN TXT "site-verification"`), want: []string{
			`add s1._domainkey.x.test. TXT "v=DKIM1; k=rsa; p=AAAABBBB": ` + noKey}},
		"selector without a key in it": {published: without("_domainkey", `s1._domainkey.x.test. 60 IN TXT "v=DKIM1; k=rsa"`), want: []string{
			`change s1._domainkey.x.test. TXT "v=DKIM1; k=rsa" s1._domainkey.x.test. TXT "v=DKIM1; k=rsa; p=AAAABBBB": ` +
				"the record that is published has no key in it: it has no p="}},
		"selector delegated in a circle": {published: without("_domainkey", "s1._domainkey.x.test. 60 IN CNAME round.x.test.", "round.x.test. 60 IN CNAME s1._domainkey.x.test."), want: []string{
			"s1._domainkey.x.test.: no answer can be had: the aliases lead in a circle", "unknown: s1._domainkey.x.test."}},
		"mail host as an alias": {published: without("mail.x.test. 3600 IN A", "mail.x.test. 60 IN CNAME host.provider.test."),
			provider: []string{"host.provider.test. 60 IN A 192.0.2.25", "host.provider.test. 60 IN AAAA 2001:db8::25"}, want: []string{
				"remove mail.x.test. CNAME host.provider.test.: beside an alias mail.x.test. may not have other data",
				"add mail.x.test. A 192.0.2.25: " + notThere, "add mail.x.test. AAAA 2001:db8::25: " + notThere}},
		"records where an alias is wanted": {published: without("autoconfig", "autoconfig.x.test. 60 IN A 192.0.2.7"), want: []string{
			"remove autoconfig.x.test. A 192.0.2.7: autoconfig.x.test. is to be an alias, which may not have other data beside it",
			"add autoconfig.x.test. CNAME config.panel.test.: " + notThere}},
	} {
		synctest.Test(t, func(t *testing.T) {
			names := world(test.published...)
			names.Serve(provider, "provider.test.", append([]string{"provider.test. 60 IN SOA ns3.test. x. 1 60 60 60 60", "provider.test. 60 IN NS ns3.test."}, test.provider...)...)
			r := check(t, names, wanted)
			if d := cmp.Diff(test.want, told(r)); d != "" {
				t.Errorf("%s (-want +got):\n%s", state, d)
			}
			if r.Done() != (test.want == nil) {
				t.Errorf("%s: done: %v", state, r.Done())
			}
		})
	}
}

func TestServersThatDoNotServeTheirZoneAreTroublesOfTheirOwn(t *testing.T) {
	all := "x.test. mail.x.test. s1._domainkey.x.test. _dmarc.x.test. autoconfig.x.test."
	for state, test := range map[string]struct {
		first, second transporttest.NameFault
		want          []string
	}{
		"lame": {second: transporttest.Lame, want: []string{"ns2.test.[192.0.2.12], a name server of x.test.: it answers REFUSED and does not serve x.test; " +
			"have the zone set up there, or take the server out of the NS records and of the delegation"}},
		"SERVFAIL": {second: transporttest.ServFail, want: []string{"ns2.test.[192.0.2.12], a name server of x.test.: it answers SERVFAIL; " +
			"the zone there is broken or expired: have its operator look at it"}},
		"silent": {second: transporttest.Silent, want: []string{"ns2.test.[192.0.2.12], a name server of x.test.: it does not answer; " +
			"have the server repaired, or take it out of the NS records and of the delegation"}},
		"all SERVFAIL": {transporttest.ServFail, transporttest.ServFail, []string{
			"ns1.test.[192.0.2.11], a name server of x.test.: it answers SERVFAIL; the zone there is broken or expired: have its operator look at it",
			"ns2.test.[192.0.2.12], a name server of x.test.: it answers SERVFAIL; the zone there is broken or expired: have its operator look at it",
			"unknown: " + all}},
		"no route": {second: transporttest.NoRoute, want: []string{"ns2.test.[192.0.2.12], a name server of x.test.: this machine has no way to its address; it cannot be checked from here"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			names := world(wanted...)
			names.Fault(first, test.first)
			names.Fault(second, test.second)
			r := check(t, names, wanted)
			if d := cmp.Diff(test.want, told(r)); d != "" {
				t.Errorf("%s (-want +got):\n%s", state, d)
			}
			if r.Done() != (state == "no route") {
				t.Errorf("%s: done: %v", state, r.Done())
			}
			for _, trouble := range r.Troubles {
				if d := cmp.Diff(all, strings.Join(trouble.Names, " ")); d != "" {
					t.Errorf("%s: names (-want +got):\n%s", state, d)
				}
			}
		})
	}
}

func TestALameServerHidesNotWhatHasToBeDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := world(without("MX")...)
		names.Fault(second, transporttest.Lame)
		got := told(check(t, names, wanted))
		if len(got) != 2 || !strings.HasPrefix(got[0], "add x.test. MX") || !strings.HasPrefix(got[1], "ns2.test.") {
			t.Errorf("told %q", got)
		}
	})
}

func TestARecordThatIsRightOnSomeServersIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := world(wanted...)
		serve(names, second, without("_domainkey", `s1._domainkey.x.test. 60 IN TXT "v=DKIM1; p=CCCC"`)...)
		r := check(t, names, wanted)
		want := []string{
			"s1._domainkey.x.test. is right on ns1.test., not yet on ns2.test.: wait, or have a secondary server updated",
			`  change s1._domainkey.x.test. TXT "v=DKIM1; p=CCCC" s1._domainkey.x.test. TXT "v=DKIM1; k=rsa; p=AAAABBBB": ` +
				"the key that is published is another one: signatures with this selector fail",
		}
		if d := cmp.Diff(want, told(r)); d != "" || r.Done() {
			t.Errorf("done: %v (-want +got):\n%s", r.Done(), d)
		}
	})
}

func TestWithoutAuthoritativeServersTheRecursiveOnesAreCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := transporttest.NewNames()
		// As a resolver with zones of its own that names no servers.
		names.Serve("192.0.2.1", ".", append([]string{". 60 IN SOA root. root. 1 60 60 60 60"}, without("MX")...)...)
		r := check(t, names, wanted)
		if d := cmp.Diff([]string{"add x.test. MX 10 mail.x.test.: it is not published"}, told(r)); d != "" || !r.Recursive {
			t.Errorf("recursive: %v (-want +got):\n%s", r.Recursive, d)
		}
	})
}

func TestWhatServersAnswerInPartOnlyIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := world(wanted...)
		names.Fault(first, transporttest.NoAAAA)
		names.Fault(second, transporttest.NoAAAA)
		r := check(t, names, wanted)
		if len(r.Operations) > 0 || !slices.Equal(r.Unknown, []string{"mail.x.test."}) || len(r.Troubles) != 2 || len(r.Right) != 4 {
			t.Errorf("%+v", r)
		}
	})
}

func TestWhereNothingAnswersEverythingIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := world(wanted...)
		names.Fault("192.0.2.1", transporttest.Silent)
		r := check(t, names, wanted)
		if len(r.Operations) > 0 || len(r.Unknown) != 5 || r.Recursive || r.Done() {
			t.Errorf("%+v", r)
		}
	})
}

func TestAfterTheOperationsTheCustomersSPFIsInTheZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := check(t, world(`x.test. 60 IN TXT "v=spf1 include:news.test -all"`, `x.test. 60 IN TXT "other"`), wanted)
		z, err := dnstmpl.ParseZone("wanted", "x.test", strings.Join(wanted, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		after := r.After(z)
		want := dnstmpl.TXT{Text: "v=spf1 include:news.test ip4:192.0.2.25 -all"}
		if after.Records[1].Value != want || z.Records[1].Value == want || len(after.Records) != len(z.Records) {
			t.Errorf("after:\n%s", after)
		}
	})
}

func TestADMARCRecordIsCompletedAndNeverWeakened(t *testing.T) {
	const rua = "; rua=mailto:dmarc@panel.test"
	for _, row := range []struct{ published, wanted, want string }{
		{"v=DMARC1; p=none" + rua, "v=DMARC1; p=none" + rua, ""},
		{"v=DMARC1;p=reject; rua=mailto:me@x.test,mailto:DMARC@panel.test; pct=50", "v=DMARC1; p=quarantine" + rua, ""},
		{"v=DMARC1; p=none", "v=DMARC1; p=none", ""},
		{"v=DMARC1; p=none; adkim=s", "v=DMARC1; p=reject", "v=DMARC1; p=reject; adkim=s"},
		{"v=DMARC1; p=quarantine; sp=none", "v=DMARC1; p=none; sp=reject", "v=DMARC1; p=quarantine; sp=reject"},
		{"v=DMARC1; p=reject", "v=DMARC1; p=none; sp=none" + rua, "v=DMARC1; p=reject" + rua},
		{"v=DMARC1; p=rejct", "v=DMARC1; p=none", "v=DMARC1; p=none"},
		{"v=DMARC1", "v=DMARC1; p=none", "v=DMARC1; p=none"},
		{"v=DMARC1; rua=mailto:x@x.test", "v=DMARC1; p=none", "v=DMARC1; p=none; rua=mailto:x@x.test"},
		{"v=DMARC1; p=rejct; rua=mailto:x@x.test", "v=DMARC1; p=quarantine" + rua, "v=DMARC1; p=quarantine; rua=mailto:x@x.test,mailto:dmarc@panel.test"},
		{"v=DMARC1; p=none", "v=DMARC1; p=none; adkim=s; aspf=r; fo=1; pct=20", "v=DMARC1; p=none; adkim=s; fo=1"},
		{"v=DMARC1; p=reject; aspf=s; fo=0", "v=DMARC1; p=none; aspf=r; fo=1", ""},
		{"v=DMARC1; p=none; pct=50", "v=DMARC1; p=reject", "v=DMARC1; p=reject"},
		{"v=DMARC1; p=none", "v=DMARC1; p=quarantine; pct=20", "v=DMARC1; p=quarantine; pct=20"},
		{"v = DMARC1; p=none", "v=DMARC1; p=reject", "v=DMARC1; p=reject"},
		{"v=dmarc1; p=reject", "v=DMARC1; p=none", "v=DMARC1; p=reject"},
		{"v=DMARC1; p=quarantine; pct=0; p=reject", "v=DMARC1; p=none", "v=DMARC1; p=reject; pct=0"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := check(t, world(`_dmarc.x.test. 60 IN TXT "`+row.published+`"`), []string{`_dmarc.x.test. 60 IN TXT "` + row.wanted + `"`})
			got := ""
			for _, o := range r.Operations {
				got += o.Want.Value.(dnstmpl.TXT).Text
			}
			if got != row.want || r.Done() != (row.want == "") {
				t.Errorf("%s with %s wanted: %q, want %q", row.published, row.wanted, got, row.want)
			}
		})
	}
}

func TestOfSeveralDMARCRecordsTheStrictestStays(t *testing.T) {
	const strict, lax = `_dmarc.x.test. 60 IN TXT "v=DMARC1; p=reject; rua=mailto:a@x.test"`, `_dmarc.x.test. 60 IN TXT "v=DMARC1; p=none; pct=5; rua=mailto:b@x.test"`
	want := []string{`_dmarc.x.test. 60 IN TXT "v=DMARC1; p=none"`}
	const merged = `"v=DMARC1; p=reject; rua=mailto:a@x.test,mailto:b@x.test"`
	for _, published := range [][]string{{strict, lax}, {lax, strict}} {
		synctest.Test(t, func(t *testing.T) {
			left := len(published)
			for _, o := range check(t, world(published...), want).Operations {
				switch {
				case o.Op == dnstmpl.Remove:
					left--
				case o.Want.Value.String() != merged:
					t.Errorf("%s: %s", o.Op, o.Want)
				}
			}
			if left != 1 {
				t.Errorf("%d records are left", left)
			}
		})
	}
}

func TestPartsOfTheSPFRecordThatAreOursAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := check(t, world(`_spf1.x.test. 60 IN TXT "v=spf1 ip4:192.0.2.1 ip4:192.0.2.7 -all"`), []string{`_spf1.x.test. 60 IN TXT "v=spf1 ip4:192.0.2.1 ip4:192.0.2.9 -all"`})
		want := []string{`change _spf1.x.test. TXT "v=spf1 ip4:192.0.2.1 ip4:192.0.2.7 -all" _spf1.x.test. TXT "v=spf1 ip4:192.0.2.1 ip4:192.0.2.9 -all": ` +
			"the SPF record that is published has other addresses than those that mail leaves from"}
		if d := cmp.Diff(want, told(r)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}
