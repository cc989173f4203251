package mailcore_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func TestR2QuotesOfALocalPartAreTheSameOnEveryWay(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		remote := lab.Domain("remote.test")
		remote.Answer(mailtest.Rcpt, transport.Reply{}, transport.Reply{}, transport.Reply{}, transport.Replyf(550, "5.1.1", "nobody"))
		srv := lab.Server(mailcore.Config{RelayNetworks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
		addSite(t, srv, "local", "local.test")
		if err := srv.Sites().SetAlias(t.Context(), sites.AliasEntry{Pattern: `"a b"@local.test`, Site: "local", Targets: []string{`"c d"@remote.test`}}); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{`<"u"@remote.test>`, `<"u@x\ y"@remote.test>`, `<"A B"@local.test>`, `<"no body"@remote.test>`} {
			replies := dialogue(t, lab, 25, "EHLO c.test", `MAIL FROM:<"s\ t"@remote.test>`, "RCPT TO:"+to, "DATA", "Subject: x\r\n\r\nx\r\n.")
			if got := replies[len(replies)-1]; !strings.HasPrefix(got, "250 ") {
				t.Fatalf("%s: %q", to, replies)
			}
			lab.Wait(time.Minute)
		}
		lab.Drain(time.Hour)
		var got []string
		for _, m := range remote.Messages() {
			from := m.ReversePath
			if len(m.Recipients) == 1 && m.Recipients[0] == "c d@remote.test" { // the alias's
				from = srsOf(t, from)
			}
			got = append(got, from+" to "+strings.Join(m.Recipients, " "))
			if m.ReversePath == "" && !strings.Contains(m.Content, `Final-Recipient: rfc822; "no body"@remote.test`) {
				t.Errorf("report: %s", m.Content)
			}
		}
		want := []string{ // the exchanger tells what the quotes stand for
			"s t@remote.test to u@remote.test", "s t@remote.test to u@x y@remote.test",
			`remote.test="s t"@local.test to c d@remote.test`, " to s t@remote.test",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestR3WhatIsNoAddressReachesNothing(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "local", "local.test")
		route(t, srv, "local.test", "hold:for the test")
		for _, path := range []string{
			"<u\x00@local.test>", "<u\r@local.test>", "<u@local.test\r>", "<u\x7f@local.test>", "<u\x1b[31m@local.test>",
			"<ü@local.test>", "<\xff@local.test>", "<u@.local.test>", "<u@local..test>", "<" + strings.Repeat("l", 257) + "@local.test>",
			"<u@" + strings.Repeat("d.", 150) + "test>", "<.u@local.test>", "<u.@local.test>", "<u..v@local.test>", "<u@-x.test>",
			"<u@local.test@remote.test>", "<@remote.test:u@local.test>",
		} {
			rcpt := dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<x@remote.test>", "RCPT TO:"+path)[3]
			mail := dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:"+path)[2]
			for _, got := range []string{rcpt, mail} {
				if !strings.HasPrefix(got, "50") && !strings.HasPrefix(got, "553 ") || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }) {
					t.Errorf("%.60q: %q", path, got)
				}
			}
		}
		for _, path := range []string{"<" + strings.Repeat("l", 256) + "@local.test>", "<" + strings.Repeat("l", 65) + "@local.test>"} {
			if got := dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<x@remote.test>", "RCPT TO:"+path)[3]; got != "250 2.1.5 Ok" {
				t.Errorf("%.60q: %s", path, got)
			}
		}
		if n := queued(t, srv); n > 0 {
			t.Errorf("%d queued", n)
		}
	})
}

func TestR4APostmasterWithoutDomainIsHeard(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{Restrictions: mailcore.Restrictions{Client: "reject", Recipient: "reject"}})
		for _, path := range []string{"<postmaster>", "<PostMaster>"} {
			replies := dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<x@remote.test>", "RCPT TO:"+path, "DATA", "Subject: x\r\n\r\nx\r\n.")
			if got := replies[3]; got != "250 2.1.5 Ok" {
				t.Errorf("%s: %s", path, got)
			}
		}
		if n := queued(t, srv); n != 2 {
			t.Errorf("%d queued", n)
		}
	})
}

func TestR5ASecondSenderDoesNotGetTheRecipientsOfTheFirst(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "local", "local.test")
		route(t, srv, "local.test", "hold:for the test")
		replies := dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<alice@remote.test>", "RCPT TO:<u@local.test>", "MAIL FROM:<ceo@local.test>",
			"DATA", "Subject: x\r\n\r\nx\r\n.")
		if got := replies[4]; !strings.HasPrefix(got, "503 5.5.1 ") {
			t.Errorf("second MAIL: %s", got)
		}
		for e, err := range srv.Queue().Entries(t.Context(), queue.Match{All: true}) {
			if err != nil || e.Envelope.ReversePath != "alice@remote.test" {
				t.Errorf("queued from %s, %v", e.Envelope.ReversePath, err)
			}
		}
	})
}

func TestR6AnAUTHParameterWithALineEndIsRefused(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		lab.Server(mailcore.Config{})
		for _, value := range []string{"a+0D+0Ax@y", "a+0Ax@y.test", "a+00@y.test"} {
			if got := dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<x@remote.test> AUTH="+value)[2]; !strings.HasPrefix(got, "501 ") {
				t.Errorf("AUTH=%s: %s", value, got)
			}
		}
	})
}
