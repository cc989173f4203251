package sites_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// from is a query about a sender in the mail of a site.
func from(sender, site string) transport.Query {
	return transport.Query{Sender: sender, Recipient: "r@remote.example", Origin: transport.Origin{Site: site}}
}

func TestTheMostSpecificKeyOfASenderCounts(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	ip := netip.MustParseAddr("192.0.2.1")
	must(t,
		s.AddSite(ctx, sites.Site{Name: "a"}),
		s.AddSite(ctx, sites.Site{Name: "b"}),
		s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "a", Class: sites.Hosted}),
		s.AddDomain(ctx, sites.Domain{Name: "bücher.example", Site: "a", Class: sites.Hosted}),
	)
	keys := []string{"u+x@a.example", "u@a.example", "@a.example", "a", "<>", "@xn--bcher-kva.example", "@free.example"}
	for _, key := range keys {
		must(t,
			s.SetSource(ctx, sites.Source{Key: key, IPv4: ip}),
			s.SetSmartHost(ctx, sites.SmartHost{Key: key, Nexthop: "h.example"}))
	}
	must(t, s.SetSmartHost(ctx, sites.SmartHost{Key: "default", Nexthop: "h.example"}))
	for _, row := range []struct {
		what, sender, site, key string
	}{
		{"the whole address", "U+X@A.example", "a", "u+x@a.example"},
		{"without its extension", "u+y@a.example", "a", "u@a.example"},
		{"the extension ends at the first plus", "u+y+x@a.example", "a", "u@a.example"},
		{"the domain", "v@a.example", "a", "@a.example"},
		{"the domain in U-labels", "v@BÜCHER.example", "a", "@xn--bcher-kva.example"},
		{"no parent domain", "v@sub.a.example", "a", "a"},
		{"the site", "v@elsewhere.example", "a", "a"},
		{"a malformed sender", "junk", "a", "a"},
		{"the null reverse-path", "", "a", "<>"},
		{"the panel itself, as the sender's site", "v@a.example", "", "@a.example"},
		{"the panel itself, for a stranger", "v@elsewhere.example", "", ""},
		{"a domain of nobody", "v@free.example", "b", "@free.example"},
		{"another site's address is not its own", "u@a.example", "b", ""},
	} {
		t.Run(row.what, func(t *testing.T) {
			source, smart := "", "smarthost: default"
			if row.key != "" {
				source, smart = "source: "+row.key, "smarthost: "+row.key
			}
			if _, rule, ok, err := s.Source(ctx, from(row.sender, row.site)); rule != source || ok != (source != "") || err != nil {
				t.Errorf("source by %q, %v, %v; want %q", rule, ok, err, source)
			}
			if hop, rule, ok, err := s.SmartHost(ctx, from(row.sender, row.site)); rule != smart || hop != "h.example" || !ok || err != nil {
				t.Errorf("smart host %q by %q, %v, %v; want %q", hop, rule, ok, err, smart)
			}
		})
	}
}

