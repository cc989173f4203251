package mailcore_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
)

func route(t *testing.T, srv *mailcore.Server, pattern, value string) {
	t.Helper()
	if err := srv.Sites().SetRoute(t.Context(), sites.Route{Pattern: pattern, Value: value}); err != nil {
		t.Fatal(err)
	}
}

// addSite makes a site with domains.
func addSite(t *testing.T, srv *mailcore.Server, name string, domains ...string) {
	t.Helper()
	if err := srv.Sites().AddSite(t.Context(), sites.Site{Name: name}); err != nil {
		t.Fatal(err)
	}
	for _, d := range domains {
		if err := srv.Sites().AddDomain(t.Context(), sites.Domain{Name: d, Site: name, Class: sites.Hosted}); err != nil {
			t.Fatal(err)
		}
	}
}

// dialogue sends lines to a listener and returns the reply to each, the last
// line of it; the first reply is the greeting.
func dialogue(t *testing.T, lab *mailtest.Lab, port uint16, lines ...string) []string {
	t.Helper()
	conn := lab.Dial(port)
	defer conn.Close()
	return converse(t, conn, lines...)
}

// converse is dialogue on a connection. Once it has ended, the replies are the
// error.
func converse(t *testing.T, conn net.Conn, lines ...string) []string {
	t.Helper()
	in := bufio.NewReader(conn)
	reply := func() string {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return err.Error()
			}
			if len(line) < 4 || line[3] != '-' {
				return strings.TrimRight(line, "\r\n")
			}
		}
	}
	replies := []string{reply()}
	for _, line := range lines {
		fmt.Fprintf(conn, "%s\r\n", line)
		replies = append(replies, reply())
	}
	return replies
}

func queued(t *testing.T, srv *mailcore.Server) (n int) {
	t.Helper()
	for _, err := range srv.Queue().Entries(t.Context(), queue.Match{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// plainlyLocal are the forms that are mail for local.test or the postmaster and
// nothing else.
var plainlyLocal = map[string]bool{
	"<u@local.test>": true, "<u@LOCAL.TEST>": true, "<u@local.test.>": true, "<postmaster>": true,
	`<"u> NOTIFY=NEVER"@local.test>`: true, "<|/bin/sh@local.test>": true,
	// not ../../x: two dots in a row are no atom (RFC 5321 section 4.1.2);
	// not -oQ/tmp: a program might take it for an option
}

// relayForms are 34 forms of recipient addresses.
func relayForms(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/relay_forms.txt")
	if err != nil {
		t.Fatal(err)
	}
	forms := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(forms) != 34 {
		t.Fatalf("%d forms", len(forms))
	}
	return forms
}

func TestR1NoFormOfAddressIsRelayedForAStranger(t *testing.T) {
	forms := relayForms(t)
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		remote := lab.Domain("remote.test")
		srv := lab.Server(mailcore.Config{Hostname: "mx.panel.test"})
		addSite(t, srv, "local", "local.test")
		route(t, srv, "local.test", "hold:for the test")
		for _, sender := range []string{"<x@remote.test>", "<>", "<u@local.test>", "<u@localhost>", "<u@[198.51.100.1]>", "<u>"} {
			for _, form := range forms {
				plain := plainlyLocal[form] && sender != "<u>" // which is refused at MAIL
				before := queued(t, srv)
				replies := dialogue(t, lab, 25, "EHLO stranger.test", "MAIL FROM:"+sender, "RCPT TO:"+form, "DATA", "Subject: x\r\n\r\nx\r\n.")
				rcpt := replies[3]
				if plain != strings.HasPrefix(rcpt, "2") {
					t.Errorf("sender %s: RCPT TO:%s: %s", sender, form, rcpt)
				}
				if !plain && (!strings.HasPrefix(rcpt, "5") || queued(t, srv) != before) {
					t.Errorf("sender %s: RCPT TO:%s: %s, queued %d more", sender, form, rcpt, queued(t, srv)-before)
				}
			}
		}
		lab.Wait(time.Hour)
		if got := remote.Messages(); len(got) > 0 {
			t.Errorf("relayed: %+v", got)
		}
		for e, err := range srv.Queue().Entries(t.Context(), queue.Match{All: true}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range e.Recipients {
				if !strings.HasSuffix(strings.ToLower(strings.TrimSuffix(r.Address, ".")), "@local.test") && r.Address != "postmaster@mx.panel.test" {
					t.Errorf("queued for %s", r.Address)
				}
			}
		}
	})
}

// TestG8NoAddressWithAForeignDomainIsTaken: 20,000 addresses made of what makes addresses
// ambiguous, the same in each run.
func TestG8NoAddressWithAForeignDomainIsTaken(t *testing.T) {
	pieces := []string{
		"u", "a.b", "@", "@", "@local.test", "@remote.test", "local.test", "remote.test", "@LOCAL.test.", "%", "!", ":", ",", "\"", "\\", "\\\"", " ",
		"<", ">", "(c)", ".", "..", "-", "/", "|", "[127.0.0.1]", "@[127.0.0.1]", "@[IPv6:::1]", "@mx.panel.test", "postmaster", "xn--", "\u00fc", "\x00", "\r", "\x7f", "\xc0\xae",
	}
	random := rand.New(rand.NewPCG(8, 2026))
	lines := []string{"EHLO stranger.test"}
	for i := range 20_000 {
		if i%500 == 0 {
			lines = append(lines, "RSET", "MAIL FROM:<x@remote.test> SMTPUTF8")
		}
		path := ""
		for range 1 + random.IntN(7) {
			path += pieces[random.IntN(len(pieces))]
		}
		lines = append(lines, "RCPT TO:<"+path+">")
	}
	plain := regexp.MustCompile(`(?i)^RCPT TO:<([^@%!]*@local\.test\.?|[^@%!]*@mx\.panel\.test|postmaster)>$`)
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{Hostname: "mx.panel.test", Limits: mailcore.Limits{MaxErrors: 1 << 20, SoftErrors: 1 << 20}})
		addSite(t, srv, "local", "local.test")
		route(t, srv, "local.test", "hold:for the test")
		taken := 0
		for i, reply := range dialogue(t, lab, 25, lines...)[1:] {
			switch line := lines[i]; {
			case !strings.HasPrefix(line, "RCPT") || !strings.HasPrefix(reply, "2"):
			case !plain.MatchString(line):
				t.Errorf("%q: %s", line, reply)
			default:
				taken++
			}
		}
		if taken < 100 {
			t.Errorf("%d addresses are good ones: the others prove nothing", taken)
		}
	})
}

