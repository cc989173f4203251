package sites_test

import (
	"database/sql"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

func TestWhatWasSetIsListed(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t,
		s.AddSite(ctx, sites.Site{Name: "shop", UIDs: []int{1002, 1001}, Contact: "owner@shop.example"}),
		s.AddSite(ctx, sites.Site{Name: "Blog.2", Suspended: true}),
		s.AddDomain(ctx, sites.Domain{Name: "Shop.Example.", Site: "shop", Class: sites.Hosted}),
		s.AddDomain(ctx, sites.Domain{Name: "bücher.example", Site: "shop", Class: sites.Alias}),
		s.AddDomain(ctx, sites.Domain{Name: "relay.example", Site: "Blog.2", Class: sites.Relay}),
		s.SetRoute(ctx, sites.Route{Pattern: ".RU", Value: "oneshot:"}),
		s.SetRoute(ctx, sites.Route{Pattern: "Info@Bücher.example", Value: "smtp:[192.0.2.9]:24"}),
		s.SetSource(ctx, sites.Source{Key: "@SHOP.example", IPv4: netip.MustParseAddr("192.0.2.1"), HELO: "a.example"}),
		s.SetSource(ctx, sites.Source{Key: "shop", IPv6: netip.MustParseAddr("2001:db8::1")}),
		s.SetSmartHost(ctx, sites.SmartHost{Key: "default", Nexthop: "[Smtp.Provider.example]:587,b.example",
			Credential: transport.Credential{User: "u", Password: "p"}}),
		s.SetCredential(ctx, sites.Credential{Key: "[H.example]:587", Credential: transport.Credential{User: "v", Password: "q"}}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: ".Bücher.example", Level: transport.TLSEncrypt}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: "[H.example]:25", Level: transport.TLSNone}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Site: "shop", Key: "[H.example]:25", Level: transport.TLSSecure, TLSTerms: transport.TLSTerms{Match: "h.example"}}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: "*", Level: transport.TLSDANE, TLSTerms: transport.TLSTerms{MinVersion: "1.3"}}),
	)
	type all struct {
		Sites       []sites.Site
		Domains     []sites.Domain
		Routes      []sites.Route
		Sources     []sites.Source
		SmartHosts  []sites.SmartHost
		Credentials []sites.Credential
		TLS         []sites.TLSPolicy
	}
	var got all
	var errs [7]error
	got.Sites, errs[0] = s.ListSites(ctx)
	got.Domains, errs[1] = s.ListDomains(ctx, "")
	got.Routes, errs[2] = s.ListRoutes(ctx)
	got.Sources, errs[3] = s.ListSources(ctx)
	got.SmartHosts, errs[4] = s.ListSmartHosts(ctx)
	got.Credentials, errs[5] = s.ListCredentials(ctx)
	got.TLS, errs[6] = s.ListTLSPolicies(ctx)
	must(t, errs[:]...)
	want := all{
		Sites: []sites.Site{
			{Name: "Blog.2", Suspended: true},
			{Name: "shop", UIDs: []int{1001, 1002}, Contact: "owner@shop.example"},
		},
		Domains: []sites.Domain{
			{Name: "relay.example", Site: "Blog.2", Class: sites.Relay},
			{Name: "shop.example", Site: "shop", Class: sites.Hosted},
			{Name: "xn--bcher-kva.example", Site: "shop", Class: sites.Alias},
		},
		Routes: []sites.Route{
			{Pattern: ".ru", Value: "oneshot:"},
			{Pattern: "info@xn--bcher-kva.example", Value: "smtp:[192.0.2.9]:24"},
		},
		Sources: []sites.Source{
			{Key: "@shop.example", IPv4: netip.MustParseAddr("192.0.2.1"), HELO: "a.example"},
			{Key: "shop", IPv6: netip.MustParseAddr("2001:db8::1")},
		},
		SmartHosts: []sites.SmartHost{{Key: "default", Nexthop: "[smtp.provider.example]:587, b.example",
			Credential: transport.Credential{User: "u"}}},
		Credentials: []sites.Credential{{Key: "[h.example]:587", Credential: transport.Credential{User: "v"}}},
		TLS: []sites.TLSPolicy{
			{Key: "*", Level: "dane", TLSTerms: transport.TLSTerms{MinVersion: "1.3"}},
			{Key: ".xn--bcher-kva.example", Level: "encrypt"},
			{Key: "[h.example]:25", Level: "none"},
			{Site: "shop", Key: "[h.example]:25", Level: "secure", TLSTerms: transport.TLSTerms{Match: "h.example"}},
		},
	}
	ips := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, got, ips); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	one, err := s.ListDomains(ctx, "Blog.2")
	must(t, err)
	if diff := cmp.Diff(want.Domains[:1], one); diff != "" {
		t.Errorf("domains of one site (-want +got):\n%s", diff)
	}
}

