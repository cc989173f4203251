package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/panelmail/panelmail/internal/sqlitedb"
)

// Limits of one commit of several producers.
const (
	batchMessages = 256
	batchOctets   = 1 << 20
)

// beginPoll is the time between two tries to begin.
const beginPoll = 100 * time.Microsecond

// A writer owns the one connection that writes. Whoever wants something written
// queues an op and waits; the writer's goroutine takes what waits, settlements
// first, and commits it together.
type writer struct {
	file     *sqlitedb.File
	wait     time.Duration // for the lock, where an op's context has no earlier deadline
	delay    time.Duration // of a commit that may be shared; negative: none
	emit     func([]Event)
	limit    int64 // of the log, in octets
	log      *slog.Logger
	reopened func() // called when the connection was replaced

	mu     sync.Mutex
	queues [classes][]*op
	closed bool
	signal chan struct{}
	done   chan struct{}

	// The rest belongs to the writer's goroutine.
	db      *sql.DB
	tx      *prepared
	copier  *copier
	seen    time.Time // when a foreign writer was last met
	debt    time.Duration
	tried   checkpointed
	spoiled spoiler // also the copier's
	events  []Event // of the batch
	counter counter
	shared  int // ops of the last commit
}

// The order in which waiting ops are taken. A batch has something of each class
// that waits, so that none starves another.
const (
	classSettle = iota
	classEnqueue
	classOther
	classUpload
	classLend
	classPeek
	classes
)

// An op is one step of a producer inside a commit.
type op struct {
	class    int
	size     int // octets, about; 0: few
	ctx      context.Context
	deadline time.Time

	// apply runs the step's statements. It may run more than once: if the batch
	// fails, its ops are tried one by one.
	apply func(txn) ([]Event, error)

	// peek, instead of apply, runs without a transaction and takes no lock.
	peek func(txn) error

	// lend, instead of apply, runs alone on a transaction of database/sql. Its
	// caller's goroutine takes that from borrowed, and gives it back with lend's
	// error in returned.
	lend     func(*sql.Tx) error
	borrowed chan *sql.Tx
	returned chan error

	result chan error
}

// ErrClosed says that the queue was closed.
var ErrClosed = errors.New("queue: closed")

// ErrLocked says that somebody else held the database's write lock for too
// long, or in EnqueueTx that the caller's transaction cannot write. Nothing was
// stored; a later try may work.
var ErrLocked = errors.New("queue: database is locked")

// ErrFull says that there is no room on the disk. Nothing was stored; SMTP
// answers 452 4.3.1.
var ErrFull = errors.New("queue: disk is full")

func newWriter(ctx context.Context, file *sqlitedb.File, o Options, emit func([]Event), reopened func()) (*writer, error) {
	w := &writer{file: file, wait: o.LockWait, limit: o.LogSize, delay: o.CommitDelay, emit: emit, log: o.Log, reopened: reopened,
		signal: make(chan struct{}, 1), done: make(chan struct{})}
	if err := w.open(ctx); err != nil {
		return nil, err
	}
	go w.run()
	return w, nil
}

// do queues an op and waits for its commit.
func (w *writer) do(ctx context.Context, o *op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.ctx, o.deadline, o.result = ctx, time.Now().Add(w.wait), make(chan error, 1)
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.queues[o.class] = append(w.queues[o.class], o)
	w.mu.Unlock()
	signal(w.signal)
	select {
	case tx := <-o.borrowed:
		o.use(tx)
		return <-o.result
	case err := <-o.result:
		return err
	}
}

func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	signal(w.signal)
	<-w.done
}

func (w *writer) run() {
	defer close(w.done)
	defer w.shut()
	for range w.signal {
		for w.pending() {
			w.turn()
		}
		w.mu.Lock()
		closed := w.closed && !w.pendingLocked()
		w.mu.Unlock()
		if closed {
			w.settleLog()
			return
		}
	}
}

func (w *writer) pending() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pendingLocked()
}

func (w *writer) pendingLocked() bool {
	for _, q := range w.queues {
		if len(q) > 0 {
			return true
		}
	}
	return false
}

// turn makes one commit of what waits, and lets one lender in.
func (w *writer) turn() {
	if w.db == nil {
		if err := w.reopen(); err != nil {
			w.refuse(w.failed(fmt.Errorf("reopen the queue: %w", err)))
			return
		}
	}
	w.peek()
	w.gather()
	if !w.begin() {
		return
	}
	start := time.Now()
	ops := w.take()
	w.shared = len(ops)
	if len(ops) == 0 {
		w.rollback()
	} else {
		w.commit(ops)
	}
	w.lend()
	w.owe(time.Since(start))
	w.tend(len(ops))
}

