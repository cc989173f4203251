package queue_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// TestALateCommitIsFoundWithoutWake has the caller take its time between
// EnqueueTx and the commit.
func TestALateCommitIsFoundWithoutWake(t *testing.T) {
	for _, poll := range []time.Duration{-1, 0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			db, q := callers(t, queue.Options{Poll: poll})
			n := 0
			run(t, q, func(d *transport.Delivery) transport.Report { n++; return d.All(delivered) })
			synctest.Wait()
			tx := begin(t, db)
			defer func() { _ = tx.Rollback() }()
			if _, err := q.EnqueueTx(t.Context(), tx, message("bob@far.test"), strings.NewReader("x\r\n")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if n != 1 {
				t.Errorf("poll %v: %d deliveries, want 1", poll, n)
			}
		})
	}
}
