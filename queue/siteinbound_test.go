package queue_test

import (
	"context"
	"database/sql"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func TestTheLastStepAloneRemovesMailToTheSite(t *testing.T) {
	for _, emptied := range []bool{true, false} {
		q := openClosed(t)
		ctx, domains := t.Context(), []string{"gone.example"}
		put := func(recipients ...transport.Recipient) {
			t.Helper()
			m := queue.Message{Envelope: transport.Envelope{ReversePath: "a@stranger.test", Recipients: recipients}, Origin: transport.Origin{Via: transport.ViaSMTP}}
			if _, err := q.Enqueue(ctx, m, strings.NewReader("Subject: x\r\n\r\nx\r\n")); err != nil {
				t.Fatal(err)
			}
		}
		mail := func() {
			t.Helper()
			put(transport.Recipient{Address: "u@gone.example"}, transport.Recipient{Address: "u@keep.example"})
			put(transport.Recipient{Address: "later@gone.example"})
			put(transport.Recipient{Address: "me@elsewhere.test", ORcpt: "rfc822;u@gone.example"})
			put(transport.Recipient{Address: "list@elsewhere.test", ReversePath: "SRS0=h=t=stranger.test=a@gone.example"})
		}
		mail()
		deferAll(t, q, 5)
		if err := q.Update(ctx, func(tx *sql.Tx) error { return q.CloseSite(tx, "gone") }); err != nil {
			t.Fatal(err)
		}
		kept := 1
		if emptied {
			if err := q.EmptySite(ctx, "gone", domains); err != nil {
				t.Fatal(err)
			}
			mail() // was on its way
			kept++
		}
		err := q.Update(ctx, func(tx *sql.Tx) error {
			_, _, _, err := q.RemoveSite(tx, "gone", domains)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range q.Entries(ctx, queue.Match{All: true}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range e.Recipients {
				if kept--; r.Address != "u@keep.example" {
					t.Errorf("emptied before: %t: still queued: %s", emptied, r.Address)
				}
			}
		}
		if kept != 0 {
			t.Errorf("emptied before: %t: %d recipients of the other site are missing", emptied, kept)
		}
		for e, err := range q.Events(ctx, queue.Trail{}) {
			if err != nil || e.Recipient != "" && e.Recipient != "u@keep.example" {
				t.Errorf("emptied before: %t: the history has %+v, %v", emptied, e, err)
			}
		}
	}
}

// deferAll has each of so many recipients deferred once.
func deferAll(t *testing.T, q *queue.Queue, recipients int64) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var seen atomic.Int64
	err := q.Run(ctx, transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
		if seen.Add(int64(len(d.Envelope.Recipients))) == recipients {
			stop()
		}
		return d.All(transport.Outcome{Reply: transport.Replyf(451, "4.7.1", "later"), Host: "mx.test"})
	}))
	if err != nil {
		t.Fatal(err)
	}
}
