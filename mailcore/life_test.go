package mailcore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/transport"
)

// hello is a message from the shop to a customer.
func hello(from string, to ...string) mailcore.Message {
	return mailcore.Message{
		ReversePath: from,
		Recipients:  to,
		Content:     strings.NewReader("Subject: Hello\n\nIt is on its way.\n"),
	}
}

func submit(t *testing.T, srv *mailcore.Server, m mailcore.Message) string {
	t.Helper()
	id, err := srv.Submit(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestMailGreylistedTwiceIsDeliveredAtTheThirdTry(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		later := transport.Replyf(451, "4.7.1", "greylisted, come back later")
		mx := lab.Domain("customer.example")
		mx.Answer(mailtest.Rcpt, later, later)
		srv := lab.Server(mailcore.Config{})
		submit(t, srv, hello("shop@shop.example", "u@customer.example"))
		lab.Drain(time.Hour)
		if got := len(mx.Attempts()); got != 3 {
			t.Errorf("%d attempts, want 3", got)
		}
		got := mx.Messages()
		if len(got) != 1 {
			t.Fatalf("%d messages delivered, want 1", len(got))
		}
		for _, field := range []string{"Received: ", "Date: ", "Message-ID: <", "From: shop@shop.example"} {
			if !strings.Contains(got[0].Content, "\n"+field) && !strings.HasPrefix(got[0].Content, field) {
				t.Errorf("no %s field in\n%s", field, got[0].Content)
			}
		}
		if !strings.HasSuffix(got[0].Content, "\r\n\r\nIt is on its way.\r\n") {
			t.Errorf("body changed:\n%s", got[0].Content)
		}
	})
}

// bounceAt returns the one message that arrived there, which must be a report.
func bounceAt(t *testing.T, mx *mailtest.Exchanger) string {
	t.Helper()
	got := mx.Messages()
	if len(got) != 1 {
		t.Fatalf("%d messages at %s, want one bounce", len(got), mx.Host)
	}
	if got[0].ReversePath != "" {
		t.Errorf("the bounce has the reverse-path %q", got[0].ReversePath)
	}
	if !strings.Contains(got[0].Content, "report-type=delivery-status") {
		t.Errorf("no report:\n%s", got[0].Content)
	}
	return strings.ReplaceAll(got[0].Content, "\r\n ", " ")
}

func TestRefusedMailBouncesWithTheReplyOfTheRemote(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		sender := lab.Domain("shop.example")
		lab.Domain("customer.example").Always(mailtest.Rcpt, transport.Replyf(550, "5.1.1", "no mailbox called gone here"))
		srv := lab.Server(mailcore.Config{})
		submit(t, srv, hello("shop@shop.example", "gone@customer.example"))
		lab.Drain(time.Hour)
		report := bounceAt(t, sender)
		for _, want := range []string{
			"Action: failed", "Status: 5.1.1", "Remote-MTA: dns; mx.customer.example",
			"Diagnostic-Code: smtp; 550 5.1.1 no mailbox called gone here",
			"Final-Recipient: rfc822; gone@customer.example", "Subject: Hello",
		} {
			if !strings.Contains(report, want) {
				t.Errorf("no %q in\n%s", want, report)
			}
		}
	})
}

func TestExpiredMailBouncesKeepingItsStatus(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		sender := lab.Domain("shop.example")
		lab.Domain("customer.example").Always(mailtest.Rcpt, transport.Replyf(452, "4.2.2", "mailbox full"))
		srv := lab.Server(mailcore.Config{Retry: mailcore.Retry{DelayWarning: -1}})
		submit(t, srv, hello("shop@shop.example", "full@customer.example"))
		took := lab.Drain(7 * 24 * time.Hour)
		if took < 4*24*time.Hour || took > 6*24*time.Hour {
			t.Errorf("expired after %v, want about 5 days", took)
		}
		report := bounceAt(t, sender)
		for _, want := range []string{"Action: failed", "Status: 4.2.2", "452 4.2.2 mailbox full"} {
			if !strings.Contains(report, want) {
				t.Errorf("no %q in\n%s", want, report)
			}
		}
	})
}

func TestDelayedMailWarnsItsSenderOnce(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		sender, mx := lab.Domain("shop.example"), lab.Domain("customer.example")
		mx.Down()
		srv := lab.Server(mailcore.Config{})
		submit(t, srv, hello("shop@shop.example", "u@customer.example"))
		lab.Wait(24 * time.Hour)
		if report := bounceAt(t, sender); !strings.Contains(report, "Action: delayed") {
			t.Errorf("no warning:\n%s", report)
		}
		mx.Up()
		lab.Drain(24 * time.Hour)
		if got := len(mx.Messages()); got != 1 {
			t.Errorf("%d messages delivered after the outage, want 1", got)
		}
	})
}

func TestTheNullReversePathNeverBounces(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		lab.Domain("customer.example").Always(mailtest.Rcpt, transport.Replyf(550, "5.1.1", "no such user"))
		srv := lab.Server(mailcore.Config{})
		submit(t, srv, hello("", "gone@customer.example"))
		if took := lab.Drain(time.Hour); took > time.Minute {
			t.Errorf("drained after %v: something else was queued", took)
		}
	})
}

func TestOneshotBouncesAtOnceWithTheReasonOfTheRemote(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		sender := lab.Domain("shop.example")
		mx := lab.Domain("slow.ru")
		mx.Always(mailtest.Rcpt, transport.Replyf(451, "4.7.1", "try again in a week"))
		srv := lab.Server(mailcore.Config{})
		route(t, srv, ".ru", "oneshot:")
		submit(t, srv, hello("shop@shop.example", "u@slow.ru"))
		lab.Drain(time.Minute)
		if got := len(mx.Attempts()); got != 1 {
			t.Errorf("%d attempts, want 1", got)
		}
		if report := bounceAt(t, sender); !strings.Contains(report, "451 4.7.1 try again in a week") {
			t.Errorf("not the reason of the remote:\n%s", report)
		}
	})
}

func TestErrorAndDiscardRoutesAnswerWithoutAConnection(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		sender := lab.Domain("shop.example")
		srv := lab.Server(mailcore.Config{})
		route(t, srv, "bad.example", "error:5.7.1 mail to this domain is not wanted")
		route(t, srv, "gone.example", "discard:silently")
		submit(t, srv, hello("shop@shop.example", "u@bad.example", "u@gone.example"))
		lab.Drain(time.Minute)
		report := bounceAt(t, sender)
		if !strings.Contains(report, "Status: 5.7.1") || !strings.Contains(report, "mail to this domain is not wanted") {
			t.Errorf("not the text of the route:\n%s", report)
		}
		if strings.Contains(report, "gone.example") {
			t.Errorf("discarded mail is in the report:\n%s", report)
		}
	})
}

func TestAStoppedServerLosesNothing(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		mx.Down()
		srv := lab.Server(mailcore.Config{})
		for range 20 {
			submit(t, srv, hello("shop@shop.example", "u@customer.example"))
		}
		lab.Restart()
		mx.Up()
		lab.Drain(time.Hour)
		if got := len(mx.Messages()); got != 20 {
			t.Errorf("%d messages delivered, want 20", got)
		}
	})
}
