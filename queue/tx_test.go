package queue_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// callers opens a database as a panel would, with a queue in it.
func callers(t *testing.T, o queue.Options) (*sql.DB, *queue.Queue) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "panel.db")
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal_mode=WAL&_busy_timeout=1000&_txlock=deferred")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Exec(`CREATE TABLE bill (n INTEGER)`); err != nil {
		t.Fatal(err)
	}
	q, err := queue.New(t.Context(), db, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, q
}

func begin(t *testing.T, db *sql.DB) *sql.Tx {
	t.Helper()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func TestEnqueueTxIsPartOfTheCallersTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, q := callers(t, queue.Options{Poll: -1})
		n := 0
		run(t, q, func(d *transport.Delivery) transport.Report { n++; return d.All(delivered) })
		for _, commit := range []bool{false, true} {
			tx := begin(t, db)
			defer func() { _ = tx.Rollback() }()
			if _, err := q.EnqueueTx(t.Context(), tx, message("bob@far.test"), strings.NewReader("your bill\n")); err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(`INSERT INTO bill VALUES (1)`); err != nil {
				t.Fatal(err)
			}
			if got := ids(t, q); len(got) != 0 {
				t.Errorf("seen before the commit: %v", got)
			}
			end := tx.Rollback
			if commit {
				end = tx.Commit
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond) // nobody calls Wake: the poll finds it
			synctest.Wait()
			if want := map[bool]int{false: 0, true: 1}[commit]; n != want {
				t.Errorf("with commit %v: %d deliveries, want %d", commit, n, want)
			}
		}
	})
}

