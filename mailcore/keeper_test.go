package mailcore

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
	"github.com/panelmail/panelmail/transport/transporttest"
)

// withKey is a server that has a key of x.example, whose zone has two servers and the
// records that these return for the key.
func withKey(t *testing.T, names *transporttest.Names, zone string, records [2]func(sites.DKIMKey) string) (*Server, sites.DKIMKey) {
	t.Helper()
	srv, err := Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), Config{
		Hostname: "mx.panel.example", Log: slog.New(slog.DiscardHandler), Resolver: names.Resolver(), Poll: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	made, err := srv.Sites().GenerateDKIM(t.Context(), sites.DKIMPolicy{Domain: "x.example", Own: true, Algorithms: []dkim.Algorithm{dkim.Ed25519}, Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	delegation := []string{
		"x.example. 60 IN NS ns1.x.example.", "x.example. 60 IN NS ns2.x.example.",
		"ns1.x.example. 60 IN A 192.0.2.11", "ns2.x.example. 60 IN A 192.0.2.12",
	}
	names.Serve("192.0.2.1", ".", append([]string{". 60 IN SOA root. root. 1 60 60 60 60", ". 60 IN NS root.", "root. 60 IN A 192.0.2.1"}, delegation...)...)
	for i, record := range records {
		lines := append([]string{"x.example. 600 IN SOA ns1.x.example. x.x.example. 1 60 60 60 300"}, delegation...)
		if r := record(made[0]); r != "" {
			lines = append(lines, strings.Split(r, "\n")...)
		}
		names.Serve([]string{"192.0.2.11", "192.0.2.12"}[i], "x.example", lines...)
	}
	return srv, made[0]
}

// checked runs CheckDKIM for the key of withKey.
func checked(t *testing.T, names *transporttest.Names, zone string, records [2]func(sites.DKIMKey) string) DKIMCheck {
	t.Helper()
	srv, _ := withKey(t, names, zone, records)
	found, err := srv.CheckDKIM(t.Context(), "X.example")
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	return found[0]
}

// Records of a key.
func right(k sites.DKIMKey) string   { return fmt.Sprintf(`%s. 600 IN TXT "%s"`, k.Name, k.Record) }
func missing(sites.DKIMKey) string   { return "" }
func revoked(k sites.DKIMKey) string { return k.Name + `. 600 IN TXT "v=DKIM1; k=ed25519; p="` }
func twice(k sites.DKIMKey) string   { return right(k) + "\n" + revoked(k) }
func led(k sites.DKIMKey) string {
	return fmt.Sprintf("%s. 600 IN CNAME %s.\n%s. 600 IN TXT \"%s\"", k.Name, k.Target, k.Target, k.Record)
}

func TestACheckSaysWhatEachServerHasWrong(t *testing.T) {
	type both = [2]func(sites.DKIMKey) string
	const name = "e20000101._domainkey.x.example: "
	const one, two = "ns1.x.example (192.0.2.11), ", "ns2.x.example (192.0.2.12), "
	for what, c := range map[string]struct {
		records both
		zone    string
		fault   transporttest.NameFault // of the second server
		want    sites.DKIMState
		wrong   []string
	}{
		"right everywhere": {records: both{right, right}, want: sites.DKIMSigning},
		"not there":        {records: both{missing, missing}, want: sites.DKIMPending, wrong: []string{one + "there is no TXT record", two + "there is no TXT record"}},
		"late":             {records: both{right, missing}, want: sites.DKIMPending, wrong: []string{two + "there is no TXT record"}},
		"revoked":          {records: both{right, revoked}, want: sites.DKIMPending, wrong: []string{two + "the record revokes the key: its p= is empty"}},
		"twice":            {records: both{twice, right}, want: sites.DKIMPending, wrong: []string{one + "there is more than one TXT record; verifiers may take any of them or none"}},
		"lame":             {records: both{right, right}, fault: transporttest.Lame, want: sites.DKIMPending, wrong: []string{two + "it answers REFUSED and does not serve x.example"}},
		"silent":           {records: both{right, right}, fault: transporttest.Silent, want: sites.DKIMPending, wrong: []string{two + "it does not answer"}},
		"SERVFAIL":         {records: both{right, right}, fault: transporttest.ServFail, want: sites.DKIMPending, wrong: []string{two + "it answers SERVFAIL"}},
		"delegated":        {records: both{led, led}, zone: "keys.x.example", want: sites.DKIMSeen},
	} {
		synctest.Test(t, func(t *testing.T) {
			names := transporttest.NewNames()
			names.Fault("192.0.2.12", c.fault)
			got := checked(t, names, c.zone, c.records)
			var wrong []string
			for _, p := range got.Problems {
				wrong = append(wrong, strings.Replace(p, name, "", 1))
			}
			if diff := cmp.Diff(c.wrong, wrong); diff != "" || got.State != c.want {
				t.Errorf("%s: %s (-want +got):\n%s", what, got.State, diff)
			}
			if want := strings.Join(got.Problems, "; "); got.Trouble != want {
				t.Errorf("%s: noted %q, want %q", what, got.Trouble, want)
			}
		})
	}
}

func TestHowLongNothingIsRememberedIsAskedWhereItMatters(t *testing.T) {
	type both = [2]func(sites.DKIMKey) string
	asked := []string{"192.0.2.11 x.example SOA", "192.0.2.12 x.example SOA"}
	for what, c := range map[string]struct {
		state   sites.DKIMState
		records both
		zone    string
		want    []string
		wait    time.Duration
	}{
		"pending":            {state: sites.DKIMPending, records: both{missing, right}, want: asked, wait: 10 * time.Minute},
		"not there yet":      {state: sites.DKIMPending, records: both{missing, missing}, want: asked, wait: 5 * time.Minute},
		"seen":               {state: sites.DKIMSeen, records: both{right, right}, want: asked, wait: 10 * time.Minute},
		"delegated":          {state: sites.DKIMSeen, records: both{led, led}, zone: "keys.x.example", want: asked, wait: 10 * time.Minute},
		"signing":            {state: sites.DKIMSigning, records: both{right, right}, wait: 10 * time.Minute},
		"signing, one lacks": {state: sites.DKIMSigning, records: both{right, missing}, wait: 10 * time.Minute},
		"signing, all lack":  {state: sites.DKIMSigning, records: both{missing, missing}, want: asked, wait: 5 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			names := transporttest.NewNames()
			srv, k := withKey(t, names, c.zone, c.records)
			k.State = c.state
			found := srv.look(t.Context(), k)
			var got []string
			for _, q := range names.Asked() {
				if strings.HasSuffix(q, " SOA") {
					got = append(got, q)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" || found.seen.Wait != c.wait {
				t.Errorf("%s: wait %v, want %v; asked (-want +got):\n%s", what, found.seen.Wait, c.wait, diff)
			}
		})
	}
}

func TestAServerThatCannotAskSaysSo(t *testing.T) {
	srv := newTwoSites(t, "")
	if err := srv.Reload(Config{Hostname: "mx.panel.example", Log: srv.current().config.Log, Resolver: struct{ transport.Resolver }{srv.current().config.Resolver}}); err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Sites().GenerateDKIM(t.Context(), sites.DKIMPolicy{Domain: "ours.example", Algorithms: []dkim.Algorithm{dkim.Ed25519}}); err != nil {
		t.Fatal(err)
	}
	found, err := srv.CheckDKIM(t.Context(), "ours.example")
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	if diff := cmp.Diff([]string{"the Resolver cannot ask authoritative servers"}, found[0].Problems); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := srv.CheckDKIM(t.Context(), "theirs.example"); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("of a domain without keys: %v", err)
	}
}

func TestAKeyMadeWhileTheServerRunsIsLookedAfterWithinMinutes(t *testing.T) {
	names := transporttest.NewNames()
	inYears(t, Config{Log: slog.New(slog.DiscardHandler), Resolver: names.Resolver()}, (*Server).keepKeys, func(srv *Server) {
		time.Sleep(time.Hour)
		made, err := srv.Sites().GenerateDKIM(t.Context(), sites.DKIMPolicy{Domain: "host.example", Own: true, Algorithms: []dkim.Algorithm{dkim.Ed25519}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(keeperPause + time.Minute)
		keys, err := srv.Sites().ListDKIM(t.Context(), "host.example")
		if err != nil || len(keys) != len(made) || keys[0].Checked.IsZero() {
			t.Errorf("%+v, %v", keys, err)
		}
	})
}

func TestAKeyThatCannotBeReadSaysNothingOfItsRecord(t *testing.T) {
	srv := newTwoSites(t, "")
	made, err := srv.Sites().GenerateDKIM(t.Context(), sites.DKIMPolicy{Domain: "ours.example", Algorithms: []dkim.Algorithm{dkim.Ed25519}})
	if err != nil {
		t.Fatal(err)
	}
	answer := transport.ServerAnswer{Name: made[0].Name, Status: transport.StatusFound, Records: []transport.PublishedRecord{{Text: made[0].Record}}}
	broken, cancel := context.WithCancel(t.Context())
	cancel()
	look := func(ctx context.Context, want sites.DKIMSighting) {
		t.Helper()
		found := looked{}
		srv.judge(ctx, made[0], answer, &found)
		if diff := cmp.Diff(want, found.seen); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	look(broken, sites.DKIMSighting{Mute: 1})
	look(t.Context(), sites.DKIMSighting{Good: 1})
}

func TestAllKeysThatAreDueAreLookedAfterInOneGo(t *testing.T) {
	srv := newTwoSites(t, "")
	mute := Config{Hostname: "mx.panel.example", Log: srv.current().config.Log, Resolver: struct{ transport.Resolver }{srv.current().config.Resolver}}
	if err := srv.Reload(mute); err != nil {
		t.Fatal(err)
	}
	for i := range 2*keeperPage + 1 {
		_, err := srv.Sites().GenerateDKIM(t.Context(), sites.DKIMPolicy{Domain: fmt.Sprintf("d%d.example", i), Own: true, Algorithms: []dkim.Algorithm{dkim.Ed25519}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := srv.KeepKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	if due, err := srv.Sites().DueDKIM(t.Context(), 1); err != nil || len(due) > 0 {
		t.Errorf("left are %v, %v", due, err)
	}
}