func TestEveryRefusalHasItsClassAndNamesTheRow(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t,
		s.AddSite(ctx, sites.Site{Name: "a", UIDs: []int{1000}}),
		s.AddSite(ctx, sites.Site{Name: "b"}),
		s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "a", Class: sites.Hosted}),
		s.AddLogin(ctx, sites.Login{Name: "x@free.example", Site: "a"}, "secret"),
		s.AddLogin(ctx, sites.Login{Name: "Bob", Site: "a"}, "secret"),
	)
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	cred := transport.Credential{User: "u", Password: "p"}
	removeDomain := func(name string) error { _, err := s.RemoveDomain(ctx, name); return err }
	removeSite := func(name string) error { _, err := s.RemoveSite(ctx, name, ""); return err }
	for _, row := range []struct {
		what string
		err  error
		is   error
		text string
	}{
		{"site twice", s.AddSite(ctx, sites.Site{Name: "a"}), sites.ErrExists, `"a"`},
		{"site without a name", s.AddSite(ctx, sites.Site{}), sites.ErrInvalid, `site ""`},
		{"site named like a key", s.AddSite(ctx, sites.Site{Name: "default"}), sites.ErrInvalid, `"default"`},
		{"site with an @", s.AddSite(ctx, sites.Site{Name: "a@b"}), sites.ErrInvalid, `"a@b"`},
		{"site with a line end", s.AddSite(ctx, sites.Site{Name: "a\nb"}), sites.ErrInvalid, `"a\nb"`},
		{"site with a bad contact", s.AddSite(ctx, sites.Site{Name: "c", Contact: "x\ny"}), sites.ErrInvalid, "contact"},
		{"uid of another site", s.AddSite(ctx, sites.Site{Name: "c", UIDs: []int{1000}}), sites.ErrNotOwner, `"1000"`},
		{"negative uid", s.AddSite(ctx, sites.Site{Name: "c", UIDs: []int{-1}}), sites.ErrInvalid, "-1"},
		{"changing no site", s.ChangeSite(ctx, sites.Site{Name: "c"}), sites.ErrNotFound, `"c"`},
		{"suspending no site", s.Suspend(ctx, "c"), sites.ErrNotFound, `"c"`},
		{"removing no site", removeSite("c"), sites.ErrNotFound, `"c"`},
		{"renaming no site", s.RenameSite(ctx, "c", "d"), sites.ErrNotFound, `"c"`},
		{"renaming to a site", s.RenameSite(ctx, "a", "b"), sites.ErrExists, `"b"`},
		{"domain twice", s.AddDomain(ctx, sites.Domain{Name: "A.example", Site: "a", Class: sites.Hosted}), sites.ErrExists, `"a.example"`},
		{"domain of another site", s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "b", Class: sites.Hosted}), sites.ErrNotOwner, `"a"`},
		{"domain in which another site has a login", s.AddDomain(ctx, sites.Domain{Name: "free.example", Site: "b", Class: sites.Hosted}), sites.ErrNotOwner, `"x@free.example"`},
		{"domain of no site", s.AddDomain(ctx, sites.Domain{Name: "c.example", Site: "c", Class: sites.Hosted}), sites.ErrNotFound, `"c"`},
		{"domain without a class", s.AddDomain(ctx, sites.Domain{Name: "c.example", Site: "a"}), sites.ErrInvalid, "class"},
		{"domain that is none", s.AddDomain(ctx, sites.Domain{Name: "a..b", Site: "a", Class: sites.Hosted}), sites.ErrInvalid, `"a..b"`},
		{"domain literal", s.AddDomain(ctx, sites.Domain{Name: "[192.0.2.1]", Site: "a", Class: sites.Hosted}), sites.ErrInvalid, "literal"},
		{"removing no domain", removeDomain("c.example"), sites.ErrNotFound, `"c.example"`},
		{"login twice", s.AddLogin(ctx, sites.Login{Name: "bob", Site: "b"}, "secret"), sites.ErrExists, `"bob"`},
		{"login in a foreign domain", s.AddLogin(ctx, sites.Login{Name: "x@a.example", Site: "b"}, "secret"), sites.ErrNotOwner, `"a.example"`},
		{"login of no site", s.AddLogin(ctx, sites.Login{Name: "x", Site: "c"}, "secret"), sites.ErrNotFound, `"c"`},
		{"login with a blank", s.AddLogin(ctx, sites.Login{Name: "x y", Site: "a"}, "secret"), sites.ErrInvalid, `"x y"`},
		{"empty password", s.AddLogin(ctx, sites.Login{Name: "x", Site: "a"}, ""), sites.ErrInvalid, "empty"},
		{"long password", s.AddLogin(ctx, sites.Login{Name: "x", Site: "a"}, strings.Repeat("x", 1025)), sites.ErrInvalid, "1024"},
		{"foreign hash", s.AddLoginHash(ctx, sites.Login{Name: "x", Site: "a"}, "{SHA}xyz"), sites.ErrInvalid, `"x"`},
		{"password of no login", s.SetPassword(ctx, "nobody", "secret"), sites.ErrNotFound, `"nobody"`},
		{"removing no login", s.RemoveLogin(ctx, "nobody"), sites.ErrNotFound, `"nobody"`},
		{"route with a colon missing", s.SetRoute(ctx, sites.Route{Pattern: "x.example", Value: "smtp [h]"}), sites.ErrInvalid, `"x.example"`},
		{"route that never matches", s.SetRoute(ctx, sites.Route{Pattern: "@x.example", Value: "smtp:"}), sites.ErrInvalid, `"@x.example"`},
		{"removing no route", s.RemoveRoute(ctx, "x.example"), sites.ErrNotFound, `"x.example"`},
		{"source without anything", s.SetSource(ctx, sites.Source{Key: "a"}), sites.ErrInvalid, `"a"`},
		{"source of no site", s.SetSource(ctx, sites.Source{Key: "c", IPv4: v4}), sites.ErrNotFound, `"c"`},
		{"source of an unknown login", s.SetSource(ctx, sites.Source{Key: "login:c", IPv4: v4}), sites.ErrNotFound, `login "c"`},
		{"source of a login that is no name", s.SetSource(ctx, sites.Source{Key: "login:", IPv4: v4}), sites.ErrInvalid, "login"},
		{"source with an unknown preference", s.SetSource(ctx, sites.Source{Key: "a", IPv4: v4, Prefer: "v4"}), sites.ErrInvalid, `"v4"`},
		{"source with an address it never uses", s.SetSource(ctx, sites.Source{Key: "a", IPv4: v4, Prefer: transport.OnlyIPv6}), sites.ErrInvalid, "never"},
		{"source of less than no weight", s.SetSource(ctx, sites.Source{Key: "a", IPv4: v4, Weight: -1}), sites.ErrInvalid, "-1"},
		{"source of the wrong family", s.SetSource(ctx, sites.Source{Key: "a", IPv4: v6}), sites.ErrInvalid, "IPv4"},
		{"source of the wrong family", s.SetSource(ctx, sites.Source{Key: "a", IPv6: v4}), sites.ErrInvalid, "IPv6"},
		{"source from anywhere", s.SetSource(ctx, sites.Source{Key: "a", IPv4: netip.IPv4Unspecified()}), sites.ErrInvalid, "0.0.0.0"},
		{"source with a HELO of two lines", s.SetSource(ctx, sites.Source{Key: "a", HELO: "x\r\nMAIL"}), sites.ErrInvalid, "HELO"},
		{"source with a HELO of U-labels", s.SetSource(ctx, sites.Source{Key: "a", HELO: "bücher.example"}), sites.ErrInvalid, "HELO"},
		{"smart host without one", s.SetSmartHost(ctx, sites.SmartHost{Key: "a", Nexthop: " , "}), sites.ErrInvalid, "next hop"},
		{"smart host with half a credential", s.SetSmartHost(ctx, sites.SmartHost{Key: "a", Nexthop: "h", Credential: transport.Credential{User: "u"}}), sites.ErrInvalid, "password"},
		{"removing no smart host", s.RemoveSmartHost(ctx, "default"), sites.ErrNotFound, `"default"`},
		{"credential for nothing", s.SetCredential(ctx, sites.Credential{Credential: cred}), sites.ErrInvalid, `""`},
		{"credential with a line end", s.SetCredential(ctx, sites.Credential{Key: "h", Credential: transport.Credential{User: "u\r\n", Password: "p"}}), sites.ErrInvalid, `"h"`},
		{"removing no credential", s.RemoveCredential(ctx, "h"), sites.ErrNotFound, `"h"`},
		{"TLS level from the future", s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: "x.example", Level: "half-dane"}), sites.ErrInvalid, `"half-dane"`},
		{"TLS terms without use", s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: "x.example", Level: "may", TLSTerms: transport.TLSTerms{Match: "x"}}), sites.ErrInvalid, `"match"`},
		{"TLS terms of a planner", s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: "x.example", Level: "may", TLSTerms: transport.TLSTerms{Required: true}}), sites.ErrInvalid, "planners"},
		{"TLS policy of no site", s.SetTLSPolicy(ctx, sites.TLSPolicy{Site: "nosite", Key: "x.example", Level: "may"}), sites.ErrNotFound, `"nosite"`},
		{"removing no TLS policy", s.RemoveTLSPolicy(ctx, "", "x.example"), sites.ErrNotFound, `"x.example"`},
	} {
		t.Run(row.what, func(t *testing.T) {
			if !errors.Is(row.err, row.is) {
				t.Fatalf("error %v, want one that is %v", row.err, row.is)
			}
			if !strings.Contains(row.err.Error(), row.text) {
				t.Errorf("error %q does not name %s", row.err, row.text)
			}
		})
	}
	list, err := s.ListSites(ctx)
	must(t, err)
	if len(list) != 2 {
		t.Errorf("a refused change left something: %v", list)
	}
}

