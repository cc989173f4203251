package mailcore_test

import (
	"testing"
	"time"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/transport"
)

func TestAnMTASTSPolicyCountsUnlessIgnored(t *testing.T) {
	for _, ignored := range []bool{false, true} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			mx := lab.Domain("customer.example") // which has no TLS
			srv := lab.Server(mailcore.Config{IgnoreMTASTS: ignored})
			addSite(t, srv, "shop", "shop.example")
			if err := srv.Sites().SaveSTS(t.Context(), transport.STSEntry{
				Domain: "customer.example", ID: "1", Fetched: time.Now(), Used: time.Now(),
				Policy: transport.STSPolicy{Mode: transport.STSEnforce, MX: []string{"mx.customer.example"}, MaxAge: 7 * 24 * time.Hour},
			}); err != nil {
				t.Fatal(err)
			}
			m := hello("orders@shop.example", "u@customer.example")
			m.Site = "shop"
			submit(t, srv, m)
			lab.Wait(time.Minute)
			if got := len(mx.Messages()); (got == 1) != ignored {
				t.Errorf("ignored: %v: %d messages", ignored, got)
			}
		})
	}
}
