package mailcore_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func TestARouteDoesNotChangeTheSourceOfTheSender(t *testing.T) {
	own := netip.MustParseAddr("198.51.100.7")
	for _, value := range []string{"", "relaylim:", "oneshot:", "smtp:[mx.customer.example]"} {
		t.Run(value, func(t *testing.T) {
			mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
				lab.Local(own)
				mx := lab.Domain("customer.example")
				srv := lab.Server(mailcore.Config{})
				addSite(t, srv, "shop", "shop.example")
				if err := srv.Sites().SetSource(t.Context(), sites.Source{Key: "shop", IPv4: own, HELO: "out.shop.example"}); err != nil {
					t.Fatal(err)
				}
				if value != "" {
					route(t, srv, "customer.example", value)
				}
				m := hello("orders@shop.example", "u@customer.example")
				m.Site = "shop"
				submit(t, srv, m)
				lab.Drain(time.Minute)
				got := mx.Messages()
				if len(got) != 1 {
					t.Fatalf("%d messages", len(got))
				}
				type egress struct{ Client, HELO string }
				want := egress{own.String(), "out.shop.example"}
				if diff := cmp.Diff(want, egress{got[0].Client.String(), got[0].HELO}); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestAMessageMayAskForDeliveryWithoutTheTLSThatAPolicyDemands(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "shop", "shop.example")
		if err := srv.Sites().SetTLSPolicy(t.Context(), sites.TLSPolicy{Key: "customer.example", Level: transport.TLSSecure}); err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"TLS-Required: No\r\n", "", "TLS-Required: yes\r\n", "TLS-Required: no\r\nTLS-Required: no\r\n"} {
			m := hello("orders@shop.example", "u@customer.example")
			m.Site, m.Content = "shop", strings.NewReader(field+"Subject: x\r\n\r\nx\r\n")
			submit(t, srv, m)
		}
		lab.Wait(time.Minute)
		if got := mx.Messages(); len(got) != 1 || !strings.Contains(got[0].Content, "TLS-Required: No\r\n") {
			t.Errorf("%d messages went out: %+v", len(got), got)
		}
	})
}

func TestASourceThatIsNotOnThisMachineDefersAndNothingLeaves(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "shop", "shop.example")
		if err := srv.Sites().SetSource(t.Context(), sites.Source{Key: "shop", IPv4: netip.MustParseAddr("198.51.100.77")}); err != nil {
			t.Fatal(err)
		}
		route(t, srv, "customer.example", "oneshot:")
		m := hello("orders@shop.example", "u@customer.example")
		m.Site = "shop"
		id := submit(t, srv, m)
		lab.Wait(time.Hour)
		if got := mx.Messages(); len(got) > 0 {
			t.Errorf("it left from %v", got[0].Client)
		}
		for e, err := range srv.Queue().Entries(t.Context(), queue.Match{IDs: []string{id}}) {
			if err != nil {
				t.Fatal(err)
			}
			if text := e.Recipients[0].Reply.Text; !strings.Contains(text, "198.51.100.77") {
				t.Errorf("the reason does not name the address: %q", text)
			}
			return
		}
		t.Error("the message is gone")
	})
}

func TestASmartHostIsUsedWithItsCredentialAndOverTLSOnly(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		host := lab.Exchanger("smtp.provider.example")
		host.Require("acct", "canary-password")
		srv := lab.Server(mailcore.Config{
			SmartHost:           "[smtp.provider.example]",
			SmartHostCredential: transport.Credential{User: "acct", Password: "canary-password"},
		})
		id := submit(t, srv, hello("shop@shop.example", "u@customer.example"))
		lab.Wait(time.Minute)
		if got := host.Messages(); len(got) > 0 {
			t.Error("the credential went over a clear connection")
		}
		for e, err := range srv.Queue().Entries(t.Context(), queue.Match{IDs: []string{id}}) {
			if err != nil {
				t.Fatal(err)
			}
			if text := e.Recipients[0].Reply.Text; !strings.Contains(text, "TLS is required") {
				t.Errorf("reason %q", text)
			}
		}
		host.OfferTLS()
		if _, err := srv.Queue().Retry(t.Context(), queue.Match{All: true}); err != nil {
			t.Fatal(err)
		}
		lab.Drain(time.Minute)
		got := host.Messages()
		if len(got) != 1 || !got[0].TLS || got[0].Login != "acct" {
			t.Errorf("messages at the smart host: %+v", got)
		}
	})
}

func TestMailLeavesByTheRouteOfItsRecipientAndTheSmartHostOfItsSender(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		smart, direct, routed := lab.Exchanger("smart.example"), lab.Domain("direct.example"), lab.Exchanger("gw.example")
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "shop", "shop.example")
		if err := srv.Sites().SetSmartHost(t.Context(), sites.SmartHost{Key: "@shop.example", Nexthop: "[smart.example]"}); err != nil {
			t.Fatal(err)
		}
		route(t, srv, "direct.example", "smtp:")
		route(t, srv, ".gw.test", "smtp:[gw.example]")
		m := hello("a@shop.example", "u@any.example", "u@direct.example", "u@x.gw.test")
		m.Site = "shop"
		submit(t, srv, m)
		lab.Drain(time.Minute)
		for _, x := range []*mailtest.Exchanger{smart, direct, routed} {
			if got := len(x.Messages()); got != 1 {
				t.Errorf("%d messages at %s, want 1", got, x.Host)
			}
		}
	})
}

func TestMailWhoseExchangerIsOurselvesBouncesWithoutAConnection(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		sender := lab.Domain("shop.example")
		lab.DNS.MX["mirror.example"] = []transport.MX{{Preference: 10, Host: "elsewhere.example"}}
		lab.DNS.Addr["elsewhere.example"] = []string{mailtest.Address.String()}
		srv := lab.Server(mailcore.Config{})
		submit(t, srv, hello("a@shop.example", "u@mirror.example"))
		lab.Drain(time.Minute)
		if report := bounceAt(t, sender); !strings.Contains(report, "Status: 5.4.6") || !strings.Contains(report, "loops back to myself") {
			t.Errorf("report:\n%s", report)
		}
	})
}
