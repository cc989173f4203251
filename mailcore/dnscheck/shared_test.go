package dnscheck_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore/dnscheck"
)

// TestNothingIsTakenFromANameThatIsOnlySaidInHELO: the customer's web site, or an
// exchanger of the customer's own, may have it too.
func TestNothingIsTakenFromANameThatIsOnlySaidInHELO(t *testing.T) {
	const spf = `out.x.test. 60 IN TXT "v=spf1 a -all"`
	for state, row := range map[string]struct{ published, want []string }{
		"addresses of others": {[]string{"out.x.test. 60 IN A 203.0.113.80", "out.x.test. 60 IN AAAA 2001:db8::80", spf},
			[]string{"add out.x.test. A 192.0.2.25: it is not published"}},
		"both":                    {[]string{"out.x.test. 60 IN A 203.0.113.80", "out.x.test. 60 IN A 192.0.2.25", spf}, nil},
		"an alias to another one": {[]string{"out.x.test. 60 IN CNAME web.x.test.", "web.x.test. 60 IN A 203.0.113.80"}, nil},
	} {
		t.Run(state, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z, err := dnstmpl.ParseZone("wanted", "x.test", "out.x.test. 60 IN A 192.0.2.25\n"+spf)
				if err != nil {
					t.Fatal(err)
				}
				z.Shared = []string{"out.x.test."}
				r, err := dnscheck.Check(t.Context(), world(row.published...).Resolver(), z)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(row.want, told(r)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
