package sites_test

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

func TestASourceIsThatOfTheFirstKeyThatSaysSomething(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t,
		s.AddSite(ctx, sites.Site{Name: "a"}),
		s.AddSite(ctx, sites.Site{Name: "b"}),
		s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "a", Class: sites.Hosted}),
		s.AddDomain(ctx, sites.Domain{Name: "b.example", Site: "b", Class: sites.Hosted}),
		s.AddLogin(ctx, sites.Login{Name: "shop", Site: "a"}, "canary"),
		s.AddLogin(ctx, sites.Login{Name: "u@a.example", Site: "a"}, "canary"),
	)
	for _, src := range []sites.Source{
		{Key: "u@a.example"}, {Key: "@a.example"}, {Key: "login:shop"}, {Key: "login:U@a.example"}, {Key: "login:elsewhere", Site: "a"},
		{Key: "a"}, {Key: "b"}, {Key: "default"},
	} {
		src.HELO = "x.example"
		must(t, s.SetSource(ctx, src))
	}
	at := func(site, login string, via transport.Via) transport.Origin {
		return transport.Origin{Site: site, Login: login, Via: via}
	}
	stranger, bounce := at("", "", transport.ViaSMTP), at("a", "", transport.ViaBounce)
	for _, row := range []struct {
		what, sender string
		rewritten    bool
		origin       transport.Origin
		key          string
	}{
		{"the sender before the login", "u@a.example", false, at("a", "shop", transport.ViaSMTP), "u@a.example"},
		{"the domain before the login", "v@a.example", false, at("a", "shop", transport.ViaSMTP), "@a.example"},
		{"the login before the site", "v@other.example", false, at("a", "shop", transport.ViaSMTP), "login:shop"},
		{"a login named like an address", "", false, at("a", "u@A.example", transport.ViaSMTP), "login:u@a.example"},
		{"a login that another program knows", "", false, at("a", "elsewhere", transport.ViaSMTP), "login:elsewhere"},
		{"another site's login of the name", "v@other.example", false, at("b", "shop", transport.ViaSMTP), "b"},
		{"the site", "v@other.example", false, at("a", "", transport.ViaSendmail), "a"},
		{"all other mail", "v@other.example", false, at("", "", transport.ViaAPI), "default"},

		{"a bounce leaves like the site it is for", "", false, bounce, "a"},
		{"a stranger's mail, as the stranger says", "u@a.example", false, stranger, "default"},
		{"a bounce of nobody", "", false, at("", "", transport.ViaBounce), "default"},

		{"forwarded: the domain that forwards", "SRS0=x=y=far.example=z@a.example", true, stranger, "@a.example"},
		{"forwarded: the site that forwards", "SRS0=x=y=a.example=u@b.example", true, stranger, "b"},
		{"forwarded for another site's submitter", "SRS0=x=y=a.example=u@b.example", true, at("a", "shop", transport.ViaSMTP), "b"},
		{"forwarded by no site", "SRS0=x=y=a.example=u@host.example", true, stranger, "default"},
	} {
		t.Run(row.what, func(t *testing.T) {
			q := transport.Query{Sender: row.sender, Rewritten: row.rewritten, Origin: row.origin}
			if _, rule, _, err := s.Source(ctx, q); rule != "source: "+row.key || err != nil {
				t.Errorf("by %q, %v; want %q", rule, err, row.key)
			}
		})
	}
	must(t, s.SetSource(ctx, sites.Source{Key: "<>", HELO: "x.example"}))
	if _, rule, _, _ := s.Source(ctx, transport.Query{Origin: bounce}); rule != "source: <>" {
		t.Errorf("a bounce by %q where there is a source for the null reverse-path", rule)
	}
}

func TestASourceOfALoginGoesWithTheLogin(t *testing.T) {
	ctx := t.Context()
	add := func(s *sites.Sites) {
		t.Helper()
		must(t,
			s.AddSite(ctx, sites.Site{Name: "a"}),
			s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "a", Class: sites.Hosted}),
			s.AddLogin(ctx, sites.Login{Name: "u@a.example", Site: "a"}, "canary"),
			s.SetSource(ctx, sites.Source{Key: "login:u@a.example", HELO: "x.example"}))
	}
	for _, row := range []struct {
		what   string
		remove func(*sites.Sites) error
	}{
		{"login", func(s *sites.Sites) error { return s.RemoveLogin(ctx, "u@a.example") }},
		{"domain", func(s *sites.Sites) error { _, err := s.RemoveDomain(ctx, "a.example"); return err }},
		{"site", func(s *sites.Sites) error { _, err := s.RemoveSite(ctx, "a", ""); return err }},
	} {
		s := newSites(t)
		add(s)
		must(t, row.remove(s))
		if left, err := s.ListSources(ctx); err != nil || len(left) > 0 {
			t.Errorf("without its %s: %+v, %v", row.what, left, err)
		}
	}
	s := newSites(t)
	add(s)
	must(t, s.RenameSite(ctx, "a", "new"))
	q := transport.Query{Sender: "v@far.example", Origin: transport.Origin{Site: "new", Login: "u@a.example"}}
	if _, rule, _, _ := s.Source(ctx, q); rule != "source: login:u@a.example" {
		t.Errorf("after the site was renamed: %q", rule)
	}
}

