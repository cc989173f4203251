package queue_test

import (
	"database/sql"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// TestMailOfACallersTransactionWaitsForOneOfEachOtherSite has one site's backlog
// claimed ahead when another one's message comes by EnqueueTx.
func TestMailOfACallersTransactionWaitsForOneOfEachOtherSite(t *testing.T) {
	for name, store := range map[string]func(*testing.T, *sql.DB, *queue.Queue, func(*sql.Tx)){
		"Update": func(t *testing.T, _ *sql.DB, q *queue.Queue, f func(*sql.Tx)) {
			if err := q.Update(t.Context(), func(tx *sql.Tx) error { f(tx); return nil }); err != nil {
				t.Error(err)
			}
		},
		"a commit and Wake": func(t *testing.T, db *sql.DB, q *queue.Queue, f func(*sql.Tx)) {
			tx := begin(t, db)
			f(tx)
			if err := tx.Commit(); err != nil {
				t.Error(err)
			}
			q.Wake()
		},
		"a late commit, found by looking": func(t *testing.T, db *sql.DB, q *queue.Queue, f func(*sql.Tx)) {
			tx := begin(t, db)
			f(tx)
			q.Wake()
			time.Sleep(200 * time.Millisecond)
			if err := tx.Commit(); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, q := callers(t, queue.Options{Poll: -1, Concurrency: 1})
				for range 60 {
					mustEnqueue(t, q, ofSite("big", "u@far.test"))
				}
				var mu sync.Mutex
				var order []string
				run(t, q, func(d *transport.Delivery) transport.Report {
					mu.Lock()
					order = append(order, d.ID)
					mu.Unlock()
					time.Sleep(time.Second)
					return d.All(delivered)
				})
				time.Sleep(1500 * time.Millisecond)
				mu.Lock()
				before := len(order)
				mu.Unlock()
				var id string
				store(t, db, q, func(tx *sql.Tx) {
					var err error
					if id, err = q.EnqueueTx(t.Context(), tx, ofSite("small", "u@far.test"), strings.NewReader("x\r\n")); err != nil {
						t.Error(err)
					}
				})
				time.Sleep(10 * time.Second)
				mu.Lock()
				defer mu.Unlock()
				for i, got := range order {
					if got == id && i > before+1 {
						t.Errorf("number %d, and %d had begun when it came", i+1, before)
					}
				}
			})
		})
	}
}