func TestCredentialsAreChosenBySmartHostThenSenderThenNextHop(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	cred := func(user string) transport.Credential { return transport.Credential{User: user, Password: "p"} }
	must(t,
		s.AddSite(ctx, sites.Site{Name: "a"}),
		s.AddSite(ctx, sites.Site{Name: "b"}),
		s.AddSite(ctx, sites.Site{Name: "c"}),
		s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "a", Class: sites.Hosted}),
		s.AddDomain(ctx, sites.Domain{Name: "b.example", Site: "b", Class: sites.Hosted}),
		s.SetSmartHost(ctx, sites.SmartHost{Key: "default", Nexthop: "[smart.example]:587", Credential: cred("default host")}),
		s.SetSmartHost(ctx, sites.SmartHost{Key: "a", Nexthop: "[smart.example]:587", Credential: cred("host of a")}),
		s.SetCredential(ctx, sites.Credential{Key: "@a.example", Credential: cred("senders of a")}),
		s.SetCredential(ctx, sites.Credential{Key: "u@b.example", Credential: cred("sender u")}),
		s.SetCredential(ctx, sites.Credential{Key: "[Other.example]:25", Credential: cred("next hop")}),
		s.SetCredential(ctx, sites.Credential{Key: "host.example", Credential: cred("host")}),
	)
	for _, row := range []struct {
		what, sender, site, nexthop, user string
	}{
		{"the site's smart host brings its own", "u@a.example", "a", "[SMART.example]:587", "host of a"},
		{"another next hop takes that of the sender", "u@a.example", "a", "[other.example]:25", "senders of a"},
		{"one that is not on the sender's side its own", "u@a.example", "a", "recipient:[other.example]:25", "next hop"},
		{"the sender before the default smart host", "u@b.example", "b", "[smart.example]:587", "sender u"},
		{"the default smart host", "v@b.example", "b", "[smart.example]:587", "default host"},
		{"the next hop as written", "v@b.example", "b", "[other.example]:25", "next hop"},
		{"the next hop on another port", "v@b.example", "b", "[other.example]:587", ""},
		{"the host of the next hop", "v@b.example", "b", "[host.example]:2525", "host"},
		{"never another site's", "u@a.example", "c", "[third.example]:25", ""},
		{"never to the recipient's own exchangers", "u@b.example", "b", "recipient:remote.example", ""},
		{"the null reverse-path has none", "", "b", "[third.example]:25", ""},
	} {
		t.Run(row.what, func(t *testing.T) {
			q := from(row.sender, row.site)
			nexthop, byRecipient := strings.CutPrefix(row.nexthop, "recipient:")
			q.BySender = !byRecipient
			c, rule, ok, err := s.Credential(ctx, q, nexthop)
			if c.User != row.user || ok != (row.user != "") || err != nil {
				t.Errorf("%v by %q, %v, %v; want %q", c, rule, ok, err, row.user)
			}
		})
	}
}

func TestRoutesAndTLSPoliciesAreFoundByTheRecipientsSide(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t,
		s.SetRoutes(ctx, []sites.Route{
			{Pattern: "u@x.example", Value: "hold:"}, {Pattern: "x.example", Value: "smtp:[h]:24"},
			{Pattern: ".example", Value: "oneshot:"}, {Pattern: "bücher.example", Value: "relaylim:"},
		}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: "x.example", Level: transport.TLSEncrypt}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: ".example", Level: transport.TLSNone}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: "[h.test]:25", Level: transport.TLSMay}),
	)
	for _, row := range []struct{ recipient, rule string }{
		{"U+ext@X.example", "route: u@x.example"},
		{"v@x.example", "route: x.example"},
		{"v@sub.x.example", "route: .example"},
		{"v@BÜCHER.example", "route: xn--bcher-kva.example"},
		{"v@xn--bcher-kva.example", "route: xn--bcher-kva.example"},
		{"v@y.test", ""},
		{"junk", ""},
	} {
		if _, rule, ok, err := s.Route(ctx, transport.Query{Recipient: row.recipient}); rule != row.rule || ok != (row.rule != "") || err != nil {
			t.Errorf("route of %s by %q, %v, %v; want %q", row.recipient, rule, ok, err, row.rule)
		}
	}
	for _, row := range []struct{ nexthop, rule string }{
		{"X.example", "tls: x.example"},
		{"sub.x.example", "tls: .example"},
		{"[H.test]:25", "tls: [h.test]:25"},
		{"h.test", ""},
	} {
		if _, rule, ok, err := s.TLSPolicy(ctx, transport.Query{}, row.nexthop); rule != row.rule || ok != (row.rule != "") || err != nil {
			t.Errorf("policy of %s by %q, %v, %v; want %q", row.nexthop, rule, ok, err, row.rule)
		}
	}
}

