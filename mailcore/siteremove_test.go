package mailcore_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// settleSite gives a site settings of every kind, each with its name in it.
func settleSite(t *testing.T, srv *mailcore.Server, name string, uid int, ip string) {
	t.Helper()
	ctx, s, domain := t.Context(), srv.Sites(), name+".example"
	cred := transport.Credential{User: "user-of-" + name, Password: "secret-of-" + name}
	for i, err := range []error{
		s.AddSite(ctx, sites.Site{Name: name, UIDs: []int{uid}, Contact: "boss@" + domain}),
		s.AddDomain(ctx, sites.Domain{Name: domain, Site: name, Class: sites.Hosted}),
		s.AddDomain(ctx, sites.Domain{Name: "relay." + domain, Site: name, Class: sites.Relay}),
		s.AddLogin(ctx, sites.Login{Name: "login-" + name, Site: name}, "secret-of-"+name),
		s.AddLogin(ctx, sites.Login{Name: "info@" + domain, Site: name}, "secret-of-"+name),
		s.SetAlias(ctx, sites.AliasEntry{Pattern: "@" + domain, Targets: []string{"info@elsewhere-" + name + ".test"}}),
		s.SetMailbox(ctx, sites.Mailbox{Address: "info@" + domain, Deliver: "smtp:[store." + domain + "]:24"}),
		s.AddRecipients(ctx, sites.Recipient{Address: "u@relay." + domain}),
		s.SetSenderRoute(ctx, sites.SenderRoute{Key: name, Value: "relaylim:"}),
		s.SetSenderRoute(ctx, sites.SenderRoute{Key: "vip@" + domain, Value: "smtp:[vip." + domain + "]"}),
		s.SetSource(ctx, sites.Source{Key: "login:login-" + name, IPv4: netip.MustParseAddr(ip), HELO: "login." + domain}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Site: name, Key: "*", Level: transport.TLSEncrypt}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: "[mail." + domain + "]:25", Level: transport.TLSEncrypt}),
		s.SaveSTS(ctx, transport.STSEntry{Domain: domain}),
		s.SetRoute(ctx, sites.Route{Pattern: "held." + domain, Value: "hold:"}),
		s.SetRoute(ctx, sites.Route{Pattern: domain, Value: "relay:[mail." + domain + "]"}),
		s.SetSource(ctx, sites.Source{Key: name, IPv4: netip.MustParseAddr(ip), HELO: "out." + domain}),
		s.SetSource(ctx, sites.Source{Key: "@" + domain, IPv4: netip.MustParseAddr(ip), HELO: "at." + domain}),
		s.SetSmartHost(ctx, sites.SmartHost{Key: "vip@" + domain, Nexthop: "[smart." + domain + "]:587", Credential: cred}),
		s.SetCredential(ctx, sites.Credential{Key: "@" + domain, Credential: cred}),
		s.SetTLSPolicy(ctx, sites.TLSPolicy{Key: domain, Level: transport.TLSEncrypt}),
	} {
		if err != nil {
			t.Fatalf("setting %d of %s: %v", i, name, err)
		}
	}
}

// mailOf queues mail of a site: fresh, on hold, one large, one with a key, one to be
// delivered and one to be deferred, and a rule about it.
func mailOf(t *testing.T, srv *mailcore.Server, name string) {
	t.Helper()
	from := "a@" + name + ".example"
	for i := range 40 {
		m := hello(from, fmt.Sprintf("u%d@peer-of-%s.test", i, name), fmt.Sprintf("v%d@late-of-%s.test", i, name))
		m.Site, m.Key = name, fmt.Sprintf("key-%s-%d", name, i)
		m.Content = strings.NewReader("Subject: of " + name + "\n\n" + strings.Repeat("text of "+name+".example\n", 1+i*40))
		submit(t, srv, m)
	}
	m := hello(from, "big@peer-of-"+name+".test")
	m.Site, m.Content = name, strings.NewReader("Subject: big\n\n"+strings.Repeat("large text of "+name+".example\n", 30_000))
	big := submit(t, srv, m)
	if _, err := srv.Queue().Hold(t.Context(), queue.Match{IDs: []string{big}}); err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Queue().AddRule(t.Context(), queue.Rule{Site: name, Domain: "never-" + name + ".test"}); err != nil {
		t.Fatal(err)
	}
}

