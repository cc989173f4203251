package queue

import (
	"database/sql"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestACommitWaitsForOthersAfterAFullOne has some ops share a commit, and then
// measures how long the next one takes.
func TestACommitWaitsForOthersAfterAFullOne(t *testing.T) {
	for _, c := range []struct {
		shared, next int
		delay, want  time.Duration
	}{
		{gatherFrom - 1, 1, 0, 0},
		{gatherFrom, 1, 0, 700 * time.Microsecond},
		{gatherFrom, gatherFrom - 1, time.Second, time.Second},
		{gatherFrom, gatherFrom, time.Second, 0},
		{gatherFrom, 1, -1, 0},
	} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			q, err := Open(t.Context(), filepath.Join(dir, "q", "queue.db"), Options{Poll: -1, CommitDelay: c.delay})
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			w := q.store.(*engine).writer
			var all sync.WaitGroup
			var open atomic.Int32
			write := func(n int) {
				open.Add(int32(n))
				for range n {
					all.Go(func() {
						defer open.Add(-1)
						err := w.do(t.Context(), &op{class: classOther, apply: func(txn) ([]Event, error) { return nil, nil }})
						if err != nil {
							t.Error(err)
						}
					})
				}
			}
			err = q.Update(t.Context(), func(*sql.Tx) error { // until it returns nothing is committed
				write(c.shared)
				for w.waiting() < c.shared {
					runtime.Gosched()
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			all.Wait()
			begun := time.Now()
			write(c.next)
			synctest.Wait() // no time passes until all is done that needs none
			if waits := open.Load() > 0; waits != (c.want > 0) {
				t.Errorf("after a commit of %d ops one of %d waits: %v", c.shared, c.next, waits)
			}
			all.Wait()
			if took := time.Since(begun); took != c.want {
				t.Errorf("after a commit of %d ops one of %d took %v, want %v", c.shared, c.next, took, c.want)
			}
			begun = time.Now()
			write(1)
			all.Wait()
			if took := time.Since(begun); (took != 0) != (c.next >= gatherFrom) {
				t.Errorf("after a commit of %d ops one took %v", c.next, took)
			}
		})
	}
}