// fill gives a site a row of every kind.
func fill(t *testing.T, s *sites.Sites, name string, uid int, ip string) {
	t.Helper()
	ctx, domain := t.Context(), name+".example"
	cred := transport.Credential{User: name, Password: "secret of " + name}
	must(t,
		s.AddSite(ctx, sites.Site{Name: name, UIDs: []int{uid}}),
		s.AddDomain(ctx, sites.Domain{Name: domain, Site: name, Class: sites.Hosted}),
		s.AddDomain(ctx, sites.Domain{Name: "alias." + domain, Site: name, Class: sites.Alias}),
		s.AddLogin(ctx, sites.Login{Name: name, Site: name}, "secret of "+name),
		s.AddLogin(ctx, sites.Login{Name: "info@" + domain, Site: name}, "secret of "+name),
		s.SetMailbox(ctx, sites.Mailbox{Address: "info@" + domain, Deliver: store}),
		s.SetAlias(ctx, sites.AliasEntry{Pattern: "@" + domain, Targets: []string{"info@" + domain}}),
		s.SetAlias(ctx, sites.AliasEntry{Pattern: "x@alias." + domain, Targets: []string{"info@" + domain}}),
		s.AddDomain(ctx, sites.Domain{Name: "relay." + domain, Site: name, Class: sites.Relay}),
		s.AddRecipients(ctx, sites.Recipient{Address: "u@relay." + domain}, sites.Recipient{Address: "v@relay." + domain}),
		s.SetRoutes(ctx, []sites.Route{
			{Pattern: domain, Value: "lmtp:unix:/x"}, {Pattern: "." + domain, Value: "smtp:"}, {Pattern: "u@" + domain, Value: "hold:"},
		}),
		s.SetSource(ctx, sites.Source{Key: name, IPv4: netip.MustParseAddr(ip)}),
		s.SetSource(ctx, sites.Source{Key: "@" + domain, IPv4: netip.MustParseAddr(ip), HELO: "at." + domain}),
		s.SetSource(ctx, sites.Source{Key: "vip@" + domain, IPv4: netip.MustParseAddr(ip), HELO: "vip." + domain}),
		s.SetSmartHost(ctx, sites.SmartHost{Key: name, Nexthop: "[smart." + domain + "]:587", Credential: cred}),
		s.SetSmartHost(ctx, sites.SmartHost{Key: "vip@" + domain, Nexthop: "[vip." + domain + "]:587"}),
		s.SetCredential(ctx, sites.Credential{Key: "@" + domain, Credential: cred}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: domain, Level: transport.TLSEncrypt}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Site: name, Key: "far.example", Level: transport.TLSSecure}),
		s.SetTemplate(ctx, sites.Template{Site: name, Name: "mail.tmpl", Syntax: sites.GoTemplate, Text: "of " + name}),
		rotateTwice(ctx, s, name),
	)
	_, err := s.GenerateDKIM(ctx, sites.DKIMPolicy{Domain: domain, Algorithms: []dkim.Algorithm{dkim.Ed25519}})
	must(t, err)
}

