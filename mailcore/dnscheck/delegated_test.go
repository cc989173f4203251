package dnscheck_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore/dnscheck"
)

// TestTheKeyBehindAWantedAliasIsCheckedWhereItIs: the alias is of no use without it.
func TestTheKeyBehindAWantedAliasIsCheckedWhereItIs(t *testing.T) {
	const alias, target = "r1._domainkey.x.test.", "r1._domainkey.x.test.keys.provider.test."
	for state, test := range map[string]struct {
		published, provider []string
		want                []string
	}{
		"all right": {[]string{alias + " 60 IN CNAME " + target}, []string{target + ` 60 IN TXT "v=DKIM1; p=" "AAAABBBB"`}, nil},
		"no key": {published: []string{alias + " 60 IN CNAME " + target}, want: []string{
			"add " + target + ` TXT "v=DKIM1; k=rsa; p=AAAABBBB" for ` + alias + ": the public key is not published: signatures with this selector cannot be verified"}},
		"another key": {[]string{alias + " 60 IN CNAME " + target}, []string{target + ` 60 IN TXT "v=DKIM1; k=rsa; p=CCCCDDDD"`}, []string{
			"change " + target + ` TXT "v=DKIM1; k=rsa; p=CCCCDDDD" ` + target + ` TXT "v=DKIM1; k=rsa; p=AAAABBBB" for ` + alias +
				": the key that is published is another one: signatures with this selector fail"}},
		"no alias": {nil, []string{target + ` 60 IN TXT "v=DKIM1; k=rsa; p=AAAABBBB"`}, []string{
			"add " + alias + " CNAME " + target + ": it is not published"}},
		"an alias that leads elsewhere": {[]string{alias + " 60 IN CNAME old.provider.test."},
			[]string{target + ` 60 IN TXT "v=DKIM1; k=rsa; p=AAAABBBB"`, `old.provider.test. 60 IN TXT "v=DKIM1; k=rsa; p=AAAABBBB"`}, []string{
				"change " + alias + " CNAME old.provider.test. " + alias + " CNAME " + target + ": what is published is not what is in force"}},
	} {
		t.Run(state, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				names := world(test.published...)
				names.Serve(provider, "provider.test.", append([]string{"provider.test. 60 IN SOA ns3.test. x. 1 60 60 60 60", "provider.test. 60 IN NS ns3.test."}, test.provider...)...)
				z, err := dnstmpl.ParseZone("wanted", "x.test", alias+" 3600 IN CNAME "+target)
				if err != nil {
					t.Fatal(err)
				}
				keys := []dnstmpl.DKIM{
					{Name: "R1._domainkey.x.test", Text: "v=DKIM1; k=rsa; p=AAAABBBB", Target: strings.TrimSuffix(target, ".")},
					{Name: "r2._domainkey.x.test", Text: "v=DKIM1; k=rsa; p=EEEE", Target: "nobody.provider.test"}, // the template has it not
				}
				r, err := dnscheck.Check(t.Context(), names.Resolver(), dnscheck.Delegated(z, keys))
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(test.want, told(r)); d != "" || r.Done() != (test.want == nil) {
					t.Errorf("done: %v (-want +got):\n%s", r.Done(), d)
				}
			})
		})
	}
}
