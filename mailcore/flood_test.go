package mailcore_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
)

// TestT6AFloodOfGuessesStarvesNobody has 100 clients with three connections each
// guess at as many names, against checks that take 50 ms each, four at once.
func TestT6AFloodOfGuessesStarvesNobody(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		var mu sync.Mutex
		running, most := 0, 0
		judge := func(_ context.Context, name, password string) (mailcore.Identity, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(50 * time.Millisecond)
			mu.Lock()
			running--
			mu.Unlock()
			if password != "secret" {
				return mailcore.Identity{}, errors.New("wrong")
			}
			return mailcore.Identity{Login: name, Site: "shop"}, nil
		}
		lab.Server(mailcore.Config{Authenticator: mailcore.AuthenticatorFunc(judge), Guard: mailcore.Guard{Checks: 4}})
		home, away := netip.MustParseAddr("198.51.100.200"), netip.MustParseAddr("198.51.100.201")
		if got := guess(t, lab, home, plain("me@shop.example", "secret"))[0]; got != authenticated {
			t.Fatal(got)
		}
		var flood sync.WaitGroup
		client := netip.MustParseAddr("192.0.2.0")
		for i := range 100 {
			client = client.Next()
			for j := range 3 {
				conn := tls.Client(lab.DialFrom(client, 465), &tls.Config{InsecureSkipVerify: true})
				lines := []string{"EHLO client.test"}
				for k := range 5 {
					lines = append(lines, plain(fmt.Sprintf("user%d-%d-%d", i, j, k), "guess"))
				}
				flood.Go(func() {
					converse(t, conn, lines...)
					conn.Close()
				})
			}
		}
		synctest.Wait() // all have come and wait for their turns
		began := time.Now()
		if got := guess(t, lab, home, plain("me@shop.example", "secret"))[0]; got != authenticated || time.Since(began) > time.Second/2 {
			t.Errorf("from where it is used: %s after %v", got, time.Since(began))
		}
		began = time.Now()
		if got := guess(t, lab, away, plain("me@shop.example", "secret"))[0]; got != authenticated || time.Since(began) > 5*time.Second {
			t.Errorf("from a new place: %s after %v", got, time.Since(began))
		}
		t.Logf("from a new place: %v in the flood", time.Since(began))
		flood.Wait()
		if most > 5 { // four, and the one that need not wait
			t.Errorf("%d checks ran at once", most)
		}
	})
}

func TestWhatIsToldOfASubmitterInReceivedIsASetting(t *testing.T) {
	for _, tt := range []struct {
		show, hide bool
		with, not  []string
	}{
		{false, false, []string{"from client.test (unknown [192.0.2.1])", "with ESMTPSA"}, []string{"Authenticated sender"}},
		{true, false, []string{"[192.0.2.1]", "(Authenticated sender: me@shop.example) by " + mailtest.Hostname}, nil},
		{true, true, []string{"(Authenticated sender: me@shop.example)"}, []string{"192.0.2.1", "client.test"}},
		{false, true, []string{"with ESMTPSA"}, []string{"192.0.2.1", "client.test", "Authenticated sender"}},
	} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			mx := lab.Domain("customer.example")
			srv := lab.Server(mailcore.Config{ShowLogin: tt.show, HideClient: tt.hide})
			addSite(t, srv, "shop", "shop.example")
			addCheapLogin(t, srv, "me@shop.example", "shop", "secret")
			guess(t, lab, netip.MustParseAddr("192.0.2.1"), plain("me@shop.example", "secret"),
				"MAIL FROM:<me@shop.example>", "RCPT TO:<u@customer.example>", "DATA", "Subject: x\r\n\r\nx\r\n.")
			lab.Drain(time.Minute)
			content := mx.Messages()[0].Content
			received, _, _ := strings.Cut(content, "\r\nDate:")
			received = strings.ReplaceAll(received, "\r\n\t", " ")
			for _, want := range tt.with {
				if !strings.Contains(received, want) {
					t.Errorf("show %v, hide %v: no %q in\n%s", tt.show, tt.hide, want, received)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(received, not) {
					t.Errorf("show %v, hide %v: %q in\n%s", tt.show, tt.hide, not, received)
				}
			}
		})
	}
}