func TestRemovingASiteLeavesNothingOfItAndEverythingElse(t *testing.T) {
	ctx := t.Context()
	f := newFile(t)
	s, err := sites.New(ctx, f)
	must(t, err)
	fill(t, s, "keep", 1001, "192.0.2.1")
	before := dump(t, f)
	fill(t, s, "gone", 1002, "192.0.2.2")

	count, err := s.CountSite(ctx, "gone")
	must(t, err)
	r, err := s.RemoveSite(ctx, "gone", "the panel")
	must(t, err)
	want := sites.Receipt{Site: "gone", Rows: map[string]int{"uids": 1, "domains": 3, "logins": 2, "mailboxes": 1, "aliases": 2,
		"relay_recipients": 2, "routes": 3, "sources": 3, "smarthosts": 2, "credentials": 1, "tls_policies": 2, "templates": 1, "srs_secrets": 2, "dkim_keys": 1, "dkim_policies": 1}}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("counted before (-want +got):\n%s", diff)
	}
	want.By, want.Time = "the panel", r.Time
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}
	receipts, err := s.Receipts(ctx, "gone")
	must(t, err)
	if diff := cmp.Diff([]sites.Receipt{r}, receipts); diff != "" {
		t.Errorf("receipts kept (-want +got):\n%s", diff)
	}
	after := slices.DeleteFunc(dump(t, f), func(row string) bool { return strings.HasPrefix(row, "panelmail_receipt|") })
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
}