func TestTLSPoliciesOfASiteGoBeforeThoseForEverybody(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t,
		s.AddSite(ctx, sites.Site{Name: "a"}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: "x.example", Level: transport.TLSMay}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: "*", Level: transport.TLSDANE}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Site: "a", Key: ".example", Level: transport.TLSSecure, TLSTerms: transport.TLSTerms{Match: "nexthop"}}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Site: "a", Key: "y.example", Level: transport.TLSNone}),
	)
	secure := transport.TLSPolicy{Level: transport.TLSSecure, TLSTerms: transport.TLSTerms{Match: "nexthop"}}
	everybody := transport.TLSPolicy{Level: transport.TLSDANE, TLSTerms: transport.TLSTerms{Published: true}}
	for _, row := range []struct {
		site, nexthop, rule string
		want                transport.TLSPolicy
	}{
		{"a", "x.example", "tls: .example of site a", secure},
		{"a", "Y.example", "tls: y.example of site a", transport.TLSPolicy{Level: transport.TLSNone}},
		{"a", "[x.example]:25", "tls: *", everybody},
		{"b", "x.example", "tls: x.example", transport.TLSPolicy{Level: transport.TLSMay}},
		{"", "y.example", "tls: *", everybody},
	} {
		got, rule, _, err := s.TLSPolicy(ctx, transport.Query{Origin: transport.Origin{Site: row.site}}, row.nexthop)
		if got != row.want || rule != row.rule || err != nil {
			t.Errorf("policy of %s for site %q: %+v by %q, %v; want %+v by %q", row.nexthop, row.site, got, rule, err, row.want, row.rule)
		}
	}
	must(t, s.RemoveTLSPolicy(ctx, "a", "Y.example"))
	if _, rule, _, _ := s.TLSPolicy(ctx, transport.Query{Origin: transport.Origin{Site: "a"}}, "y.example"); rule != "tls: .example of site a" {
		t.Errorf("a policy that was removed: %s", rule)
	}
}

func TestALoginOwnsItsAddressOrTheDomainsOfItsSite(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t,
		s.AddSite(ctx, sites.Site{Name: "a"}),
		s.AddSite(ctx, sites.Site{Name: "b"}),
		s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "a", Class: sites.Hosted}),
		s.AddDomain(ctx, sites.Domain{Name: "b.example", Site: "b", Class: sites.Alias}),
	)
	snap := s.Snapshot()
	for _, row := range []struct {
		site, login, address string
		want                 bool
	}{
		{"a", "shop", "anyone@a.example", true},
		{"a", "shop", "Anyone@A.Example.", true},
		{"a", "shop", "anyone@b.example", false},
		{"a", "shop", "anyone@sub.a.example", false},
		{"a", "shop", "anyone@free.example", false},
		{"a", "shop", "", true},
		{"a", "shop", "junk", false},
		{"a", "shop", `"x@a.example"@b.example`, false},
		{"", "shop", "anyone@a.example", false},
		{"", "shop", "anyone@free.example", false},
		{"a", "Info@A.example", "info@a.example", true},
		{"a", "info@a.example", "info+tag@a.example", true},
		{"a", "info@a.example", "other@a.example", false},
		{"a", "info+tag@a.example", "info@a.example", false},
		{"a", "info@a.example", "", true},
		{"a", "info@free.example", "info@free.example", true},
		{"a", "info@b.example", "info@b.example", false},
		{"b", "info@a.example", "info@a.example", false},
	} {
		if got := snap.LoginOwns(row.site, row.login, row.address); got != row.want {
			t.Errorf("login %s of site %q and <%s>: %v", row.login, row.site, row.address, got)
		}
	}
	if !snap.SiteOwns("a", "x@a.example") || snap.SiteOwns("a", "x@b.example") || snap.SiteOwns("", "x@free.example") {
		t.Error("SiteOwns is wrong")
	}
}
