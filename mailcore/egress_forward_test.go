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

func TestABounceLeavesFromTheSourceOfTheSiteItIsFor(t *testing.T) {
	own, panel := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8")
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		lab.Local(own, panel)
		sender, customer := lab.Domain("shop.example"), lab.Domain("customer.example")
		customer.Answer(mailtest.Rcpt, transport.Replyf(550, "5.1.1", "nobody here"))
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "shop", "shop.example")
		for key, ip := range map[string]netip.Addr{"shop": own, "default": panel} {
			if err := srv.Sites().SetSource(t.Context(), sites.Source{Key: key, IPv4: ip}); err != nil {
				t.Fatal(err)
			}
		}
		m := hello("orders@shop.example", "u@customer.example")
		m.Site = "shop"
		submit(t, srv, m)
		lab.Drain(time.Minute)
		got := sender.Messages()
		if len(got) != 1 || got[0].ReversePath != "" || got[0].Client != own {
			t.Errorf("bounces: %+v", got)
		}
	})
}

func TestAForwardedCopyLeavesFromTheSourceOfWhoForwards(t *testing.T) {
	ips := map[string]netip.Addr{
		"shop": netip.MustParseAddr("198.51.100.7"), "author.example": netip.MustParseAddr("198.51.100.8"),
		"default": netip.MustParseAddr("198.51.100.9"),
	}
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		for _, ip := range ips {
			lab.Local(ip)
		}
		mx := lab.Domain("customer.example")
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "shop", "shop.example")
		addSite(t, srv, "author", "author.example")
		for key, ip := range ips {
			key = strings.Replace(key, "author.", "@author.", 1)
			if err := srv.Sites().SetSource(t.Context(), sites.Source{Key: key, IPv4: ip}); err != nil {
				t.Fatal(err)
			}
		}
		// Mail that a stranger sent under the name of a site here, to an alias of
		// another, and to one whose copies are not rewritten.
		_, err := srv.Queue().Enqueue(t.Context(), queue.Message{
			Origin: transport.Origin{Via: transport.ViaSMTP, UID: -1},
			Envelope: transport.Envelope{ReversePath: "a@author.example", Recipients: []transport.Recipient{
				{Address: "one@customer.example", ReversePath: "SRS0=x=y=author.example=a@shop.example"},
				{Address: "two@customer.example"},
			}},
		}, strings.NewReader("Subject: x\r\n\r\nx\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		lab.Drain(time.Minute)
		got := map[string]netip.Addr{}
		for _, m := range mx.Messages() {
			got[m.Recipients[0]] = m.Client
		}
		want := map[string]netip.Addr{"one@customer.example": ips["shop"], "two@customer.example": ips["default"]}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
	})
}