func TestRemovingADomainLeavesNothingForItsNextOwner(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	fill(t, s, "a", 1001, "192.0.2.1")
	must(t, s.AddSite(ctx, sites.Site{Name: "b"}))
	r, err := s.RemoveDomain(ctx, "A.Example")
	must(t, err)
	want := sites.Receipt{Site: "a", Rows: map[string]int{"domains": 1, "logins": 1, "mailboxes": 1, "aliases": 1,
		"routes": 3, "sources": 2, "smarthosts": 1, "credentials": 1, "tls_policies": 1, "dkim_keys": 1, "dkim_policies": 1}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}
	must(t, s.AddDomain(ctx, sites.Domain{Name: "a.example", Site: "b", Class: sites.Hosted}))
	q := transport.Query{Sender: "vip@a.example", Origin: transport.Origin{Site: "b"}}
	if src, rule, ok, _ := s.Source(ctx, q); ok {
		t.Errorf("the next owner got source %v by %s", src, rule)
	}
	if _, err := s.Authenticate(ctx, "info@a.example", "secret of a"); !errors.Is(err, sites.ErrBadCredentials) {
		t.Errorf("a login of the former owner answers %v", err)
	}
}

func TestRenamingASiteKeepsItsRows(t *testing.T) {
	ctx := t.Context()
	f := newFile(t)
	s, err := sites.New(ctx, f)
	must(t, err)
	fill(t, s, "old", 1001, "192.0.2.1")
	must(t, s.RenameSite(ctx, "old", "new"))
	snap := s.Snapshot()
	if site, ok := snap.SiteOfUID(1001); !ok || site != "new" {
		t.Errorf("uid belongs to %q", site)
	}
	if d, ok := snap.Domain("old.example"); !ok || d.Site != "new" {
		t.Errorf("domain is %v", d)
	}
	if _, rule, _, _ := s.Source(ctx, transport.Query{Sender: "x@elsewhere.example", Origin: transport.Origin{Site: "new"}}); rule != "source: new" {
		t.Errorf("source by rule %q", rule)
	}
	if l, err := s.Authenticate(ctx, "old", "secret of old"); err != nil || l.Site != "new" {
		t.Errorf("login %v, %v", l, err)
	}
	for _, row := range dump(t, f) {
		if strings.Contains(row, "|old|old") && !strings.HasPrefix(row, "panelmail_login") {
			t.Errorf("still the old site: %s", row)
		}
	}
}

