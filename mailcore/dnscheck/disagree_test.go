package dnscheck_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// TestServersThatAreWrongInDifferentWaysAreNamed: what one of them needs is not what puts
// the other right.
func TestServersThatAreWrongInDifferentWaysAreNamed(t *testing.T) {
	const (
		spf   = `x.test. 3600 IN TXT "v=spf1 ip4:192.0.2.25 ~all"`
		short = "the SPF record that is published does not let all mail of this server through; what it says beside stays"
	)
	for state, test := range map[string]struct {
		wanted, first, second []string
		want                  []string
	}{
		"SPF of both is kept": {
			[]string{spf}, []string{`x.test. 60 IN TXT "v=spf1 a:old.example ~all"`}, []string{`x.test. 60 IN TXT "v=spf1 a:older.example ~all"`},
			[]string{
				`change x.test. TXT "v=spf1 a:old.example ~all"` + ` x.test. TXT "v=spf1 a:old.example ip4:192.0.2.25 a:older.example ~all"` + ` on ns1.test.: ` + short,
				`change x.test. TXT "v=spf1 a:older.example ~all"` + ` x.test. TXT "v=spf1 a:old.example ip4:192.0.2.25 a:older.example ~all"` + ` on ns2.test.: ` + short,
			}},
		"an alias on one of them": {
			[]string{"mail.x.test. 60 IN A 192.0.2.25"}, nil, []string{"mail.x.test. 60 IN CNAME web.provider.test."},
			[]string{
				"remove mail.x.test. CNAME web.provider.test. on ns2.test.: beside an alias mail.x.test. may not have other data",
				"add mail.x.test. A 192.0.2.25: it is not published",
			}},
		"the same with another TTL": {
			[]string{"x.test. 3600 IN MX 10 mail.x.test."}, []string{"x.test. 60 IN MX 5 old.test."}, []string{"x.test. 90 IN MX 5 old.test."},
			[]string{"change x.test. MX 5 old.test. x.test. MX 10 mail.x.test.: what is published is not what is in force"}},
		"an exchanger each": {
			[]string{"x.test. 3600 IN MX 10 mail.x.test."}, []string{"x.test. 60 IN MX 5 old.test."}, []string{"x.test. 60 IN MX 5 older.test."},
			[]string{
				"change x.test. MX 5 old.test. x.test. MX 10 mail.x.test. on ns1.test.: what is published is not what is in force",
				"change x.test. MX 5 older.test. x.test. MX 10 mail.x.test. on ns2.test.: what is published is not what is in force",
			}},
	} {
		t.Run(state, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				names := world()
				serve(names, first, test.first...)
				serve(names, second, test.second...)
				if d := cmp.Diff(test.want, told(check(t, names, test.wanted))); d != "" {
					t.Errorf("-want +got:\n%s", d)
				}
			})
		})
	}
}
