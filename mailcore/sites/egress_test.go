package sites_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

func TestTheSendersOfADomainStandForAllThatTheTablesTellApart(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t,
		s.AddSite(ctx, sites.Site{Name: "a"}),
		s.AddSite(ctx, sites.Site{Name: "b"}),
		s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "a", Class: sites.Hosted}),
		s.AddDomain(ctx, sites.Domain{Name: "second.example", Site: "a", Class: sites.Hosted}),
		s.AddDomain(ctx, sites.Domain{Name: "b.example", Site: "b", Class: sites.Hosted}),
		s.AddLogin(ctx, sites.Login{Name: "shop", Site: "a"}, "canary"),
		s.AddLogin(ctx, sites.Login{Name: "own@a.example", Site: "a"}, "canary"),
		s.AddLogin(ctx, sites.Login{Name: "own@second.example", Site: "a"}, "canary"),
		s.AddLogin(ctx, sites.Login{Name: "other", Site: "b"}, "canary"),
	)
	for _, key := range []string{
		"x@a.example", "@a.example", "a", "b", "default", "u@b.example",
		"login:shop", "login:own@a.example", "login:own@second.example", "login:other",
	} {
		must(t, s.SetSource(ctx, sites.Source{Key: key, HELO: "x.example"}))
	}
	must(t,
		s.SetSmartHost(ctx, sites.SmartHost{Key: "vip@a.example", Nexthop: "[smart.example]"}),
		s.SetSenderRoute(ctx, sites.SenderRoute{Key: "bulk@a.example", Value: "relaylim:"}),
		s.SetCredential(ctx, sites.Credential{Key: "pay@a.example", Credential: transport.Credential{User: "u", Password: "canary"}}),
	)
	type query struct{ Sender, Site, Login string }
	var got []query
	for _, q := range s.Snapshot().Senders("A.example.") {
		got = append(got, query{q.Sender, q.Origin.Site, q.Origin.Login})
	}
	addresses := []string{"bulk@a.example", "own@a.example", "pay@a.example", "vip@a.example", "x@a.example", "xx@a.example"}
	var want []query
	for _, a := range addresses {
		want = append(want, query{a, "a", ""})
	}
	want = append(want, query{"own@a.example", "a", "own@a.example"})
	for _, a := range addresses {
		want = append(want, query{a, "a", "shop"})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := s.Snapshot().Senders("not a domain"); got != nil {
		t.Errorf("senders of no domain: %v", got)
	}
}

func TestThePoolOfAQueryIsAllThatItsSourceMayBe(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t,
		s.AddSite(ctx, sites.Site{Name: "a"}),
		s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "a", Class: sites.Hosted}),
	)
	for _, ip := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		must(t, s.AddSource(ctx, sites.Source{Key: "@a.example", IPv4: netip.MustParseAddr(ip)}))
	}
	must(t, s.SetSource(ctx, sites.Source{Key: "default", IPv4: netip.MustParseAddr("192.0.2.9")}))
	q := transport.Query{Sender: "u@a.example", Origin: transport.Origin{Site: "a", Via: transport.ViaAPI}}
	pool, err := s.Snapshot().Pool(q)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, src := range pool {
		got = append(got, src.IPv4.String())
	}
	if diff := cmp.Diff([]string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, got); diff != "" {
		t.Error(diff)
	}
	q.Origin.Site = "gone"
	if pool, err := s.Snapshot().Pool(q); err == nil {
		t.Errorf("a site that is gone has the sources %v", pool)
	}
}

func TestTheRecipientsStandForEachValueOfTheTransportMap(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t,
		s.AddSite(ctx, sites.Site{Name: "a"}),
		s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "a", Class: sites.Hosted}),
	)
	kinds := func() (all []sites.RecipientKind) { return s.Snapshot().Recipients() }
	if diff := cmp.Diff([]sites.RecipientKind{{Address: "x@x"}}, kinds()); diff != "" {
		t.Error(diff)
	}
	for pattern, value := range map[string]string{
		"x":             "smtp:[x.example]",
		"x.x.example":   "discard:", // as close to .x.example as a name may be
		".x.example":    "smtp:[x.example]",
		"y.example":     "smtp:[x.example]", // as x
		"u@y.example":   "relay:[y.example]",
		"a.example":     "smtp:[x.example]", // ours
		"other.example": "relay:[y.example]",
	} {
		must(t, s.SetRoute(ctx, sites.Route{Pattern: pattern, Value: value}))
	}
	want := []sites.RecipientKind{
		{Address: "x@xx"},
		{Address: "x@xx.x.example", Pattern: ".x.example", Many: true},
		{Address: "x@a.example", Pattern: "a.example"},
		{Address: "x@other.example", Pattern: "other.example"},
		{Address: "x@x", Pattern: "x"},
		{Address: "x@x.x.example", Pattern: "x.x.example"},
	}
	if diff := cmp.Diff(want, kinds()); diff != "" {
		t.Error(diff)
	}
	must(t, s.SetRoute(ctx, sites.Route{Pattern: "*", Value: "relay:[all.example]"}))
	if diff := cmp.Diff(sites.RecipientKind{Address: "x@xx", Pattern: "*", Many: true}, kinds()[0]); diff != "" {
		t.Error(diff)
	}
}
