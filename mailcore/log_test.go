package mailcore_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/transport"
)

// A journal is a log whose lines a test reads.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// lines are those with a message, without time and level and with ID for a queue ID.
func (j *journal) lines(message, id string) (all []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		if _, rest, found := strings.Cut(line, "msg="+message+" "); found {
			all = append(all, strings.ReplaceAll(strings.TrimSpace(rest), id, "ID"))
		}
	}
	return all
}

func newJournal() (*journal, *slog.Logger) {
	j := &journal{}
	return j, slog.New(slog.NewTextHandler(io.Writer(j), nil))
}

func TestTheLogHasWhoHandedInAndWhatBecameOfEachRecipient(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		mx.Always(mailtest.Rcpt, transport.Replyf(550, "5.1.1", "no such user"))
		lab.Domain("elsewhere.example")
		j, log := newJournal()
		srv := lab.Server(mailcore.Config{Log: log, Postmaster: "boss@elsewhere.example"})
		addSite(t, srv, "shop", "shop.example")
		addLogin(t, srv, "me@shop.example", "shop", "secret")
		c := login(t, lab, sasl.NewPlainClient("", "me@shop.example", "secret"))
		if err := send(c, "me@shop.example", "Subject: x\r\n\r\nx\r\n", "u@customer.example", "postmaster@"+mailtest.Hostname); err != nil {
			t.Fatal(err)
		}
		c.Close()
		lab.Drain(time.Minute)
		accepted := j.lines("accepted", "\x00")
		if len(accepted) != 1 {
			t.Fatalf("accepted: %q", accepted)
		}
		var id string
		if _, err := fmt.Sscanf(accepted[0], "id=%s", &id); err != nil {
			t.Fatal(err)
		}
		want := []string{"id=ID via=smtp site=shop client=203.0.113.3 helo=localhost login=me@shop.example"}
		if diff := cmp.Diff(want, j.lines("accepted", id)); diff != "" {
			t.Error(diff)
		}
		var delivered []string
		for _, line := range j.lines("delivery", id) {
			if strings.HasPrefix(line, "id=ID ") {
				delivered = append(delivered, line)
			}
		}
		want = []string{
			`id=ID to=u@customer.example relay=mx.customer.example[203.0.113.1]:25 delay=0s dsn=5.1.1 status=bounced reply="550 5.1.1 no such user"`,
			`id=ID to=boss@elsewhere.example orig_to=postmaster@mail.panel.example relay=mx.elsewhere.example[203.0.113.2]:25 delay=0s dsn=2.0.0 status=sent reply="250 2.0.0 OK: queued"`,
		}
		slices.Sort(want)
		slices.Sort(delivered)
		if diff := cmp.Diff(want, delivered); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTheLogHasALineForEachRefusal(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		j, log := newJournal()
		srv := lab.Server(mailcore.Config{Log: log})
		addSite(t, srv, "ours", "ours.example")
		c := greet(t, lab)
		for _, to := range []string{"u@customer.example", "nobody@ours.example"} {
			if err := send(c, "", "", to); code(err)/100 != 5 {
				t.Errorf("%s: %v", to, err)
			}
			if err := c.Reset(); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{
			`listener=smtp client=203.0.113.1 helo=client.example command=RCPT argument=TO:<u@customer.example> reply="554 5.7.1 <u@customer.example>: Relay access denied" proto=ESMTP from="" to=u@customer.example`,
			`listener=smtp client=203.0.113.1 helo=client.example command=RCPT argument=TO:<nobody@ours.example> reply="550 5.1.1 <nobody@ours.example>: Recipient address rejected: User unknown in virtual mailbox table" proto=ESMTP from="" to=nobody@ours.example`,
		}
		if diff := cmp.Diff(want, j.lines(`"command refused"`, "\x00")); diff != "" {
			t.Error(diff)
		}
	})
}
