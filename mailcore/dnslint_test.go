package mailcore_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// mute is a resolver that knows nothing but what delivery asks.
type mute struct{ transport.Resolver }

func TestLintOfDNSAsksTheResolverOfTheServer(t *testing.T) {
	lint := func(t *testing.T, srv *mailcore.Server) (rules []string) {
		t.Helper()
		data, err := srv.DNSData(t.Context(), "shop.example")
		if err != nil {
			t.Fatal(err)
		}
		zone, err := dnstmpl.Default().Render(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range srv.LintDNS(t.Context(), zone, data) {
			rules = append(rules, string(p.Rule))
		}
		return rules
	}
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{SmartHost: "[smtp.sendgrid.net]"})
		addSite(t, srv, "shop", "shop.example")
		for _, err := range []error{
			srv.Sites().SetSource(t.Context(), source("shop", "192.0.2.7")),
			srv.Sites().SetRoute(t.Context(), sites.Route{Pattern: "direct.example", Value: "smtp:"}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		want := []string{"spf", "alignment", "helo", "helo"} // no SPF record behind the include; no address and no PTR of the host
		if diff := cmp.Diff(want, lint(t, srv)); diff != "" {
			t.Error(diff)
		}
		lab.DNS.Fail["sendgrid.net"] = true
		if diff := cmp.Diff([]string{"no-answer", "alignment", "helo", "helo"}, lint(t, srv)); diff != "" {
			t.Error(diff)
		}
	})
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{SmartHost: "[smtp.sendgrid.net]", Resolver: mute{lab.DNS.Resolver()}})
		addSite(t, srv, "shop", "shop.example")
		if diff := cmp.Diff([]string{"alignment"}, lint(t, srv)); diff != "" {
			t.Errorf("where nobody can be asked:\n%s", diff)
		}
	})
}
