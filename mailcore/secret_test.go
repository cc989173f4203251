package mailcore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
)

// canary is a password that must appear nowhere.
const canary = "cAnArY-5up3r-s3cr3t"

// shows reports whether text has the canary in it, in clear, in base64 at any
// offset, or in hexadecimal.
func shows(text string) bool {
	forms := []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary)}
	for skip := range 3 {
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(canary[skip:]))[:16])
	}
	for _, form := range forms {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

func TestShowsFindsTheCanaryInDisguise(t *testing.T) {
	for _, text := range []string{canary, "x" + canary, fmt.Sprintf("%x", "ab"+canary), plain("a", canary), plain("ab", canary), plain("abc", canary)} {
		if !shows(text) {
			t.Errorf("not seen in %s", text)
		}
	}
	if shows(plain("me@shop.example", "another password")) {
		t.Error("seen where it is not")
	}
}

// dialogues with the canary in all that is secret; some log in.
func canaryDialogues() [][]string {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return [][]string{
		{plain("me@shop.example", canary), "MAIL FROM:<me@shop.example>", "RCPT TO:<u@customer.example>", "DATA", "Subject: x\r\n\r\nx\r\n.", "QUIT"},
		{plain("me@shop.example", canary+"x"), plain("nobody", canary), plain("me@shop.example", canary+"\x00"), plain("", canary)},
		{"AUTH LOGIN", b64("me@shop.example"), b64(canary + "x"), "AUTH LOGIN " + b64("me@shop.example"), b64(canary)},
		{"AUTH PLAIN", b64("\x00me@shop.example\x00" + canary + "y")},
		{"AUTH PLAIN " + b64("boss\x00me@shop.example\x00"+canary), "AUTH PLAIN " + b64("\x00"+canary), "AUTH PLAIN " + b64(canary) + "!"},
		{"AUTH LOGIN", "*", b64(canary), "AUTH CRAM-MD5 " + b64(canary), "AUTH PLAIN x " + b64(canary)},
		{"AUTH LOGIN", b64("me@shop.example"), b64(canary) + strings.Repeat("A", 20_000)},
		{plain("me@shop.example", canary), plain("me@shop.example", canary)},
		{plain("trouble", canary), plain("panic", canary)},
	}
}

func TestT8NoPasswordOfAClientIsLoggedSaidOrKept(t *testing.T) {
	for _, outside := range []bool{false, true} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			lab.Domain("customer.example")
			var log bytes.Buffer
			config := mailcore.Config{Realm: "shop.example", Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
			if outside {
				config.Authenticator = mailcore.AuthenticatorFunc(moody)
			}
			srv := lab.Server(config)
			addSite(t, srv, "shop", "shop.example")
			addLogin(t, srv, "me@shop.example", "shop", canary)
			client, seen := netip.MustParseAddr("192.0.2.0"), strings.Builder{}
			for _, lines := range canaryDialogues() {
				client = client.Next()
				fmt.Fprintln(&seen, guess(t, lab, client, lines...))
			}
			for range 12 { // and of who is refused
				fmt.Fprintln(&seen, guess(t, lab, client, plain("me@shop.example", canary+"z")))
			}
			if !strings.Contains(seen.String(), "queued as") || !strings.Contains(log.String(), "SASL LOGIN authentication failed") {
				t.Errorf("the test proves nothing:\n%s%s", seen.String(), log.String())
			}
			if text := seen.String(); shows(text) {
				t.Errorf("a reply has it:\n%s", text)
			}
			if text := log.String(); shows(text) {
				t.Errorf("the log has it:\n%s", text)
			}
			for e, err := range srv.Queue().Entries(t.Context(), queue.Match{All: true}) {
				if err != nil || shows(fmt.Sprintf("%+v", e)) {
					t.Errorf("%+v, %v", e, err)
				}
			}
			if shows(fmt.Sprintf("%+v %#v %v", srv, srv, srv.Sites())) {
				t.Error("what is printed of a server has it")
			}
		})
	}
}

// moody is a panel's Authenticator that knows one password and has failures of its
// own.
func moody(_ context.Context, name, password string) (mailcore.Identity, error) {
	switch {
	case name == "me@shop.example" && password == canary:
		return mailcore.Identity{Login: name, Site: "shop"}, nil
	case name == "panic":
		panic("out of order")
	case name == "trouble":
		return mailcore.Identity{}, context.DeadlineExceeded
	}
	return mailcore.Identity{}, errors.New("wrong: " + password) // as a careless one might say
}

func TestT8NoFileOfADatabaseHasThePasswordOfALogin(t *testing.T) {
	dir := t.TempDir()
	srv, err := mailcore.Open(t.Context(), filepath.Join(dir, "mail.db"), mailcore.Config{Hostname: "mx.panel.example"})
	if err != nil {
		t.Fatal(err)
	}
	addSite(t, srv, "shop", "shop.example")
	addLogin(t, srv, "me@shop.example", "shop", canary)
	if err := srv.Sites().SetPassword(t.Context(), "me@shop.example", canary); err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Sites().Authenticate(t.Context(), "me@shop.example", canary); err != nil {
		t.Fatal(err)
	}
	if err := srv.Sites().AddLoginHash(t.Context(), sites.Login{Name: "x", Site: "shop"}, "{PLAIN}"+canary); err == nil || shows(err.Error()) {
		t.Errorf("a hash that is the password: %v", err)
	}
	files, err := filepath.Glob(dir + "/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || shows(string(text)) {
			t.Errorf("%s: %v", file, err)
		}
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
}

func TestT8ABackendTellsNothingOfAPassword(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		var log bytes.Buffer
		srv := lab.Server(mailcore.Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Authenticator: mailcore.AuthenticatorFunc(moody)})
		outer := smtp.NewServer(srv.Backend(t.Context()))
		outer.Domain, outer.AllowInsecureAuth = "outer.example", true
		l := lab.Listen()
		go outer.Serve(l)
		defer outer.Close()
		for mech, want := range map[sasl.Client]int{
			sasl.NewPlainClient("", "me@shop.example", canary+"x"): 535,
			sasl.NewPlainClient("", "trouble", canary):             454,
			sasl.NewLoginClient("nobody", canary):                  535,
		} {
			conn, err := lab.DialAddr(l.Addr())
			if err != nil {
				t.Fatal(err)
			}
			c := smtp.NewClient(conn)
			err = c.Auth(mech)
			if code(err) != want || shows(err.Error()) {
				t.Errorf("%v, want %d", err, want)
			}
			c.Close()
		}
		if shows(log.String()) || strings.Count(log.String(), "SASL") != 3 {
			t.Errorf("log:\n%s", log.String())
		}
	})
}
