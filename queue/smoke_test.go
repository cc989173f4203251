package queue_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func TestSmoke(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "q")
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		q, err := queue.Open(t.Context(), dir+"/queue.db", queue.Options{Hostname: "mx.test", Poll: -1, Observe: func(ev []queue.Event) {
			for _, e := range ev {
				t.Log(time.Since(start), e.Kind, e.ID, e.Recipient, e.Outcome.Reply)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		done := make(chan error)
		go func() {
			done <- q.Run(ctx, transport.Func(func(ctx context.Context, d *transport.Delivery) transport.Report {
				n++
				if n < 3 {
					return d.All(transport.Outcome{Reply: transport.Replyf(451, "4.7.1", "greylisted")})
				}
				if n == 3 {
					return d.All(transport.Outcome{Reply: transport.Replyf(550, "5.1.1", "no such user")})
				}
				return d.All(transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "ok")})
			}))
		}()
		m := queue.Message{Envelope: transport.Envelope{ReversePath: "a@a.test", Recipients: []transport.Recipient{{Address: "b@b.test"}}}}
		if _, err := q.Enqueue(t.Context(), m, strings.NewReader("Subject: x\n\nhello\n")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		for e, err := range q.Entries(t.Context(), queue.Match{All: true}) {
			t.Log(e, err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
