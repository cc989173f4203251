package sites_test

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// TestEachTableBelongsToASiteOrToNone fails for a table that somebody added
// without saying what becomes of its rows when a site goes.
func TestEachTableBelongsToASiteOrToNone(t *testing.T) {
	// Rows of these are nobody's, for the reason given.
	nobodys := map[string]string{
		"panelmail_site":      "the site itself: removed and renamed by hand",
		"panelmail_receipt":   "what is left of a site, with its name but without an address",
		"panelmail_transport": "transports are for all sites",
	}
	ctx := t.Context()
	f := newFile(t)
	_, err := sites.New(ctx, f)
	must(t, err)
	belonging := sites.BelongingTables()
	must(t, f.View(ctx, func(tx *sql.Tx) error {
		there := tables(t, tx)
		for _, name := range there {
			if nobodys[name] == "" && !slices.Contains(belonging, name) {
				t.Errorf("%s: put it into belongings (belong.go), so that its rows go with their site, or say here why they are nobody's", name)
			}
			if nobodys[name] != "" && slices.Contains(columns(t, tx, name), "site") {
				t.Errorf("%s has a column for a site: its rows are somebody's", name)
			}
		}
		for _, name := range belonging {
			if !slices.Contains(there, name) {
				t.Errorf("there is no table %s", name)
			}
		}
		return nil
	}))
}

func columns(t *testing.T, tx *sql.Tx, table string) (names []string) {
	t.Helper()
	rows, err := tx.Query(`SELECT name FROM pragma_table_info(?)`, table)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		names = append(names, name)
	}
	must(t, rows.Err())
	return names
}

func TestNoSiteTouchesWhatIsAnothers(t *testing.T) {
	ctx := t.Context()
	f := newFile(t)
	s, err := sites.New(ctx, f)
	must(t, err)
	fill(t, s, "a", 1001, "192.0.2.1")
	fill(t, s, "b", 1002, "192.0.2.2")
	before := dump(t, f)
	revision := s.Snapshot().Revision()
	for _, domain := range []string{"a.example", "A.EXAMPLE", "alias.a.example", "relay.a.example"} {
		for what, err := range map[string]error{
			"domain":           s.AddDomain(ctx, sites.Domain{Name: domain, Site: "b", Class: sites.Hosted}),
			"login":            s.AddLogin(ctx, sites.Login{Name: "new@" + domain, Site: "b"}, "secret"),
			"mailbox":          s.SetMailbox(ctx, sites.Mailbox{Address: "new@" + domain, Site: "b", Deliver: store}),
			"catch-all":        s.SetMailbox(ctx, sites.Mailbox{Address: "@" + domain, Site: "b", Deliver: store}),
			"alias":            s.SetAlias(ctx, sites.AliasEntry{Pattern: "new@" + domain, Site: "b", Targets: []string{"x@b.example"}}),
			"alias, catch-all": s.SetAlias(ctx, sites.AliasEntry{Pattern: "@" + domain, Site: "b", Targets: []string{"x@b.example"}}),
			"relay recipient":  s.AddRecipients(ctx, sites.Recipient{Address: "new@" + domain, Site: "b"}),
			"uid, new site":    s.AddSite(ctx, sites.Site{Name: "c", UIDs: []int{1003, 1001}}),
			"uid":              s.ChangeSite(ctx, sites.Site{Name: "b", UIDs: []int{1002, 1001}}),
		} {
			if !errors.Is(err, sites.ErrNotOwner) {
				t.Errorf("%s in %s: %v, want %v", what, domain, err, sites.ErrNotOwner)
			}
		}
	}
	if diff := cmp.Diff(before, dump(t, f)); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
	if n := s.Snapshot().Revision(); n != revision {
		t.Errorf("the revision went from %d to %d", revision, n)
	}
}

