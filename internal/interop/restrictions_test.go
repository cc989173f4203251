package interop_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/mailcore"
)

// An order is what one configuration says about who may send where.
type order struct{ relay, recipient string }

// orders are 64 configurations of words in any order, the same in each run.
func orders() (all []order) {
	words := []string{
		"permit_mynetworks", "permit_sasl_authenticated", "permit_auth_destination", "permit", "permit",
		"reject_unauth_destination", "defer_unauth_destination", "reject", "defer", "defer_if_permit", "defer_if_reject",
		"warn_if_reject reject_unauth_destination", "warn_if_reject reject", "sleep 1", "reject_unknown_client_hostname",
		"reject_non_fqdn_sender", "reject_unauth_pipelining", "reject_rbl_client rbl.test",
		"check_client_access partners", "check_sender_access senders",
	}
	random := rand.New(rand.NewPCG(2026, 64))
	seen := map[order]bool{}
	for len(all) < 64 {
		random.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
		n := 1 + random.IntN(4)
		o := order{strings.Join(words[:n], ", "), strings.Join(words[n:n+random.IntN(4)], ", ")}
		if !seen[o] {
			seen[o], all = true, append(all, o)
		}
	}
	return all
}

// tables are the access tables that the orders name.
func tables() map[string]string {
	return map[string]string{"partners": "192.0.2.7 OK\n", "senders": "boss@local.test OK\n"}
}

// TestNoOrderOfRestrictionsMakesAnOpenRelay: what Postfix refuses to start with is
// refused, and in what is not the relay test finds nothing.
func TestNoOrderOfRestrictionsMakesAnOpenRelay(t *testing.T) {
	interop.NeedTime(t)
	srv, err := mailcore.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), mailcore.Config{Hostname: "mx.panel.test", Poll: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	refusals := map[order]error{}
	for _, o := range orders() {
		config := mailcore.Config{Hostname: "mx.panel.test", Poll: -1, Restrictions: mailcore.Restrictions{Relay: o.relay, Recipient: o.recipient, Tables: tables()}}
		if refusals[o] = srv.Reload(config); refusals[o] != nil {
			continue
		}
		found, err := srv.OpenRelays(t.Context())
		if err != nil || len(found) > 0 {
			t.Errorf("%+v: %q, %v", o, found, err)
		}
	}
	stricter, loaded := 0, 0
	for o, starts := range postfixStarts(t) {
		switch refusal := refusals[o]; {
		case refusal == nil && !starts:
			t.Errorf("%+v: Postfix does not start with it", o)
		case refusal == nil:
			loaded++
		case !strings.Contains(refusal.Error(), "relay list"):
			t.Errorf("%+v: no list is named: %v", o, refusal)
		case starts && !strings.Contains(refusal.Error(), "check_sender_access senders: line 1: OK for boss@local.test: anybody may claim to be that"):
			t.Errorf("%+v: Postfix starts with it; ours: %v", o, refusal)
		case starts:
			stricter++
		}
	}
	t.Logf("%d of %d load, %d that Postfix would start with do not", loaded, len(refusals), stricter)
	if loaded < 10 || len(refusals)-loaded-stricter < 10 {
		t.Error("the orders are too much alike")
	}
}

// postfixStarts says with which orders a real smtpd(8) greets. It runs in its stand-alone
// mode, where it checks its lists as ever; it pauses before it fails, so all run at once.
func postfixStarts(t *testing.T) map[order]bool {
	t.Helper()
	interop.Need(t, "postfix")
	interop.NeedRoot(t)
	daemon, err := exec.Command(interop.Need(t, "postconf"), "-dh", "daemon_directory").Output()
	if err != nil {
		t.Fatal(err)
	}
	smtpd := filepath.Join(strings.TrimSpace(string(daemon)), "smtpd")
	starts := map[order]bool{}
	var (
		mu      sync.Mutex
		running sync.WaitGroup
	)
	for _, o := range orders() {
		dir := openDir(t)
		running.Go(func() {
			greeting, err := greetingOf(t.Context(), smtpd, dir, o)
			mu.Lock()
			defer mu.Unlock()
			starts[o] = strings.HasPrefix(greeting, "220 ")
			if !starts[o] && (greeting != "" || err == nil) {
				t.Errorf("%+v: %q, %v", o, greeting, err)
			}
		})
	}
	running.Wait()
	return starts
}

func greetingOf(ctx context.Context, smtpd, dir string, o order) (string, error) {
	for name, text := range tables() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	lists := strings.NewReplacer("partners", "texthash:"+dir+"/partners", "senders", "texthash:"+dir+"/senders")
	main := strings.Join([]string{
		"compatibility_level = 3.6",
		"queue_directory = " + dir, "data_directory = " + dir,
		"myhostname = peer.test", "mydestination =", "mynetworks = 127.0.0.0/8", "inet_interfaces = 127.0.0.1", "inet_protocols = ipv4",
		"alias_maps =", "local_recipient_maps =", "smtpd_sasl_auth_enable = no",
		"smtpd_relay_restrictions = " + lists.Replace(o.relay),
		"smtpd_recipient_restrictions = " + lists.Replace(o.recipient),
	}, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "main.cf"), []byte(main), 0o644); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, smtpd, "-S")
	cmd.Env = append(os.Environ(), "MAIL_CONFIG="+dir)
	cmd.Stdin = strings.NewReader("QUIT\r\n")
	out, err := cmd.Output()
	return string(out), err
}
