package sites_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// stored is what the tables of an import hold now.
func stored(t *testing.T, s *sites.Sites) (all sites.Import) {
	t.Helper()
	var errs [5]error
	all.Routes, errs[0] = s.ListRoutes(t.Context())
	all.SenderRoutes, errs[1] = s.ListSenderRoutes(t.Context())
	all.Sources, errs[2] = s.ListSources(t.Context())
	all.SmartHosts, errs[3] = s.ListSmartHosts(t.Context())
	all.Credentials, errs[4] = s.ListCredentials(t.Context())
	must(t, errs[:]...)
	return all
}

// rows is one row of each kind.
func rows() sites.Import {
	return sites.Import{
		Routes:       []sites.Route{{Pattern: "a.test", Value: "relaylim:"}},
		SenderRoutes: []sites.SenderRoute{{Key: "@a.test", Value: "oneshot:"}},
		Sources:      []sites.Source{{Key: "@a.test", IPv4: services[0].IPv4}},
		SmartHosts:   []sites.SmartHost{{Key: "@a.test", Nexthop: "[gw.test]"}},
		Credentials:  []sites.Credential{{Key: "[gw.test]", Credential: transport.Credential{User: "u", Password: "p"}}},
	}
}

func TestAnImportIsStoredWholeOrNotAtAll(t *testing.T) {
	s := newSites(t)
	for name, spoil := range map[string]func(*sites.Import){
		"a dry run":                        func(i *sites.Import) { i.DryRun = true },
		"a route by an unknown transport":  func(i *sites.Import) { i.Routes[0].Value = "mydom:" },
		"a sender by an unknown transport": func(i *sites.Import) { i.SenderRoutes[0].Value = "mydom:" },
		"a sender without a transport":     func(i *sites.Import) { i.SenderRoutes[0].Value = ":[gw.test]" },
		"a value that is too long":         func(i *sites.Import) { i.SenderRoutes[0].Value = "smtp:" + strings.Repeat("x", 8<<10) },
		"a source without an address":      func(i *sites.Import) { i.Sources[0].IPv4 = services[1].IPv6 },
		"a smart host that is none":        func(i *sites.Import) { i.SmartHosts[0].Nexthop = "[gw" },
		"a default that keeps itself":      func(i *sites.Import) { i.SmartHosts[0] = sites.SmartHost{Key: "default", Nexthop: "DUNNO"} },
		"a credential without a password":  func(i *sites.Import) { i.Credentials[0].Credential.Password = "" },
		"a site that is unknown":           func(i *sites.Import) { i.SenderRoutes[0].Key = "nobody" },
	} {
		i := rows()
		spoil(&i)
		err := s.Import(t.Context(), i)
		if wrong := errors.Is(err, sites.ErrInvalid) || errors.Is(err, sites.ErrNotFound); wrong == i.DryRun {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(sites.Import{}, stored(t, s), addresses, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: something is stored:\n%s", name, diff)
		}
	}
	must(t, s.Import(t.Context(), rows()))
	want := rows()
	want.Credentials[0].Credential.Password = ""
	if diff := cmp.Diff(want, stored(t, s), addresses); diff != "" {
		t.Error(diff)
	}
}

func TestARowMayNameATransportThatTheProgramDefines(t *testing.T) {
	s := newSites(t)
	set := func() error {
		return errors.Join(
			s.SetRoute(t.Context(), sites.Route{Pattern: "a.test", Value: "slow:"}),
			s.SetSenderRoute(t.Context(), sites.SenderRoute{Key: "@a.test", Value: "slow:"}))
	}
	if err := set(); !errors.Is(err, sites.ErrInvalid) || strings.Count(err.Error(), `unknown transport "slow"`) != 2 {
		t.Errorf("%v", err)
	}
	s.KnowTransports(transport.Definitions{"slow": {Name: "slow", Base: "smtp"}})
	must(t, set())
}

func TestATransportMapIsNeverTooLargeToBeLoaded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	f := newFile(t)
	s, err := sites.New(t.Context(), f)
	must(t, err, f.Update(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`
			WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO panelmail_route (pattern, domain, value) SELECT 'd' || i || '.test', 'd' || i || '.test', 'smtp:' FROM n`,
			transport.MaxRows-1)
		return err
	}))
	must(t, s.SetRoute(t.Context(), sites.Route{Pattern: "last.test", Value: "smtp:"}))
	if err := s.SetRoute(t.Context(), sites.Route{Pattern: "more.test", Value: "smtp:"}); !errors.Is(err, sites.ErrInvalid) {
		t.Errorf("one too many: %v", err)
	}
	must(t, s.SetRoute(t.Context(), sites.Route{Pattern: "last.test", Value: "oneshot:"}))
	var n int
	must(t, f.View(t.Context(), func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM panelmail_route`).Scan(&n)
	}))
	if n != transport.MaxRows {
		t.Errorf("%d rows, want %d", n, transport.MaxRows)
	}
}

func TestSenderRoutesAndExceptionsAreFoundAsSourcesAre(t *testing.T) {
	s := newSites(t)
	must(t,
		s.AddSite(t.Context(), sites.Site{Name: "shop"}),
		s.AddDomain(t.Context(), sites.Domain{Name: "a.test", Site: "shop", Class: sites.Hosted}),
		s.Import(t.Context(), sites.Import{
			SenderRoutes: []sites.SenderRoute{
				{Key: "u@a.test", Value: "relaylim:"}, {Key: "vip@a.test", Value: "DUNNO"}, {Key: "@a.test", Value: "oneshot:[hop]"},
				{Key: "shop", Value: "relay:"}, {Key: "<>", Value: "smtp:[null]"}, {Key: "default", Value: "smtp:[all]:26"},
			},
			SmartHosts: []sites.SmartHost{
				{Key: "vip@a.test", Nexthop: "DUNNO"}, {Key: "@a.test", Nexthop: "[own]"}, {Key: "default", Nexthop: "[all]"},
			},
		}))
	for _, row := range []struct{ sender, site, route, host string }{
		{"u+x@A.test", "shop", "relaylim: sender route: u@a.test", "[own] smarthost: @a.test"},
		{"vip@a.test", "shop", "", "[all] smarthost: default"},
		{"v@a.test", "shop", "oneshot:[hop] sender route: @a.test", "[own] smarthost: @a.test"},
		{"v@elsewhere.test", "shop", "relay: sender route: shop", "[all] smarthost: default"},
		{"v@a.test", "another", "smtp:[all]:26 sender route: default", "[all] smarthost: default"},
		{"", "shop", "smtp:[null] sender route: <>", "[all] smarthost: default"},
		{"v@sub.a.test", "", "smtp:[all]:26 sender route: default", "[all] smarthost: default"},
	} {
		q := transport.Query{Sender: row.sender, Recipient: "r@remote.test", Origin: transport.Origin{Site: row.site}}
		r, rule, ok, err := s.SenderRoute(t.Context(), q)
		got := ""
		if must(t, err); ok {
			got = r.String() + " " + rule
		}
		host, hostRule, _, err := s.SmartHost(t.Context(), q)
		must(t, err)
		if diff := cmp.Diff([2]string{row.route, row.host}, [2]string{got, host + " " + hostRule}); diff != "" {
			t.Errorf("<%s> of %q:\n%s", row.sender, row.site, diff)
		}
	}
}

func TestRoutesAreReadAgainOnlyWhenOneChanged(t *testing.T) {
	f := newFile(t)
	s, err := sites.New(t.Context(), f)
	must(t, err, s.AddSite(t.Context(), sites.Site{Name: "a"}),
		s.AddDomain(t.Context(), sites.Domain{Name: "a.test", Site: "a", Class: sites.Hosted}))
	other, err := sites.New(t.Context(), f)
	must(t, err)
	rule := func() string {
		snap, err := other.Reload(t.Context())
		must(t, err)
		_, rule, _, err := snap.Route(t.Context(), transport.Query{Recipient: "u@a.test"})
		must(t, err)
		return rule
	}
	for _, step := range []struct {
		what string
		do   func() error
		want string
	}{
		{"added", func() error { return s.SetRoute(t.Context(), sites.Route{Pattern: ".test", Value: "smtp:"}) }, "route: .test"},
		{"another kind of setting", func() error { return s.AddSite(t.Context(), sites.Site{Name: "b"}) }, "route: .test"},
		{"a second", func() error { return s.SetRoute(t.Context(), sites.Route{Pattern: "a.test", Value: "smtp:"}) }, "route: a.test"},
		{"removed with its domain", func() error { _, err := s.RemoveDomain(t.Context(), "a.test"); return err }, "route: .test"},
		{"removed", func() error { return s.RemoveRoute(t.Context(), ".test") }, ""},
	} {
		must(t, step.do())
		if got := rule(); got != step.want {
			t.Errorf("%s: %q, want %q", step.what, got, step.want)
		}
	}
	table := func() *sites.Snapshot { snap, err := s.Reload(t.Context()); must(t, err); return snap }
	must(t, s.SetRoute(t.Context(), sites.Route{Pattern: "a.test", Value: "smtp:"}))
	before := table()
	must(t, s.AddSite(t.Context(), sites.Site{Name: "c"}))
	if after := table(); !sites.SameRoutes(before, after) {
		t.Error("read again, though no route changed")
	}
	must(t, s.SetRoute(t.Context(), sites.Route{Pattern: "a.test", Value: "relay:"}))
	if after := table(); sites.SameRoutes(before, after) {
		t.Error("not read again, though a route changed")
	}
}