func TestWhatIsBelowADomainGoesWithItUnlessItIsADomainOfItsOwn(t *testing.T) {
	ctx := t.Context()
	f := newFile(t)
	s, err := sites.New(ctx, f)
	must(t, err)
	must(t, s.AddSite(ctx, sites.Site{Name: "keep"}), s.AddDomain(ctx, sites.Domain{Name: "sub.gone.example", Site: "keep", Class: sites.Hosted}))
	set := func(hosts ...string) {
		t.Helper()
		for _, host := range hosts {
			must(t,
				s.SetRoute(ctx, sites.Route{Pattern: "." + host, Value: "smtp:"}),
				s.SetCredential(ctx, sites.Credential{Key: "[" + host + "]:587", Credential: transport.Credential{User: "u", Password: "p"}}),
				s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: "[" + host + "]:25", Level: transport.TLSEncrypt}),
				s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: "." + host, Level: transport.TLSEncrypt}))
		}
	}
	set("sub.gone.example", "x.sub.gone.example", "notgone.example", "example")
	before := dump(t, f)
	must(t, s.AddSite(ctx, sites.Site{Name: "gone"}), s.AddDomain(ctx, sites.Domain{Name: "gone.example", Site: "gone", Class: sites.Hosted}))
	set("gone.example", "x.gone.example", "a.b.gone.example")
	r, err := s.RemoveSite(ctx, "gone", "")
	must(t, err)
	want := map[string]int{"domains": 1, "routes": 3, "credentials": 3, "tls_policies": 6}
	if diff := cmp.Diff(want, r.Rows); diff != "" {
		t.Errorf("receipt (-want +got):\n%s", diff)
	}
	after := slices.DeleteFunc(dump(t, f), func(row string) bool { return strings.HasPrefix(row, "panelmail_receipt|") })
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
}

func TestWhatThePanelSaysOfAHostStaysWhereMailIsStillSentToIt(t *testing.T) {
	for _, whole := range []bool{true, false} {
		ctx := t.Context()
		s := newSites(t)
		must(t,
			s.AddSite(ctx, sites.Site{Name: "keep"}), s.AddDomain(ctx, sites.Domain{Name: "keep.example", Site: "keep", Class: sites.Hosted}),
			s.AddSite(ctx, sites.Site{Name: "gone"}),
			s.AddDomain(ctx, sites.Domain{Name: "gone.example", Site: "gone", Class: sites.Hosted}),
			s.SetSmartHost(ctx, sites.SmartHost{Key: "default", Nexthop: "[first.example]:587, [smart.gone.example]:587"}),
			s.SetSenderRoute(ctx, sites.SenderRoute{Key: "keep", Value: "relaylim:[sender.gone.example]:587"}),
			s.SetRoute(ctx, sites.Route{Pattern: "x.test", Value: "smtp:[Route.gone.example]:587"}),
			s.SetMailbox(ctx, sites.Mailbox{Address: "u@keep.example", Deliver: "smtp:[box.gone.example]:587"}),
			// These go, and need nothing any more.
			s.SetSmartHost(ctx, sites.SmartHost{Key: "@gone.example", Nexthop: "[own.gone.example]:587"}),
			s.SetRoute(ctx, sites.Route{Pattern: "sub.gone.example", Value: "smtp:[own.gone.example]:587"}),
			s.SetMailbox(ctx, sites.Mailbox{Address: "u@gone.example", Deliver: "smtp:[own.gone.example]:587"}),
		)
		s.KnowSmartHost("[configured.gone.example]:587")
		for _, host := range []string{"box", "configured", "own", "route", "sender", "smart", "unused"} {
			key := "[" + host + ".gone.example]:587"
			must(t,
				s.SetCredential(ctx, sites.Credential{Key: key, Credential: transport.Credential{User: "u", Password: "p"}}),
				s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: key, Level: transport.TLSSecure}))
		}
		var count, r sites.Receipt
		var err error
		if whole {
			count, err = s.CountSite(ctx, "gone")
			must(t, err)
			r, err = s.RemoveSite(ctx, "gone", "")
		} else {
			r, err = s.RemoveDomain(ctx, "gone.example")
			count.Rows = r.Rows
		}
		must(t, err)
		if diff := cmp.Diff(count.Rows, r.Rows); diff != "" {
			t.Errorf("receipt (-counted +removed):\n%s", diff)
		}
		credentials, err := s.ListCredentials(ctx)
		must(t, err)
		policies, err := s.ListTLSPolicies(ctx)
		must(t, err)
		var got, secured, want []string
		for _, c := range credentials {
			got = append(got, c.Key)
		}
		for _, p := range policies {
			secured = append(secured, p.Key)
		}
		for _, host := range []string{"box", "configured", "route", "sender", "smart"} {
			want = append(want, "["+host+".gone.example]:587")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("credentials that stay, the site goes: %v (-want +got):\n%s", whole, diff)
		}
		if diff := cmp.Diff(want, secured); diff != "" {
			t.Errorf("TLS policies that stay, the site goes: %v (-want +got):\n%s", whole, diff)
		}
	}
}
