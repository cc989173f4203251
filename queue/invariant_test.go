package queue_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func TestAnAttemptNeverOutlivesItsLease(t *testing.T) {
	for _, c := range []struct {
		defect string
		want   time.Duration // how long a delivery of an hour goes on
	}{
		{"", time.Hour},
		{"leases are not renewed", 10 * time.Minute},
	} {
		path := newPath(t)
		synctest.Test(t, func(t *testing.T) {
			q := open(t, path+c.defect, queue.Options{Poll: -1})
			defer q.Close()
			queue.Sabotage(q, c.defect)
			enqueue(t, q, "\r\n")
			var took time.Duration
			runContext(t, q, func(ctx context.Context, d *transport.Delivery) transport.Report {
				start := time.Now()
				select {
				case <-ctx.Done():
				case <-time.After(time.Hour):
				}
				took = time.Since(start)
				return d.All(delivered)
			})
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			if took != c.want {
				t.Errorf("defect %q: the delivery went on for %v, want %v", c.defect, took, c.want)
			}
		})
	}
}

func TestTheQueueMayBeLargerThanMemory(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1, Workers: 10})
		defer q.Close()
		for i := range 20 {
			var to []string
			for j := range 50 {
				to = append(to, fmt.Sprintf("u@d%d-%d.test", i, j))
			}
			if _, err := q.Enqueue(t.Context(), message(to...), strings.NewReader("\r\n")); err != nil {
				t.Fatal(err)
			}
		}
		now, most := 0, 0
		var mu sync.Mutex
		run(t, q, func(d *transport.Delivery) transport.Report {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Minute)
			mu.Lock()
			now--
			mu.Unlock()
			return d.All(delivered)
		})
		time.Sleep(30 * time.Second)
		synctest.Wait()
		s, err := q.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		if most != 10 || s.Active > 160 || s.Waiting < 840 {
			t.Errorf("%d deliveries at once, %d recipients in memory, %d waiting", most, s.Active, s.Waiting)
		}
		mu.Unlock()
		time.Sleep(101 * time.Minute)
		synctest.Wait()
		if left := ids(t, q); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestNoStrangersCodeUnderALockOrInATransaction has everything the user gives us
// call back into the queue.
func TestNoStrangersCodeUnderALockOrInATransaction(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		var q *queue.Queue
		calls := map[string]int{}
		var mu sync.Mutex
		use := func(who string) {
			if q == nil {
				return
			}
			if err := q.Update(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(`SELECT 1`); return err }); err != nil {
				t.Errorf("%s: %v", who, err)
			}
			if _, err := q.Stats(t.Context()); err != nil {
				t.Errorf("%s: %v", who, err)
			}
			mu.Lock()
			calls[who]++
			mu.Unlock()
		}
		q = open(t, path, queue.Options{Poll: -1,
			Observe: func([]queue.Event) { use("Observe") },
			Label:   func(context.Context, transport.Query) string { use("Label"); return "/far.test" },
		})
		defer q.Close()
		run(t, q, func(d *transport.Delivery) transport.Report { use("Deliver"); return d.All(delivered) })
		m := message("bob@far.test")
		m.Head = func() ([]byte, error) { use("Head"); return nil, nil }
		if _, err := q.Enqueue(t.Context(), m, reading(func() { use("content") })); err != nil {
			t.Fatal(err)
		}
		for range q.Entries(t.Context(), queue.Match{All: true}) {
			use("Entries")
		}
		synctest.Wait()
		for _, who := range []string{"Observe", "Label", "Deliver", "Head", "content"} {
			if calls[who] == 0 {
				t.Errorf("%s was not called", who)
			}
		}
	})
}

// reading is content that calls f when it is read.
type reading func()

func (f reading) Read(p []byte) (int, error) {
	f()
	return copy(p, "x\r\n"), io.EOF
}
