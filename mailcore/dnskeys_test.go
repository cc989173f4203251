package mailcore_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
)

// TestTheNearestDomainHasTheRecordsOfTheKeysThatAreDelegatedToIt: an alias in the zone of
// the customer is of no use before the record is where it leads.
func TestTheNearestDomainHasTheRecordsOfTheKeysThatAreDelegatedToIt(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{Hostname: "mail.panel.example", Origin: "panel.example"})
		addSite(t, srv, "shop", "shop.example", "near.example", "sub.near.example")
		made := map[string]sites.DKIMKey{}
		for domain, zone := range map[string]string{"shop.example": "keys.panel.example", "near.example": "Sub.near.example", "sub.near.example": "apanel.example"} {
			keys, err := srv.Sites().GenerateDKIM(t.Context(), sites.DKIMPolicy{Domain: domain, Algorithms: []dkim.Algorithm{dkim.Ed25519}, Zone: zone})
			if err != nil {
				t.Fatal(err)
			}
			made[domain] = keys[0]
		}
		own := func(domain string) dnstmpl.DKIM {
			k := made[domain]
			return dnstmpl.DKIM{Name: k.Name, Text: k.Record, Target: k.Target, Pending: true}
		}
		behind := func(domain string) dnstmpl.DKIM {
			k := made[domain]
			return dnstmpl.DKIM{Name: k.Target, Text: k.Record, Pending: true}
		}
		for domain, want := range map[string][]dnstmpl.DKIM{
			"panel.example":      {behind("shop.example")}, // the zone below it is no domain of ours
			"mail.panel.example": nil,
			"shop.example":       {own("shop.example")},
			"near.example":       {own("near.example")},
			"sub.near.example":   {own("sub.near.example"), behind("near.example")},
		} {
			data, err := srv.DNSData(t.Context(), domain)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, data.DKIM); diff != "" {
				t.Errorf("%s:\n%s", domain, diff)
			}
			if _, err := srv.DNSZone(t.Context(), domain); err != nil {
				t.Errorf("%s: %v", domain, err)
			}
		}
		if err := srv.Sites().RemoveDKIM(t.Context(), "shop.example", made["shop.example"].Selector); err != nil {
			t.Fatal(err)
		}
		if data, err := srv.DNSData(t.Context(), "panel.example"); err != nil || len(data.DKIM) > 0 {
			t.Errorf("removed: %+v, %v", data.DKIM, err)
		}
	})
}