// pool is a pool of three addresses, with shares of one, two and five eighths.
func pool(t *testing.T) *sites.Sites {
	t.Helper()
	s := newSites(t)
	must(t, s.AddSite(t.Context(), sites.Site{Name: "a"}))
	for i, weight := range []int{1, 2, 5} {
		ip := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		must(t, s.AddSource(t.Context(), sites.Source{Key: "a", IPv4: ip, Weight: weight}))
	}
	return s
}

func chosen(t *testing.T, s *sites.Sites, id string) netip.Addr {
	t.Helper()
	src, _, _, err := s.Source(t.Context(), transport.Query{ID: id, Origin: transport.Origin{Site: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	return src.IPv4
}

func TestAPoolSharesMessagesByWeight(t *testing.T) {
	s := pool(t)
	const n = 8000
	got := map[netip.Addr]int{}
	for i := range n {
		got[chosen(t, s, fmt.Sprint("message", i))]++
	}
	for i, share := range []float64{1, 2, 5} {
		want := n * share / 8
		if have := float64(got[netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})]); math.Abs(have-want) > 5*math.Sqrt(want) {
			t.Errorf("weight %v got %v of %d messages, want some %v", share, have, n, want)
		}
	}
}

func TestAMessageKeepsItsSourceWhileTheSourceIsInItsPool(t *testing.T) {
	s, twin := pool(t), pool(t)
	second := netip.MustParseAddr("192.0.2.1")
	was := map[string]netip.Addr{}
	for i := range 200 {
		id := fmt.Sprint("message", i)
		was[id] = chosen(t, s, id)
		if again := chosen(t, twin, id); again != was[id] {
			t.Errorf("%s from %v, after a restart from %v", id, was[id], again)
		}
	}
	must(t, s.RemoveSourceAddrs(t.Context(), "a", second, netip.Addr{}))
	must(t, twin.AddSource(t.Context(), sites.Source{Key: "a", IPv4: netip.MustParseAddr("192.0.2.9"), Weight: 3}))
	for id, ip := range was {
		if now := chosen(t, s, id); now == second || ip != second && now != ip {
			t.Errorf("%s from %v, after another source was removed from %v", id, ip, now)
		}
		if now := chosen(t, twin, id); now != ip && now != netip.MustParseAddr("192.0.2.9") {
			t.Errorf("%s from %v, after a source was added from %v", id, ip, now)
		}
	}
}

func TestAPoolIsListedChangedAndReplaced(t *testing.T) {
	ctx := t.Context()
	s := pool(t)
	first, other := netip.MustParseAddr("192.0.2.0"), netip.MustParseAddr("2001:db8::1")
	must(t,
		s.RemoveSourceAddrs(ctx, "a", netip.MustParseAddr("192.0.2.1"), netip.Addr{}),
		s.AddSource(ctx, sites.Source{Key: "a", IPv4: first, HELO: "x.example", Prefer: transport.OnlyIPv4}),
	)
	if err := s.RemoveSourceAddrs(ctx, "a", first, other); !errors.Is(err, sites.ErrNotFound) {
		t.Errorf("a pair that is none: %v", err)
	}
	got, err := s.ListSources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []sites.Source{
		{Key: "a", IPv4: first, HELO: "x.example", Prefer: transport.OnlyIPv4, Weight: 1},
		{Key: "a", IPv4: netip.MustParseAddr("192.0.2.2"), Weight: 5},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	must(t, s.SetSource(ctx, sites.Source{Key: "a", IPv6: other}))
	if got, _ := s.ListSources(ctx); len(got) != 1 || got[0].IPv6 != other {
		t.Errorf("after it was set anew: %+v", got)
	}
	must(t, s.RemoveSource(ctx, "a"))
	if err := s.RemoveSource(ctx, "a"); !errors.Is(err, sites.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestACredentialMayBeATokenOrComeFromElsewhere(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	static := transport.Credential{User: "u", Password: "canary-token", OAuth: true}
	must(t,
		s.SetCredential(ctx, sites.Credential{Key: "[a.example]", Credential: static}),
		s.SetCredential(ctx, sites.Credential{Key: "[b.example]", Credential: transport.Credential{User: "u", OAuth: true}}))
	for nexthop, want := range map[string]transport.Credential{"[a.example]": static, "[b.example]": {User: "u", OAuth: true}} {
		if got, _, ok, err := s.Credential(ctx, from("x@any.example", ""), nexthop); got != want || !ok || err != nil {
			t.Errorf("%s: %v, %v, %v", nexthop, got, ok, err)
		}
	}
	must(t, s.SetCredential(ctx, sites.Credential{Key: "[a.example]", Credential: transport.Credential{User: "u", Password: "p"}}))
	if got, _, _, _ := s.Credential(ctx, from("x@any.example", ""), "[a.example]"); got.OAuth {
		t.Error("a password in its place is taken for a token")
	}
	for what, err := range map[string]error{
		"no user":               s.SetCredential(ctx, sites.Credential{Key: "[a.example]", Credential: transport.Credential{OAuth: true}}),
		"a control character":   s.SetCredential(ctx, sites.Credential{Key: "[a.example]", Credential: transport.Credential{User: "u", Password: "a\x01b", OAuth: true}}),
		"a smart host's own":    s.SetSmartHost(ctx, sites.SmartHost{Key: "default", Nexthop: "h.example", Credential: static}),
		"no password, no token": s.SetCredential(ctx, sites.Credential{Key: "[a.example]", Credential: transport.Credential{User: "u"}}),
	} {
		if !errors.Is(err, sites.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