func TestEnqueueTxSaysWhenTheTransactionCannotWrite(t *testing.T) {
	db, q := callers(t, queue.Options{})
	tx := begin(t, db)
	defer func() { _ = tx.Rollback() }()
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM bill`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	enqueue(t, q, "written in between\r\n")
	_, err := q.EnqueueTx(t.Context(), tx, message("bob@far.test"), strings.NewReader("x"))
	if !errors.Is(err, queue.ErrLocked) {
		t.Errorf("read first, then EnqueueTx: %v", err)
	}
}

func TestEnqueueTxBoundsContent(t *testing.T) {
	db, q := callers(t, queue.Options{})
	for size, ok := range map[int]bool{1 << 20: true, 1<<20 + 1: false} {
		tx := begin(t, db)
		_, err := q.EnqueueTx(t.Context(), tx, message("bob@far.test"), strings.NewReader(strings.Repeat("x", size-2)+"\r\n"))
		if (err == nil) != ok {
			t.Errorf("%d octets: %v", size, err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(ids(t, q)); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// TestACallersLongTransactionMakesOthersWaitAndThenFail holds the file's lock for
// longer than a producer's deadline.
func TestACallersLongTransactionMakesOthersWaitAndThenFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, q := callers(t, queue.Options{Poll: -1, LockWait: 100 * time.Millisecond})
		tx := begin(t, db)
		if _, err := tx.Exec(`INSERT INTO bill VALUES (1)`); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err := q.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader("x"))
		if !errors.Is(err, queue.ErrLocked) || time.Since(start) < 100*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		start = time.Now()
		_, err = q.Enqueue(ctx, message("bob@far.test"), strings.NewReader("x"))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 20*time.Millisecond {
			t.Errorf("after %v, with a deadline of its own: %v", time.Since(start), err)
		}
		time.AfterFunc(50*time.Millisecond, func() { _ = tx.Commit() })
		enqueue(t, q, "waited\r\n")
	})
}

func TestEnqueueTxStoresAllOrNothing(t *testing.T) {
	db, q := callers(t, queue.Options{})
	fill(t, q, `CREATE TRIGGER full BEFORE INSERT ON panelmail_recipient WHEN NEW.address = 'b@far.test' BEGIN SELECT RAISE(ABORT, 'no'); END`)
	tx := begin(t, db)
	if _, err := tx.Exec(`INSERT INTO bill VALUES (1)`); err != nil {
		t.Fatal(err)
	}
	if _, err := q.EnqueueTx(t.Context(), tx, message("a@far.test", "b@far.test"), strings.NewReader("x")); err == nil {
		t.Error("stored what cannot be")
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if left := ids(t, q); len(left) != 0 {
		t.Errorf("a part is in the queue: %v", left)
	}
	var n int
	if err := db.QueryRow(`SELECT count(*) FROM bill`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d bills of the caller's, error %v", n, err)
	}
}

func TestEnqueueTxKeepsTheReserve(t *testing.T) {
	db, q := callers(t, queue.Options{MinFree: 1 << 60})
	tx := begin(t, db)
	defer func() { _ = tx.Rollback() }()
	if _, err := q.EnqueueTx(t.Context(), tx, message("bob@far.test"), strings.NewReader("x")); !errors.Is(err, queue.ErrFull) {
		t.Errorf("error %v", err)
	}
}

func TestWhatIsEnqueuedInAnUpdateIsDeliveredAtOnce(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		n := 0
		run(t, q, func(d *transport.Delivery) transport.Report { n++; return d.All(delivered) })
		time.Sleep(time.Minute)
		if err := q.Update(t.Context(), func(tx *sql.Tx) error {
			_, err := q.EnqueueTx(t.Context(), tx, message("bob@far.test"), strings.NewReader("x\r\n"))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n != 1 {
			t.Errorf("%d deliveries", n)
		}
	})
}

// TestAnUpdateThatEndsItsGoroutineLeavesTheQueueAlone does what t.FailNow does.
func TestAnUpdateThatEndsItsGoroutineLeavesTheQueueAlone(t *testing.T) {
	q := open(t, newPath(t), queue.Options{})
	defer q.Close()
	ended := make(chan bool)
	go func() {
		returned := false
		defer func() { ended <- returned }()
		_ = q.Update(t.Context(), func(tx *sql.Tx) error {
			_, _ = tx.Exec(`CREATE TABLE half (n INTEGER)`)
			runtime.Goexit()
			return nil
		})
		returned = true
	}()
	if <-ended {
		t.Error("Update returned")
	}
	enqueue(t, q, "\r\n")
	if err := q.View(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(`SELECT * FROM half`); return err }); err == nil {
		t.Error("half of the update was stored")
	}
}

// TestOneRefusedMessageDoesNotFailOthers has a duplicate in each batch, and
// somebody else who takes the lock between two transactions.
func TestOneRefusedMessageDoesNotFailOthers(t *testing.T) {
	db, q := callers(t, queue.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			tx, err := db.Begin()
			if err != nil {
				continue
			}
			if _, err := tx.Exec(`INSERT INTO bill VALUES (1)`); err == nil {
				_ = tx.Commit()
			} else {
				_ = tx.Rollback()
			}
		}
	})
	first := message("bob@far.test")
	first.ID = queue.NewID(time.Now())
	if _, err := q.Enqueue(t.Context(), first, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	var producers sync.WaitGroup
	for range 20 {
		producers.Go(func() {
			for range 20 {
				if _, err := q.Enqueue(t.Context(), first, strings.NewReader("x")); !errors.Is(err, queue.ErrDuplicate) {
					t.Errorf("the duplicate: %v", err)
				}
				if _, err := q.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader("x")); err != nil {
					t.Errorf("another message: %v", err)
				}
			}
		})
	}
	producers.Wait()
	cancel()
	wg.Wait()
}

func TestTheCallersPoolIsNotUsed(t *testing.T) {
	db, q := callers(t, queue.Options{})
	db.SetMaxOpenConns(1)
	tx := begin(t, db) // takes the only connection
	defer func() { _ = tx.Rollback() }()
	enqueue(t, q, "\r\n")
	if n := len(ids(t, q)); n != 1 {
		t.Errorf("%d messages", n)
	}
}