func TestSetRoutesIsAllOrNothing(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	err := s.SetRoutes(ctx, []sites.Route{{Pattern: "a.example", Value: "smtp:"}, {Pattern: "b.example", Value: "error:4.7.1 no"}})
	if !errors.Is(err, sites.ErrInvalid) || !strings.Contains(err.Error(), "b.example") {
		t.Fatalf("error %v", err)
	}
	routes, err := s.ListRoutes(ctx)
	must(t, err)
	if len(routes) != 0 {
		t.Errorf("routes %v", routes)
	}
}

func TestWildcardsOfLIKEAndQuotesAreOrdinaryCharacters(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	fill(t, s, "a", 1001, "192.0.2.1")
	for _, name := range []string{"%", "_", "a%", "'; DROP TABLE panelmail_site; --", `"`, "a\x00"} {
		if _, err := s.RemoveSite(ctx, name, ""); !errors.Is(err, sites.ErrNotFound) {
			t.Errorf("RemoveSite(%q): %v", name, err)
		}
		if _, err := s.Authenticate(ctx, name, "secret of a"); !errors.Is(err, sites.ErrBadCredentials) {
			t.Errorf("Authenticate(%q): %v", name, err)
		}
		if n := len(logins(t, s, name)); n != 0 {
			t.Errorf("ListLogins(%q): %d", name, n)
		}
		if err := s.RemoveRoute(ctx, name); !errors.Is(err, sites.ErrNotFound) {
			t.Errorf("RemoveRoute(%q): %v", name, err)
		}
	}
	must(t, s.SetSource(ctx, sites.Source{Key: "%@a.example", HELO: "percent.example"}))
	_, rule, _, _ := s.Source(ctx, transport.Query{Sender: "x@a.example"})
	if rule != "source: @a.example" {
		t.Errorf("%% matched: rule %q", rule)
	}
}

func logins(t *testing.T, s *sites.Sites, site string) []sites.Login {
	t.Helper()
	list := []sites.Login{}
	for l, err := range s.ListLogins(t.Context(), site) {
		must(t, err)
		list = append(list, l)
	}
	return list
}

// dump is every row of every table, but for the revision.
func dump(t *testing.T, f *file) []string {
	t.Helper()
	var all []string
	err := f.View(t.Context(), func(tx *sql.Tx) error {
		for _, table := range tables(t, tx) {
			rows, err := tx.Query("SELECT * FROM " + table)
			if err != nil {
				return err
			}
			columns, _ := rows.Columns()
			for rows.Next() {
				values, args := make([]string, len(columns)), make([]any, len(columns))
				for i := range values {
					args[i] = &values[i]
				}
				must(t, rows.Scan(args...))
				all = append(all, table+"|"+strings.Join(values, "|"))
			}
			must(t, rows.Err(), rows.Close())
		}
		return nil
	})
	must(t, err)
	slices.Sort(all)
	return all
}

func tables(t *testing.T, tx *sql.Tx) []string {
	t.Helper()
	rows, err := tx.Query(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('panelmail_sites_version', 'sqlite_sequence')`)
	must(t, err)
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		names = append(names, name)
	}
	return names
}
