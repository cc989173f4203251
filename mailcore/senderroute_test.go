package mailcore_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
)

func TestATransportBySenderIsForOtherHostsAndNeverChangesTheSource(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{SmartHost: "[smart.example]:587"})
		v.mailboxes("bob@shop.example")
		own := netip.MustParseAddr("192.0.2.77")
		s := v.srv.Sites()
		v.must(
			s.AddDomain(t.Context(), sites.Domain{Name: "plain.example", Site: "shop", Class: sites.Relay}),
			s.AddDomain(t.Context(), sites.Domain{Name: "stored.example", Site: "shop", Class: sites.Hosted}),
			s.Import(t.Context(), sites.Import{
				SenderRoutes: []sites.SenderRoute{{Key: "@shop.example", Value: "oneshot:[hop.example]"}, {Key: "shop", Value: "relay:"}},
				Sources:      []sites.Source{{Key: "@shop.example", IPv4: own, HELO: "out.shop.example"}},
				Routes: []sites.Route{
					{Pattern: "stored.example", Value: ":[store.example]"}, {Pattern: "yahoo.test", Value: "relaylim:"},
					{Pattern: "via.test", Value: ":[via.example]:26"}, {Pattern: "same.test", Value: ":"},
				},
			}))
		for _, row := range []struct{ sender, to, want string }{
			{"me@shop.example", "x@elsewhere.test", "oneshot:[hop.example]"},
			{"me@shop.example", "x@yahoo.test", "relaylim:yahoo.test"},
			{"me@shop.example", "x@via.test", "oneshot:[via.example]:26"},
			{"me@shop.example", "x@same.test", "oneshot:[hop.example]"},
			{"me@shop.example", "x@xn--bcher-kva.example", "oneshot:[hop.example]"}, // it only sends through us
			{"me@shop.example", "x@plain.example", "smtp:[smart.example]:587"},
			{"me@shop.example", "x@relay.example", "smtp:[store.example]"},
			{"me@shop.example", "bob@shop.example", "smtp:[store.example]:25"},
			{"me@shop.example", "x@stored.example", "smtp:[store.example]"},
			{"", "x@elsewhere.test", "relay:[smart.example]:587"}, // of the site, as its bounces
		} {
			plan, err := v.srv.Explain(t.Context(), "shop", row.sender, row.to)
			v.must(err)
			if diff := cmp.Diff(row.want, plan.Transport+":"+plan.Nexthop); diff != "" {
				t.Errorf("<%s> to %s: %+v\n%s", row.sender, row.to, plan.Because, diff)
			}
			if row.sender != "" && (plan.Source.IPv4 != own || plan.Source.HELO != "out.shop.example") {
				t.Errorf("<%s> to %s leaves from %v", row.sender, row.to, plan.Source)
			}
		}
		plan, err := v.srv.Explain(t.Context(), "shop", "me@shop.example", "x@elsewhere.test")
		v.must(err)
		if got := fmt.Sprint(plan.Because); !strings.Contains(got, "{transport sender route: @shop.example}") || !strings.Contains(got, "{nexthop sender route: @shop.example}") {
			t.Errorf("because of %s", got)
		}
	})
}
