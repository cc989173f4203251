package dnscheck_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// The names of x.test that a wildcard answers for where there is only mail's apex.
var underWildcard = []string{"s1._domainkey", "s2._domainkey", "_dmarc", "autoconfig", "mail"}

// wildcardTo is x.test with a wildcard that leads to a host, as its servers answer.
func wildcardTo(target string, others ...string) []string {
	lines := append([]string{"*.x.test. 60 IN CNAME " + target, "x.test. 3600 IN MX 10 mail.x.test.",
		`x.test. 3600 IN TXT "v=spf1 ip4:192.0.2.25 ~all"`}, others...)
	for _, name := range underWildcard {
		has := func(l string) bool { return strings.HasPrefix(l, name+".x.test.") }
		if !slices.ContainsFunc(others, has) {
			lines = append(lines, name+".x.test. 60 IN CNAME "+target)
		}
	}
	return lines
}

// TestWhatAWildcardLeadsToIsNoneOfMailsAndIsLeftAlone: what has to be done is to be done
// at the names themselves, and when it is done nothing else is found.
func TestWhatAWildcardLeadsToIsNoneOfMailsAndIsLeftAlone(t *testing.T) {
	want := append(slices.Clone(wanted), `s2._domainkey.x.test. 3600 IN TXT "v=DKIM1; k=ed25519; p=CCCC"`)
	operations := []string{"add mail.x.test. A", "add mail.x.test. AAAA", "add s1._domainkey.x.test. TXT", "add _dmarc.x.test. TXT",
		"add autoconfig.x.test. CNAME", "add s2._domainkey.x.test. TXT"}
	for _, row := range []struct {
		target   string
		apex     []string
		provider []string
	}{
		{target: "x.test.", apex: []string{`x.test. 60 IN TXT "google-site-verification=abc"`}},
		{target: "x.test.", apex: []string{`x.test. 60 IN TXT "v=DKIM1; k=rsa; p=AAAABBBB"`, `x.test. 60 IN TXT "v=DKIM1; k=ed25519; p=DDDD"`, `x.test. 60 IN TXT "v=DMARC1; p=none"`}},
		{target: "web.provider.test."},
		{target: "web.provider.test.", provider: []string{`web.provider.test. 60 IN TXT "v=spf1 -all"`, "web.provider.test. 60 IN A 192.0.2.80"}},
		{target: "web.provider.test.", provider: []string{`web.provider.test. 60 IN TXT "v=DKIM1; k=rsa; p=EEEE"`}},
	} {
		t.Run(fmt.Sprint(row.target, row.apex, row.provider), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				names := world(wildcardTo(row.target, row.apex...)...)
				names.Serve(provider, "provider.test.", append([]string{"provider.test. 60 IN SOA ns3.test. x. 1 60 60 60 60", "provider.test. 60 IN NS ns3.test."}, row.provider...)...)
				published := slices.Clone(row.apex)
				var did []string
				for _, o := range check(t, names, want).Operations {
					did = append(did, fmt.Sprintf("%s %s %s", o.Op, o.Want.Name, o.Want.Type()))
					if !strings.Contains(o.Why, "the wildcard *.x.test. alone") {
						t.Errorf("%s: %s", o.Change.String(), o.Why)
					}
					if o.Want.Name != "" {
						published = append(published, o.Want.String())
					}
				}
				if d := cmp.Diff(operations, did); d != "" {
					t.Errorf("operations (-want +got):\n%s", d)
				}
				done := wildcardTo(row.target, published...)
				serve(names, first, done...)
				serve(names, second, done...)
				if r := check(t, names, want); !r.Done() {
					t.Errorf("when all that is done:\n%s", strings.Join(told(r), "\n"))
				}
			})
		})
	}
}

func TestAnAliasBesideAnotherWildcardIsARecordOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := world(without("mail.x.test. 3600 IN A", "*.x.test. 60 IN CNAME web.provider.test.", "mail.x.test. 60 IN CNAME old.provider.test.")...)
		want := []string{
			"remove mail.x.test. CNAME old.provider.test.: beside an alias mail.x.test. may not have other data",
			"add mail.x.test. A 192.0.2.25: it is not published", "add mail.x.test. AAAA 2001:db8::25: it is not published",
		}
		if d := cmp.Diff(want, told(check(t, names, wanted))); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	})
}
