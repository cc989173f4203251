package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// TestNoPageKeepsACopyOfWhatARemovedSiteHad goes beyond what secure_delete does:
// with thousands of messages pages have been split and merged, and cells that moved
// leave copies behind.
func TestNoPageKeepsACopyOfWhatARemovedSiteHad(t *testing.T) {
	path := newPath(t)
	q := open(t, path, queue.Options{})
	t.Cleanup(func() { _ = q.Close() })
	put := func(site string, i int) {
		m := queue.Message{
			Envelope: transport.Envelope{ReversePath: "a@" + site, Recipients: []transport.Recipient{{Address: fmt.Sprintf("u%d@peer%d.test", i, i%100)}}},
			Origin:   transport.Origin{Site: site, Via: transport.ViaAPI},
		}
		if _, err := q.Enqueue(t.Context(), m, strings.NewReader("Subject: x\r\n\r\n"+strings.Repeat("text of "+site+"\r\n", i%20))); err != nil {
			t.Error(err)
		}
	}
	var producers sync.WaitGroup
	for w := range 40 {
		producers.Go(func() {
			for i := range 100 {
				put("leaver.test", w*100+i)
				if i%10 == 0 {
					put("stayer.test", w*100+i)
				}
			}
		})
	}
	producers.Wait()
	deliverSome(t, q, 2000)
	if err := removeSite(t, q, "leaver.test"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		// Not by this process, which would lose its locks with the descriptor.
		octets, err := exec.Command("cat", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(octets, []byte("leaver.test")); n > 0 {
			t.Errorf("%s has the name of the removed site %d times", name, n)
		}
	}
	n := 0
	for _, err := range q.Entries(t.Context(), queue.Match{Site: "stayer.test"}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n == 0 {
		t.Error("nothing is left of the other site")
	}
}

// deliverSome runs the queue until so many deliveries were made, of which every
// third is deferred.
func deliverSome(t *testing.T, q *queue.Queue, n int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	made := 0
	err := q.Run(ctx, transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
		mu.Lock()
		defer mu.Unlock()
		if made++; made == n {
			stop()
		}
		if made%3 == 0 {
			return d.All(transport.Outcome{Reply: transport.Replyf(451, "4.7.1", "later, %s", d.Envelope.ReversePath), Host: "mx.test"})
		}
		return d.All(transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "thanks, %s", d.Envelope.ReversePath), Host: "mx.test"})
	}))
	if err != nil {
		t.Fatal(err)
	}
}
