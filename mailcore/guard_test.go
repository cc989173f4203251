package mailcore_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
)

// plain is the response of PLAIN (RFC 4616).
func plain(name, password string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00"+password))
}

// guess connects to the TLS port from an address and says lines after EHLO; the
// replies begin with the one to the first of them.
func guess(t *testing.T, lab *mailtest.Lab, from netip.Addr, lines ...string) []string {
	t.Helper()
	conn := tls.Client(lab.DialFrom(from, 465), &tls.Config{InsecureSkipVerify: true})
	defer conn.Close()
	return converse(t, conn, append([]string{"EHLO client.test"}, lines...)...)[2:]
}

// addCheapLogin adds a login whose password is fast to check.
func addCheapLogin(t *testing.T, srv *mailcore.Server, name, site, password string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Sites().AddLoginHash(t.Context(), sites.Login{Name: name, Site: site}, string(hash)); err != nil {
		t.Fatal(err)
	}
}

// guarded is a server with one login, and its log.
func guarded(t *testing.T, lab *mailtest.Lab, guard mailcore.Guard) (*mailcore.Server, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	srv := lab.Server(mailcore.Config{Guard: guard, Log: slog.New(slog.NewTextHandler(&log, nil))})
	addSite(t, srv, "shop", "shop.example")
	addCheapLogin(t, srv, "me@shop.example", "shop", "secret")
	return srv, &log
}

const (
	authenticated = "235 2.7.0 Authentication successful"
	wrong         = "535 5.7.8 Error: authentication failed"
	notNow        = "454 4.7.0 Temporary authentication failure"
)

func TestT6FiveThousandWrongPasswordsOnOneConnectionEndAtFive(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		_, log := guarded(t, lab, mailcore.Guard{})
		var lines []string
		for i := range 5000 {
			lines = append(lines, plain("me@shop.example", fmt.Sprint("guess", i)))
		}
		began := time.Now()
		replies := guess(t, lab, netip.MustParseAddr("192.0.2.1"), lines...)
		for i, got := range replies {
			want := wrong
			switch {
			case i == 5:
				want = "421 4.7.0 " + mailtest.Hostname + " Error: too many errors"
			case i > 5:
				want = "EOF"
			}
			if got != want {
				t.Fatalf("reply %d: %s, want %s", i+1, got, want)
			}
		}
		if took := time.Since(began); took < 5*time.Second {
			t.Errorf("five guesses took %v", took)
		}
		const line = `warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: authentication failure, sasl_username=me@shop.example"`
		if n := strings.Count(log.String(), line); n != 5 {
			t.Errorf("%d lines in the log:\n%s", n, log)
		}
	})
}

func TestT6AClientThatGuessesIsRefusedBeforeItsPasswordIsLookedAt(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv, log := guarded(t, lab, mailcore.Guard{})
		addCheapLogin(t, srv, "other", "shop", "secret")
		from := netip.MustParseAddr("192.0.2.1")
		for i := range 10 {
			if got := guess(t, lab, from, plain(fmt.Sprint("user", i), "x"))[0]; got != wrong {
				t.Fatalf("guess %d: %s", i+1, got)
			}
		}
		want := "421 4.7.0 " + mailtest.Hostname + " Error: too many failed logins from 192.0.2.1"
		if got := guess(t, lab, from, plain("other", "secret"), "NOOP"); got[0] != want || got[1] != "EOF" {
			t.Errorf("the right password after ten wrong ones: %q", got)
		}
		if got := guess(t, lab, from.Next(), plain("other", "secret"))[0]; got != authenticated {
			t.Errorf("from elsewhere: %s", got)
		}
		lab.Wait(90 * time.Second)
		if got := guess(t, lab, from, plain("other", "secret"))[0]; got != authenticated {
			t.Errorf("when one failure is forgotten: %s", got)
		}
		if !strings.Contains(log.String(), "SASL PLAIN authentication failed: too many failures from this address, sasl_username=other") {
			t.Errorf("no line of the refusal:\n%s", log)
		}
	})
}

// attack guesses the password of a login from 100 addresses, and then from more
// until one guess is judged and the next is not. It returns how many were, how
// long the slowest took, and an address that took no part.
func attack(t *testing.T, lab *mailtest.Lab, name string, client netip.Addr) (judged int, slowest time.Duration, other netip.Addr) {
	t.Helper()
	for i, last := 0, ""; i < 200; i++ {
		began := time.Now()
		got := guess(t, lab, client, plain(name, "guess"))[0]
		client = client.Next()
		switch got {
		case wrong:
			judged, slowest = judged+1, max(slowest, time.Since(began))
		case notNow:
			if i >= 100 && last == wrong {
				return judged, slowest, client
			}
		default:
			t.Fatal(got)
		}
		last = got
	}
	t.Fatal("after 200 guesses none is refused")
	return 0, 0, client
}

func TestT6ALoginAttackedFromManyAddressesOpensToItsOwnerAlone(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		guarded(t, lab, mailcore.Guard{})
		const name = "me@shop.example"
		home := netip.MustParseAddr("198.51.100.200")
		if got := guess(t, lab, home, plain(name, "secret"))[0]; got != authenticated {
			t.Fatal(got)
		}
		judged, slowest, other := attack(t, lab, name, netip.MustParseAddr("192.0.2.1"))
		if judged < 20 || judged > 25 || slowest < 5*time.Second {
			t.Errorf("%d guesses were judged, the slowest took %v", judged, slowest)
		}
		t.Logf("%d of 100 guesses were judged, the slowest took %v", judged, slowest)
		if got := guess(t, lab, other, plain(name, "secret"))[0]; got != notNow {
			t.Errorf("the right password from an unknown address: %s", got)
		}
		began := time.Now()
		if got := guess(t, lab, home, plain(name, "secret"))[0]; got != authenticated || time.Since(began) > time.Second {
			t.Errorf("the right password from where it is used: %s after %v", got, time.Since(began))
		}
		lab.Wait(15 * time.Minute)
		if got := guess(t, lab, other, plain(name, "secret"))[0]; got != authenticated {
			t.Errorf("after the attack: %s", got)
		}
	})
}