// attemptAll has each message that is due attempted once: what is for a peer is
// delivered, the rest deferred.
func attemptAll(t *testing.T, srv *mailcore.Server, deliveries int) {
	t.Helper()
	done := make(chan struct{}, 1000)
	tr := transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
		defer func() { done <- struct{}{} }()
		if strings.Contains(d.Envelope.Recipients[0].Address, "@late-of-") {
			return d.All(transport.Outcome{Reply: transport.Replyf(451, "4.7.1", "come back, %s", d.Envelope.ReversePath), Host: "mx.test", Transcript: "S: 451 for " + d.Envelope.ReversePath})
		}
		return d.All(transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "thanks, %s", d.Envelope.ReversePath), Host: "mx.test"})
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Queue().Run(ctx, tr) }()
	for range deliveries {
		<-done
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// openAlone opens a server that is not run.
func openAlone(t *testing.T) (srv *mailcore.Server, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "panelmail.db")
	srv, err := mailcore.Open(t.Context(), path, mailcore.Config{Hostname: "mail.panel.test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return srv, path
}

// rowsOf dumps all tables but those named.
func rowsOf(t *testing.T, srv *mailcore.Server, but ...string) (all []string) {
	t.Helper()
	err := srv.Queue().View(t.Context(), func(tx *sql.Tx) error {
		var tables []string
		rows, err := tx.Query(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'panelmail%' ORDER BY name`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			tables = append(tables, name)
		}
		for _, table := range tables {
			if slices.Contains(but, table) {
				continue
			}
			rows, err := tx.Query(`SELECT * FROM ` + table)
			if err != nil {
				return err
			}
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			for rows.Next() {
				values, args := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
				for i := range values {
					args[i] = &values[i]
				}
				if err := rows.Scan(args...); err != nil {
					return err
				}
				all = append(all, fmt.Sprintf("%s %q", table, values))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// inFile counts where a text is in the database and in its log, without regard to
// case. Another process reads them: to close a descriptor of the file here would
// end the locks of the server.
func inFile(t *testing.T, path, text string) (n int) {
	t.Helper()
	for _, name := range []string{path, path + "-wal"} {
		octets, err := exec.Command("cat", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(bytes.ToLower(octets), []byte(strings.ToLower(text)))
	}
	return n
}

// moving are the tables that are nobody's, or have rows about all.
var moving = []string{"panelmail_lane", "panelmail_receipt", "panelmail_revision", "panelmail_shut", "panelmail_sites_version", "panelmail_version"}

func TestOfARemovedSiteThereIsNoTraceButTheReceipt(t *testing.T) {
	srv, path := openAlone(t)
	settleSite(t, srv, "keepsite", 70001, "127.0.0.65")
	mailOf(t, srv, "keepsite")
	attemptAll(t, srv, 80)
	before := rowsOf(t, srv, moving...)

	settleSite(t, srv, "gonesite", 70002, "127.0.0.66")
	mailOf(t, srv, "gonesite")
	attemptAll(t, srv, 80)
	submit(t, srv, hello("a@gonesite.example", "w@peer-of-gonesite.test")) // the panel's own, in the name of the site
	count, err := srv.Sites().CountSite(t.Context(), "gonesite")
	if err != nil {
		t.Fatal(err)
	}
	for _, mark := range []string{"gonesite.example", "of-gonesite", "127.0.0.66"} {
		if inFile(t, path, mark) == 0 {
			t.Fatalf("%q was never in the file: the scan proves nothing", mark)
		}
	}

	receipt, err := srv.RemoveSite(t.Context(), "gonesite", "a person")
	if err != nil {
		t.Fatal(err)
	}
	for _, mark := range []string{"gonesite.example", "of-gonesite", "login-gonesite", "never-gonesite", "127.0.0.66"} {
		if n := inFile(t, path, mark); n > 0 {
			t.Errorf("%q is in the file %d times", mark, n)
		}
	}
	if n := inFile(t, path, "gonesite"); n != 1 {
		t.Errorf("the name is in the file %d times, and not in the receipt alone", n)
	}
	if diff := cmp.Diff(before, rowsOf(t, srv, moving...)); diff != "" {
		t.Errorf("of the site beside it (-before +after):\n%s", diff)
	}
	count.By, count.Time = receipt.By, receipt.Time
	if diff := cmp.Diff(count, receipt); diff != "" {
		t.Errorf("receipt (-counted +removed):\n%s", diff)
	}
	// Of 41 messages 40 are half delivered and one is on hold; one is the panel's.
	for kind, want := range map[string]int{"messages": 42, "recipients": 42, "keys": 40, "rules": 1, "domains": 2, "logins": 2, "sources": 3, "routes": 2,
		"uids": 1, "mailboxes": 1, "aliases": 1, "relay_recipients": 1, "sender_routes": 2, "smarthosts": 1, "credentials": 1, "tls_policies": 3, "sts_policies": 1} {
		if receipt.Rows[kind] != want {
			t.Errorf("receipt: %d %s, want %d", receipt.Rows[kind], kind, want)
		}
	}
}

func TestNothingOfARemovedSiteIsStored(t *testing.T) {
	srv, _ := openAlone(t)
	settleSite(t, srv, "gone", 70002, "127.0.0.66")
	if _, err := srv.RemoveSite(t.Context(), "gone", ""); err != nil {
		t.Fatal(err)
	}
	m := queue.Message{Envelope: transport.Envelope{ReversePath: "a@gone.example", Recipients: []transport.Recipient{{Address: "u@peer.test"}}},
		Origin: transport.Origin{Site: "gone", Via: transport.ViaSMTP}}
	if _, err := srv.Queue().Enqueue(t.Context(), m, strings.NewReader("Subject: late\r\n\r\n")); !errors.Is(err, queue.ErrSiteGone) {
		t.Errorf("stored after the removal: %v", err)
	}
	// What was on its way in memory finds no source, and not that of somebody else.
	if plan, err := srv.Explain(t.Context(), "gone", "a@gone.example", "u@peer.test"); err == nil {
		t.Errorf("planned from %+v", plan.Source)
	}
	settleSite(t, srv, "gone", 70002, "127.0.0.67")
	if _, err := srv.Queue().Enqueue(t.Context(), m, strings.NewReader("Subject: anew\r\n\r\n")); err != nil {
		t.Errorf("of the next site of the name: %v", err)
	}
}

func TestABrokenOffRemovalIsFinishedAndCountsAll(t *testing.T) {
	srv, path := openAlone(t)
	settleSite(t, srv, "gonesite", 70002, "127.0.0.66")
	mailOf(t, srv, "gonesite")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	broken := func() {
		// The mark is made, and then the process is over.
		err := srv.Queue().Update(t.Context(), func(tx *sql.Tx) error {
			if _, err := tx.Exec(`UPDATE panelmail_site SET suspended = 1, removing = 1, removed_by = 'first' WHERE name = 'gonesite'`); err != nil {
				return err
			}
			return srv.Queue().CloseSite(tx, "gonesite")
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Queue().EmptySite(ctx, "gonesite", nil); err == nil {
			t.Fatal("nothing was broken off")
		}
	}
	broken()
	if _, err := srv.Sites().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := srv.Sites().Resume(t.Context(), "gonesite"); !errors.Is(err, sites.ErrInvalid) {
		t.Errorf("a site that is being removed was resumed: %v", err)
	}
	receipt, err := srv.RemoveSite(t.Context(), "gonesite", "second")
	if err != nil {
		t.Fatal(err)
	}
	if receipt.By != "first" || receipt.Rows["messages"] != 41 || receipt.Rows["domains"] != 2 {
		t.Errorf("receipt %+v", receipt)
	}
	if n := inFile(t, path, "gonesite"); n != 1 {
		t.Errorf("the name is in the file %d times, and not in the receipt alone", n)
	}
}

// heldOf lists the mail of a site with its state and why it is on hold.
func statesOf(t *testing.T, srv *mailcore.Server, site string) map[string]string {
	t.Helper()
	states := map[string]string{}
	for e, err := range srv.Queue().Entries(t.Context(), queue.Match{Site: site}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range e.Recipients {
			states[r.Address] = r.State.String() + " " + r.Held
		}
	}
	return states
}

func TestResumeReleasesWhatTheSuspensionHeldAndNothingElse(t *testing.T) {
	srv, _ := openAlone(t)
	ctx := t.Context()
	addSite(t, srv, "shop", "shop.example")
	send := func(to string) string {
		m := hello("a@shop.example", to)
		m.Site = "shop"
		return submit(t, srv, m)
	}
	send("waits@peer.test")
	by, later := send("person@peer.test"), send("later@peer.test")
	out := send("released@peer.test")
	if _, err := srv.Queue().AddRule(ctx, queue.Rule{Domain: "ruled.test", Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	send("u@ruled.test")
	hold := func(f func(context.Context, queue.Match) (int, error), id string) {
		if _, err := f(ctx, queue.Match{IDs: []string{id}}); err != nil {
			t.Fatal(err)
		}
	}
	hold(srv.Queue().Hold, by)
	hold(srv.Queue().Hold, out)
	if err := srv.Sites().Suspend(ctx, "shop"); err != nil {
		t.Fatal(err)
	}
	m := hello("a@shop.example", "new@peer.test")
	m.Site = "shop"
	if _, err := srv.Submit(ctx, m); err == nil {
		t.Error("mail of a suspended site was taken")
	}
	raw := queue.Message{Envelope: transport.Envelope{ReversePath: "a@shop.example", Recipients: []transport.Recipient{{Address: "onitsway@peer.test"}}},
		Origin: transport.Origin{Site: "shop", Via: transport.ViaSMTP}}
	if _, err := srv.Queue().Enqueue(ctx, raw, strings.NewReader("Subject: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	hold(srv.Queue().Hold, later)
	hold(srv.Queue().Release, out)
	if _, err := srv.Queue().Release(ctx, queue.Match{Domain: "peer.test", Recipient: "waits@peer.test"}); err != nil {
		t.Fatal(err)
	}
	const suspended, person = "hold the site is suspended", "hold held by the administrator"
	want := map[string]string{
		"waits@peer.test": suspended, "person@peer.test": person, "later@peer.test": person, "released@peer.test": suspended,
		"onitsway@peer.test": suspended, "u@ruled.test": "hold held by rule 1: spam",
	}
	if diff := cmp.Diff(want, statesOf(t, srv, "shop")); diff != "" {
		t.Errorf("suspended (-want +got):\n%s", diff)
	}
	if err := srv.Sites().Resume(ctx, "shop"); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"waits@peer.test", "released@peer.test", "onitsway@peer.test"} {
		want[address] = "waiting "
	}
	if diff := cmp.Diff(want, statesOf(t, srv, "shop")); diff != "" {
		t.Errorf("resumed (-want +got):\n%s", diff)
	}
	submit(t, srv, m)
}

func TestARenamedSiteKeepsAllOfItsRows(t *testing.T) {
	srv, _ := openAlone(t)
	settleSite(t, srv, "oldname", 70002, "127.0.0.66")
	mailOf(t, srv, "oldname")
	attemptAll(t, srv, 80)
	if err := srv.Sites().Suspend(t.Context(), "oldname"); err != nil {
		t.Fatal(err)
	}
	fixed := []string{"panelmail_revision", "panelmail_sites_version"}
	want := rowsOf(t, srv, fixed...)
	for i := range want {
		for _, column := range []string{`"oldname"`} {
			if !strings.Contains(want[i], `panelmail_login ["oldname"`) {
				want[i] = strings.ReplaceAll(want[i], column, `"newname"`)
			}
		}
	}
	if err := srv.Sites().RenameSite(t.Context(), "oldname", "newname"); err != nil {
		t.Fatal(err)
	}
	got := rowsOf(t, srv, fixed...)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if len(statesOf(t, srv, "newname")) == 0 || len(statesOf(t, srv, "oldname")) != 0 {
		t.Error("the mail is not found by the new name")
	}
}
