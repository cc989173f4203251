package queue

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/panelmail/panelmail/internal/sqlitedb"
)

const foreignTail = time.Second // how long after a foreign writer we go easy on the lock

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
	err := w.beginFor(o, func() (err error) {
		tx, err = w.tx.conn.BeginTx(context.Background(), nil)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	o.borrowed <- tx
	if err := <-o.returned; err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return w.failed(err)
	}
	return nil
}

// beginFor polls for the lock on behalf of one op.
func (w *writer) beginFor(o *op, begin func() error) error {
	for {
		err := begin()
		switch {
		case err == nil:
			return nil
		case !sqlitedb.IsBusy(err):
			return w.failed(err)
		case o.ctx.Err() != nil:
			return o.ctx.Err()
		case time.Now().After(o.deadline):
			return ErrLocked
		}
		w.seen = time.Now()
		time.Sleep(beginPoll)
	}
}

// use runs the borrower's function on the borrower's goroutine: whether it
// panics, or ends that, is the borrower's affair, and nothing is stored.
func (o *op) use(tx *sql.Tx) {
	err := errAbandoned
	defer func() { o.returned <- err }()
	err = o.lend(tx)
}

var errAbandoned = errors.New("queue: the function lent to did not return")

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