func TestLoopbackAndPrivateNetworksMayNotRelayUntilTheyAreNamed(t *testing.T) {
	for _, tt := range []struct {
		networks []netip.Prefix
		want     string
	}{
		{nil, "554 5.7.1 <u@remote.test>: Relay access denied"},
		{[]netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, "250 2.1.5 Ok"},
		{[]netip.Prefix{netip.MustParsePrefix("::ffff:203.0.113.0/120")}, "250 2.1.5 Ok"},
		{[]netip.Prefix{netip.MustParsePrefix("::ffff:203.0.112.0/120")}, "554 5.7.1 <u@remote.test>: Relay access denied"},
	} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			lab.Server(mailcore.Config{RelayNetworks: tt.networks})
			replies := dialogue(t, lab, 25, "EHLO client.test", "MAIL FROM:<x@remote.test>", "RCPT TO:<u@remote.test>")
			if got := replies[3]; got != tt.want {
				t.Errorf("networks %v: %s, want %s", tt.networks, got, tt.want)
			}
		})
	}
}

func TestUnknownUsersOfOurDomainsAreRefusedAtRcpt(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "shop", "shop.example")
		replies := dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<x@remote.test>", "RCPT TO:<nobody@shop.example>", "RCPT TO:<nobody@"+mailtest.Hostname+">")
		for _, got := range replies[3:] {
			if !strings.HasPrefix(got, "550 5.1.1 ") {
				t.Errorf("%s", got)
			}
		}
	})
}

func TestSubmissionWithoutTLSOrLoginTakesNothing(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		lab.Server(mailcore.Config{})
		replies := dialogue(t, lab, 587, "EHLO c.test", "AUTH PLAIN AGEAYg==", "MAIL FROM:<x@remote.test>")
		for _, got := range replies[2:] {
			if !strings.HasPrefix(got, "5") {
				t.Errorf("%s", got)
			}
		}
	})
}

func TestAnErrorRouteAnswersAStrangerAtRcpt(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "shop", "shop.example")
		route(t, srv, "shop.example", "error:this shop has closed")
		replies := dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<x@remote.test>", "RCPT TO:<u@shop.example>")
		if got, want := replies[3], "550 5.1.1 <u@shop.example>: Recipient address rejected: this shop has closed"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestARecipientNamedTwiceIsDeliveredToOnce(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		srv := lab.Server(mailcore.Config{})
		submit(t, srv, hello("a@shop.example", "u@customer.example", "u@customer.example"))
		lab.Drain(time.Minute)
		if got := mx.Messages(); len(got) != 1 || len(got[0].Recipients) != 1 {
			t.Errorf("delivered %+v", got)
		}
	})
}
