package mailcore_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
)

// refusals are routes that are answered at RCPT, and what the answer ends in.
var refusals = []struct{ route, code, text string }{
	{"error:this shop has closed", "550 5.1.1", "this shop has closed"},
	{"error:5.7.1 Not here", "550 5.7.1", "Not here"},
	{"error:", "550 5.1.1", "Address is undeliverable"},
	{"retry:", "450 4.1.1", "Address is undeliverable"},
	{"retry:4.7.9 later please", "450 4.7.9", "later please"},
}

func TestRoutesThatReturnOrDeferAnswerEverybodyAtRcpt(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{RelayNetworks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
		v.mailboxes("bob@shop.example", "ann@shop.example")
		for _, row := range refusals {
			for pattern, to := range map[string]string{
				"elsewhere.test":   "u@elsewhere.test",       // which a submitter may write to
				".elsewhere.test":  "u@deep.elsewhere.test",  // by a parent
				"bob@shop.example": "Bob+ext@shop.example",   // before its mailbox
				"relay.example":    "somebody@relay.example", // instead of its store
			} {
				route(t, v.srv, pattern, row.route)
				replies := dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<x@stranger.test>", "RCPT TO:<"+to+">", "RCPT TO:<ann@shop.example>")
				want := row.code + " <" + to + ">: Recipient address rejected: " + row.text
				if diff := cmp.Diff(want, replies[3]); diff != "" {
					t.Errorf("%s %s:\n%s", pattern, row.route, diff)
				}
				if !strings.HasPrefix(replies[4], "250 ") {
					t.Errorf("the next recipient: %s", replies[4])
				}
			}
		}
	})
}

func TestAStrangerLearnsOfRelayingBeforeRoutes(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		route(t, srv, "elsewhere.test", "error:5.7.1 Not here")
		replies := dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<x@stranger.test>", "RCPT TO:<u@elsewhere.test>")
		if got, want := replies[3], "554 5.7.1 <u@elsewhere.test>: Relay access denied"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestAnAliasWithATargetThatIsDeferredIsTaken(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		v.mailboxes("bob@shop.example")
		v.aliases("all@shop.example: bob@shop.example, u@later.test, u@closed.test")
		route(t, v.srv, "later.test", "retry:")
		route(t, v.srv, "closed.test", "error:")
		dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<x@stranger.test>", "RCPT TO:<all@shop.example>", "DATA", "Subject: x\r\n\r\nx\r\n.")
		lab.Wait(time.Minute)
		if got := v.store.Messages(); len(got) != 1 {
			t.Errorf("the mailbox got %d messages", len(got))
		}
		s, err := v.srv.Queue().Stats(t.Context())
		if err != nil || s.Deferred != 1 {
			t.Errorf("%+v, %v: want the one that is deferred", s, err)
		}
	})
}

func TestWhatIsSubmittedWithoutADialogueIsReturnedOrDeferredByItsRoute(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		sender := lab.Domain("shop.example")
		srv := lab.Server(mailcore.Config{})
		route(t, srv, "bad.example", "error:5.7.1 Not here")
		route(t, srv, "later.example", "retry:4.7.9 later please")
		submit(t, srv, hello("shop@shop.example", "u@bad.example", "u@later.example"))
		lab.Wait(time.Minute)
		if report := bounceAt(t, sender); !strings.Contains(report, "Status: 5.7.1") || strings.Contains(report, "later.example") {
			t.Errorf("the report:\n%s", report)
		}
	})
}