func TestT6AnAttackDoesNotTellWhichNamesAreLogins(t *testing.T) {
	type outcome struct {
		judged  int
		slowest time.Duration
	}
	outcomes := map[string]outcome{}
	for _, name := range []string{"me@shop.example", "nobody@shop.example"} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			guarded(t, lab, mailcore.Guard{})
			judged, slowest, _ := attack(t, lab, name, netip.MustParseAddr("192.0.2.1"))
			outcomes[name] = outcome{judged, slowest}
		})
	}
	if outcomes["me@shop.example"] != outcomes["nobody@shop.example"] {
		t.Errorf("%+v", outcomes)
	}
}

func TestT6AnUnknownNameIsRefusedLikeAKnownOneAndAsSlowly(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		guarded(t, lab, mailcore.Guard{})
		type answer struct {
			text string
			took time.Duration
		}
		ask := func(from string, name string) answer {
			began := time.Now()
			text := guess(t, lab, netip.MustParseAddr(from), plain(name, "guess"))[0]
			return answer{text, time.Since(began)}
		}
		known, unknown := ask("192.0.2.1", "me@shop.example"), ask("192.0.2.2", "nobody@shop.example")
		if known != unknown || known.text != wrong {
			t.Errorf("known: %v, unknown: %v", known, unknown)
		}
	})
}

func TestAnExemptNetworkIsNotCountedAsAClient(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		guarded(t, lab, mailcore.Guard{ClientFailures: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
		webmail := netip.MustParseAddr("192.0.2.1")
		for i := range 3 {
			if got := guess(t, lab, webmail, plain(fmt.Sprint("user", i), "x"))[0]; got != wrong {
				t.Errorf("guess %d: %s", i+1, got)
			}
		}
	})
}

func TestEachRefusedAttemptIsOneLineOfLog(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		_, log := guarded(t, lab, mailcore.Guard{})
		log.Reset()
		b64 := base64.StdEncoding.EncodeToString
		guess(t, lab, netip.MustParseAddr("192.0.2.1"), plain("a\nb[198.51.100.9]: SASL", "x"), "AUTH LOGIN", b64([]byte("me@shop.example")), b64([]byte("x")), "AUTH PLAIN eA==")
		var got []string
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "AUTH") || strings.Contains(line, "SASL") {
				got = append(got, regexp.MustCompile(`msg="(.*)"`).FindStringSubmatch(line)[1])
			}
		}
		want := []string{
			"warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: authentication failure, sasl_username=a?b[198.51.100.9]: SASL",
			"warning: unknown[192.0.2.1]: SASL LOGIN authentication failed: authentication failure, sasl_username=me@shop.example",
			"warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: authentication failure, sasl_username=(unavailable)",
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("log:\n%s", log)
		}
	})
}

func TestALoginIsOneHoweverItsNameIsSpelled(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{Realm: "shop.example", Guard: mailcore.Guard{LoginFailures: 2}})
		addSite(t, srv, "shop", "shop.example")
		addCheapLogin(t, srv, "me@shop.example", "shop", "secret")
		client := netip.MustParseAddr("192.0.2.1")
		for range 2 {
			if got := guess(t, lab, client, plain("me@shop.example", "x"))[0]; got != wrong {
				t.Fatal(got)
			}
		}
		for _, name := range []string{"ME@SHOP.example", "me@shop.example.", `"m\e"@shop.example`, "Me", "me@\uff33hop\u3002example"} {
			client = client.Next()
			if got := guess(t, lab, client, plain(name, "secret"))[0]; got != notNow {
				t.Errorf("%s: %s, want %s", name, got, notNow)
			}
		}
	})
}

func TestAnExemptNetworkIsCountedForTheLogin(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		guarded(t, lab, mailcore.Guard{LoginFailures: 4, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
		webmail := netip.MustParseAddr("192.0.2.1")
		if got := guess(t, lab, webmail, plain("me@shop.example", "secret"))[0]; got != authenticated {
			t.Fatal(got)
		}
		var replies []string
		for i := range 30 {
			replies = append(replies, guess(t, lab, webmail, plain("me@shop.example", fmt.Sprint(i)))[0])
		}
		if !slices.Contains(replies, notNow) {
			t.Errorf("all of %d guesses were judged", len(replies))
		}
		if got := guess(t, lab, netip.MustParseAddr("198.51.100.200"), plain("me@shop.example", "secret"))[0]; got != authenticated {
			t.Errorf("from elsewhere: %s", got)
		}
	})
}

func TestAnAuthenticatorThatNamesNobodyLogsNobodyIn(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		lab.Server(mailcore.Config{Authenticator: mailcore.AuthenticatorFunc(
			func(context.Context, string, string) (mailcore.Identity, error) { return mailcore.Identity{}, nil })})
		if got := guess(t, lab, netip.MustParseAddr("192.0.2.1"), plain("me", "x"))[0]; !strings.HasPrefix(got, "454 4.7.0 ") {
			t.Errorf("the answer is %q", got)
		}
	})
}
