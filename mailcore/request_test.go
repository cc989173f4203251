package mailcore_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/maildrop"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func TestAMessageSubmittedTwiceUnderAKeyIsSentOnce(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		srv := lab.Server(mailcore.Config{})
		order := func(content string) (string, error) {
			m := hello("shop@shop.example", "u@customer.example")
			m.Key = "order 17"
			m.Content = strings.NewReader(content)
			return srv.Submit(t.Context(), m)
		}
		first, err := order("Subject: Hello\n\nIt is on its way.\n")
		if err != nil {
			t.Fatal(err)
		}
		lab.Drain(time.Minute)
		lab.Wait(24 * time.Hour) // Received and Date are others now
		again, err := order("Subject: Hello\n\nIt is on its way.\n")
		if err != nil || again != first {
			t.Errorf("the second time: ID %s, error %v; the first: %s", again, err, first)
		}
		_, err = order("Subject: Hello\n\nIt is not.\n")
		var reply transport.Reply
		if !errors.Is(err, queue.ErrKeyReused) || !errors.As(err, &reply) || reply.Code != 554 {
			t.Errorf("other content: %v", err)
		}
		lab.Drain(time.Minute)
		if n := len(mx.Messages()); n != 1 {
			t.Errorf("%d messages arrived", n)
		}
	})
}

func TestAKeyWorksInATransaction(t *testing.T) {
	db := panelDB(t)
	srv, err := mailcore.New(t.Context(), db, mailcore.Config{Hostname: "mail.panel.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	ids := map[string]bool{}
	for range 2 {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		m := hello("shop@shop.example", "u@customer.example")
		m.Key = "order 17"
		id, err := srv.SubmitTx(t.Context(), tx, m)
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		ids[id] = true
	}
	if len(ids) != 1 {
		t.Errorf("one key got the IDs %v", ids)
	}
}

func TestAMessageIsSentWhenAndForAsLongAsAsked(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		sender, mx := lab.Domain("shop.example"), lab.Domain("customer.example")
		mx.Always(mailtest.Rcpt, transport.Replyf(451, "4.3.0", "not now"))
		srv := lab.Server(mailcore.Config{Retry: mailcore.Retry{DelayWarning: -1}})
		start := time.Now()
		m := hello("shop@shop.example", "u@customer.example")
		m.NotBefore, m.Lifetime = start.Add(24*time.Hour), 2*time.Hour
		submit(t, srv, m)
		lab.Wait(24*time.Hour - time.Second)
		if n := len(mx.Attempts()); n != 0 {
			t.Errorf("%d attempts before its time", n)
		}
		lab.Drain(4 * time.Hour)
		if report := bounceAt(t, sender); !strings.Contains(report, "451 4.3.0 not now") {
			t.Errorf("the bounce:\n%s", report)
		}
		for what, change := range map[string]func(*mailcore.Message){
			"a time too far": func(m *mailcore.Message) { m.NotBefore = start.Add(2 * 366 * 24 * time.Hour) },
			"a key too long": func(m *mailcore.Message) { m.Key = strings.Repeat("k", 256) },
		} {
			m := hello("shop@shop.example", "u@customer.example")
			change(&m)
			_, err := srv.Submit(t.Context(), m)
			var reply transport.Reply
			if !errors.As(err, &reply) || reply.Code != 554 {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestASuccessIsReportedToWhoAskedForIt(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		sender := lab.Domain("shop.example")
		lab.Domain("passes.example") // the request goes on to it
		lab.Domain("customer.example").OfferNoDSN()
		srv := lab.Server(mailcore.Config{})
		m := hello("shop@shop.example", "u@customer.example", "u@passes.example")
		m.Notify = transport.NotifySuccess
		submit(t, srv, m)
		lab.Drain(time.Minute)
		if got := sender.Messages(); len(got) != 1 ||
			!strings.Contains(got[0].Content, "Action: relayed\r\n") || strings.Contains(got[0].Content, "passes.example") {
			t.Errorf("at the sender: %+v", got)
		}
	})
}

func TestPriorityComesFromTheCallerOrTheHeader(t *testing.T) {
	for _, forbidden := range []bool{false, true} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			srv := lab.Server(mailcore.Config{ForbidPriority: forbidden})
			for _, c := range []struct {
				header string
				asked  queue.Priority
				want   queue.Priority
			}{
				{"", queue.Normal, queue.Normal},
				{"", queue.Interactive, queue.Interactive},
				{"Priority: urgent\n", queue.Normal, queue.Interactive},
				{"Priority: Non-Urgent\n", queue.Normal, queue.Bulk},
				{"Precedence: bulk\n", queue.Normal, queue.Bulk},
				{"Precedence: list\n", queue.Normal, queue.Bulk},
				{"Precedence: first-class\n", queue.Normal, queue.Normal},
				{"Priority: normal\nPrecedence: bulk\n", queue.Normal, queue.Normal},
				{"X-Priority: 1\nImportance: high\n", queue.Normal, queue.Normal},
				{"Priority: urgent\n", queue.Bulk, queue.Bulk},
			} {
				m := hello("shop@shop.example", "u@customer.example")
				m.Priority, m.NotBefore = c.asked, time.Now().Add(time.Hour)
				m.Content = strings.NewReader(c.header + "Subject: x\n\nx\n")
				id := submit(t, srv, m)
				if forbidden {
					c.want = queue.Normal
				}
				if got := inQueue(t, srv, id).Priority; got != c.want {
					t.Errorf("forbidden %v: %q, asked for %v: %v, want %v", forbidden, c.header, c.asked, got, c.want)
				}
			}
		})
	}
}

// inQueue is a message in the queue.
func inQueue(t *testing.T, srv *mailcore.Server, id string) queue.Entry {
	t.Helper()
	for e, err := range srv.Queue().Entries(t.Context(), queue.Match{IDs: []string{id}}) {
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	t.Fatalf("%s is not in the queue", id)
	return queue.Entry{}
}

// TestASubmissionThatCameTwiceIsSentOnce leaves messages in the maildrop as the
// sendmail command does when it did not hear the answer of the socket.
func TestASubmissionThatCameTwiceIsSentOnce(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		box := maildrop.Box{Dir: t.TempDir()}
		if err := box.Create(os.Getuid(), os.Getgid()); err != nil {
			t.Fatal(err)
		}
		drop := func(submission, content string, to ...string) {
			t.Helper()
			content = "X-Panelmail-Submission: " + submission + "\r\n" + content
			e := maildrop.Envelope{Submission: submission, From: "web@shop.example", To: to, Size: int64(len(content))}
			if err := box.Write(os.Getuid(), e, strings.NewReader(content)); err != nil {
				t.Fatal(err)
			}
		}
		drop("one", "Subject: x\r\n\r\nx\r\n", "a@customer.example")
		lab.Server(mailcore.Config{Maildrop: box.Dir})
		lab.Wait(time.Minute)
		drop("one", "Subject: x\r\n\r\nx\r\n", "a@customer.example")
		drop("one", "Subject: x\r\n\r\nx\r\n", "b@customer.example") // whom the socket said nothing of
		drop("two", "Subject: x\r\n\r\nx\r\n", "a@customer.example")
		lab.Wait(time.Minute)
		lab.Drain(time.Minute)
		got := map[string]int{}
		for _, m := range mx.Messages() {
			got[m.Recipients[0]]++
			if strings.Contains(m.Content, "X-Panelmail-Submission") {
				t.Errorf("left with its submission: %s", m.Content)
			}
		}
		if got["a@customer.example"] != 2 || got["b@customer.example"] != 1 {
			t.Errorf("arrived: %v", got)
		}
	})
}
