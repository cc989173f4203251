package queue_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// TestEachRecipientEndsOnceWhateverTheMomentOfACrash crashes a queue again and
// again, each time the next one goes on with what is on the disk.
func TestEachRecipientEndsOnceWhateverTheMomentOfACrash(t *testing.T) {
	outer, path := t, newPath(t)
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex // of random, path and the number of attempts
	draw := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	outcomes := []transport.Outcome{delivered, delivered,
		{Reply: transport.Replyf(451, "4.2.0", "later")}, {Reply: transport.Replyf(550, "5.1.1", "no")}, {Uncertain: true}}
	for crash := range 8 {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Duration(crash) * time.Hour) // each bubble begins in 2000
			q := open(t, path, queue.Options{Poll: -1})
			defer q.Close()
			left := 5 + draw(30) // attempts until the crash
			run(t, q, func(d *transport.Delivery) transport.Report {
				var report transport.Report
				for range d.Envelope.Recipients {
					report = append(report, outcomes[draw(len(outcomes))])
				}
				mu.Lock()
				defer mu.Unlock()
				if left--; left == 0 {
					path = copyOf(outer, path)
				}
				return report
			})
			for i := range 10 {
				var to []string
				for j := range 1 + i%3 {
					to = append(to, fmt.Sprintf("r%d-%d-%d@far.test", crash, i, j))
				}
				if _, err := q.Enqueue(t.Context(), message(to...), strings.NewReader("\r\n")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Duration(draw(60)) * time.Second)
			}
			time.Sleep(30 * time.Minute)
			synctest.Wait()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10 * time.Hour)
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		run(t, q, func(d *transport.Delivery) transport.Report { return d.All(delivered) })
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if left := ids(t, q); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		finals, seq := map[string]int{}, int64(0)
		for e, err := range q.Events(t.Context(), queue.Trail{}) {
			if err != nil {
				t.Fatal(err)
			}
			if seq++; e.Seq != seq {
				t.Fatalf("event %d has number %d", seq, e.Seq)
			}
			if e.Recipient == "" || e.Recipient == "alice@site.test" { // of a bounce
				continue
			}
			if finals[e.Recipient] += 0; e.Kind.Final() {
				finals[e.Recipient]++
			}
		}
		for r, n := range finals {
			if n != 1 {
				t.Errorf("%s ends %d times", r, n)
			}
		}
		if len(finals) < 60 {
			t.Errorf("only %d recipients", len(finals))
		}
	})
}
