package queue

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"time"

	"github.com/panelmail/panelmail/internal/sqlitedb"
)

const (
	walLimit    = 32 << 20    // octets of log above which readers are waited for
	walEvery    = 64          // commits between two looks at the log
	foreignTail = time.Second // how long after a foreign writer we go easy on the lock
)

// lend gives the connection to one op that brought its own function.
func (w *writer) lend() {
	w.mu.Lock()
	q := w.queues[classLend]
	if len(q) == 0 || w.db == nil {
		w.mu.Unlock()
		return
	}
	o := q[0]
	w.queues[classLend] = append(q[:0], q[1:]...)
	w.mu.Unlock()
	o.result <- w.lendTo(o)
}

func (w *writer) lendTo(o *op) error {
	var tx *sql.Tx
	for {
		var err error
		if tx, err = w.tx.conn.BeginTx(context.Background(), nil); err == nil {
			break
		}
		if !sqlitedb.IsBusy(err) {
			return w.failed(err)
		}
		if o.ctx.Err() != nil || time.Now().After(o.deadline) {
			return ErrLocked
		}
		time.Sleep(beginPoll)
	}
	defer func() { _ = tx.Rollback() }()
	if err := o.call(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return w.failed(err)
	}
	return nil
}

// call runs the borrower's function. If it panics, that is the borrower's affair:
// do panics with the same value where it was called from.
func (o *op) call(tx *sql.Tx) (err error) {
	defer func() {
		if o.panicked = recover(); o.panicked != nil {
			err = errPanicked
		}
	}()
	return o.lend(tx)
}

var errPanicked = errors.New("queue: the function lent to panicked")

// owe keeps the lock free for others for half of the time that we held it, if
// there are others: paid in whole milliseconds of sleep, which idle time covers.
func (w *writer) owe(held time.Duration) {
	if time.Since(w.seen) > foreignTail {
		w.debt = 0
		return
	}
	w.debt += held / 2
	if pause := w.debt.Truncate(time.Millisecond); pause > 0 {
		time.Sleep(pause)
		w.debt -= pause
	}
}

// checkpoint keeps the log small where readers keep SQLite's own checkpoints
// from ever coming to its end.
func (w *writer) checkpoint() {
	w.commits++
	if w.commits%walEvery != 0 || w.db == nil {
		return
	}
	info, err := os.Stat(w.file.Path() + "-wal")
	if err != nil || info.Size() < walLimit {
		return
	}
	_, _ = w.tx.exec(`PRAGMA busy_timeout = 100`)
	_ = w.tx.discard(`PRAGMA wal_checkpoint(TRUNCATE)`)
	_, _ = w.tx.exec(`PRAGMA busy_timeout = 0`)
}