// peek serves those who need no transaction.
func (w *writer) peek() {
	w.mu.Lock()
	ops := w.queues[classPeek]
	w.queues[classPeek] = nil
	w.mu.Unlock()
	for _, o := range ops {
		o.result <- o.peek(w.tx)
	}
}

// begin polls for the write lock until it has it or nobody waits any more.
func (w *writer) begin() bool {
	for {
		if !w.dismiss() {
			return false
		}
		_, err := w.tx.exec(`BEGIN IMMEDIATE`)
		if err == nil {
			return true
		}
		if !sqlitedb.IsBusy(err) {
			w.refuse(w.failed(err))
			return false
		}
		w.seen = time.Now()
		time.Sleep(beginPoll)
	}
}

// dismiss answers the ops whose time is over and reports whether any are left.
func (w *writer) dismiss() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, left := time.Now(), false
	for class, q := range w.queues {
		keep := q[:0]
		for _, o := range q {
			switch {
			case o.ctx.Err() != nil:
				o.result <- o.ctx.Err()
			case now.After(o.deadline):
				o.result <- ErrLocked
			default:
				keep = append(keep, o)
			}
		}
		clear(q[len(keep):])
		w.queues[class] = keep
		left = left || len(keep) > 0
	}
	return left
}

// take removes the next batch from the queues.
func (w *writer) take() []*op {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ops []*op
	octets := 0
	for class := range classLend {
		q := w.queues[class]
		n := 0
		for n < len(q) && (n == 0 || len(ops) < batchMessages && (q[n].size == 0 || octets < batchOctets)) {
			octets += q[n].size
			ops = append(ops, q[n])
			n++
		}
		w.queues[class] = append(q[:0], q[n:]...)
		clear(q[len(q)-n:])
	}
	return ops
}

// refuse answers everybody who waits with err.
func (w *writer) refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for class, q := range w.queues {
		for _, o := range q {
			o.result <- err
		}
		w.queues[class] = nil
	}
}

// commit applies ops in the open transaction. If one of them fails, each gets a
// transaction of its own, so that only the culprit's caller hears of it.
func (w *writer) commit(ops []*op) {
	err := w.apply(ops)
	if err == nil {
		w.answer(ops, nil)
		return
	}
	if len(ops) == 1 || w.db == nil {
		w.answer(ops, err)
		return
	}
	for i := range ops {
		one := ops[i : i+1]
		if w.db == nil {
			w.answer(one, err)
			continue
		}
		if e := w.beginFor(one[0], func() error { _, err := w.tx.exec(`BEGIN IMMEDIATE`); return err }); e != nil {
			w.answer(one, e)
			continue
		}
		w.answer(one, w.apply(one))
	}
}

// apply runs ops, writes what they tell, and commits, or rolls back.
func (w *writer) apply(ops []*op) error {
	if err := w.applyOpen(ops); err != nil {
		w.rollback()
		return w.failed(err)
	}
	w.emit(w.events)
	return nil
}

func (w *writer) applyOpen(ops []*op) error {
	w.tx.fresh()
	clear(w.events)
	w.events = w.events[:0]
	for _, o := range ops {
		events, err := o.apply(w.tx)
		if err != nil {
			return err
		}
		w.events = append(w.events, events...)
	}
	if err := writeEvents(w.tx, w.events); err != nil {
		return err
	}
	if err := w.counter.count(w.tx, w.events); err != nil {
		return err
	}
	_, err := w.tx.exec(`COMMIT`)
	return err
}

func (w *writer) answer(ops []*op, err error) {
	for _, o := range ops {
		o.result <- err
	}
}

func (w *writer) rollback() {
	_, _ = w.tx.exec(`ROLLBACK`) // SQLite may have done it already
}

// failed turns an error of the database into ours. Unless the statement alone
// is to blame, the state of the connection is unknown (an error of COMMIT says
// nothing about what is on the disk): it is closed, and the next turn opens
// another.
func (w *writer) failed(err error) error {
	var refusal *refusedError
	switch {
	case errors.As(err, &refusal), sqlitedb.IsConstraint(err):
		return err
	case sqlitedb.IsBusy(err):
		return fmt.Errorf("%w: %w", ErrLocked, err)
	case sqlitedb.IsFull(err):
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	w.shut()
	return err
}
