package queue

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panelmail/panelmail/internal/sqlitedb"
)

// A Queue keeps messages in an SQLite file and delivers them. Its methods may be
// called from many goroutines at once, and several processes may have queues on
// one file; one of them may [Queue.Run].
type Queue struct {
	o     atomic.Pointer[Options]
	path  string
	space *space
	store store
	pump  *pump
	news  *herald // of events

	wake      chan struct{}             // somebody says that there may be work
	outside   chan struct{}             // EnqueueTx was used
	scheduler atomic.Pointer[scheduler] // of Run; nil: nobody delivers in this process
	changed   atomic.Bool               // a person, or somebody else, changed something: see recall
	closing   context.Context
	stop      context.CancelFunc
	buffers   sync.Pool    // of *bytes.Buffer: small bodies on their way in
	uploads   atomic.Int32 // large bodies being read
	closeOne  sync.Once
	mu        sync.Mutex
	closed    bool
	running   sync.WaitGroup // nobody joins when closed is set
}

// bufferSize is what a buffer for a small body has at first, in octets.
const bufferSize = 16 << 10

// Open opens the queue in the file at path, for itself. The file is created with
// mode 0600, and its directory with 0700, if missing. An existing directory must
// not be writable by its group or by others; 0755 is tolerated, because the
// files are private by themselves. An existing file must be regular, no symbolic
// link, and 0600.
//
// Open makes sure that what Enqueue returns for is on the disk: write-ahead log
// and synchronous=FULL are read back, and Open fails if they are not so.
func Open(ctx context.Context, path string, o Options) (*Queue, error) {
	file, err := sqlitedb.Own(path)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return start(ctx, file, o)
}

// New opens the queue in the file of db, whichever SQLite driver that has. The
// file must be in WAL mode. The queue opens connections of its own: it never
// uses one of db's pool, and its tables all begin with panelmail_. Close the
// queue before db.
//
// The queue copies the write-ahead log, for connections of the caller too, which
// therefore do best with PRAGMA wal_autocheckpoint = 0: what fails while a COMMIT of
// theirs copies it, SQLite tells nobody, and a disk that forgets what it could not
// write then damages the file at the next loss of power.
func New(ctx context.Context, db *sql.DB, o Options) (*Queue, error) {
	file, err := sqlitedb.Beside(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return start(ctx, file, o)
}

func start(ctx context.Context, file *sqlitedb.File, o Options) (*Queue, error) {
	o = o.withDefaults()
	p, news := newPump(o.Observe), &herald{}
	s, err := openEngine(ctx, file, o, func(events []Event) {
		if len(events) > 0 {
			p.emit(events)
			news.tell()
		}
	})
	if err != nil {
		p.close()
		return nil, fmt.Errorf("queue: %w", err)
	}
	q := &Queue{path: file.Path(), space: &space{dir: filepath.Dir(file.Path()), begun: time.Now()}, store: s, pump: p, news: news, wake: make(chan struct{}, 1), outside: make(chan struct{}, 1)}
	q.o.Store(&o)
	q.buffers.New = func() any { return bytes.NewBuffer(make([]byte, 0, bufferSize)) }
	q.closing, q.stop = context.WithCancel(context.Background())
	return q, nil
}

// Reload puts the settings of o in the place of those in force, all at once: what
// is stored and tried from now on goes by them. What is in the queue keeps the
// expiry, and the instant of its delay warning, that it was stored with.
//
// Label, Workers, Grace, LockWait, LogSize, CommitDelay, Poll, Sign, Observe and Log
// are for as long as the queue is open; those of o are not looked at.
func (q *Queue) Reload(o Options) {
	was := q.o.Load()
	o.Workers, o.Grace, o.LockWait, o.LogSize = was.Workers, was.Grace, was.LockWait, was.LogSize
	o.CommitDelay, o.Poll, o.Log = was.CommitDelay, was.Poll, was.Log
	o.Label, o.Observe, o.Sign = nil, nil, nil
	o = o.withDefaults()
	o.Label, o.Observe, o.Sign = was.Label, was.Observe, was.Sign // guarded already
	q.o.Store(&o)
}

// Close ends Run, if it runs, and closes the file. When it returns no goroutine
// of the queue is left and Observe has been told everything.
func (q *Queue) Close() error {
	var err error
	q.closeOne.Do(func() {
		q.mu.Lock()
		q.closed = true
		q.mu.Unlock()
		q.stop()
		q.running.Wait()
		err = q.store.close()
		q.pump.close()
	})
	return err
}

// join counts a Run, unless the queue is closed. Close waits until it has left.
func (q *Queue) join() (leave func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, ErrClosed
	}
	q.running.Add(1)
	return q.running.Done, nil
}

// Wake tells Run, and those who follow [Queue.Events], to look now. Call it after
// committing a transaction with EnqueueTx; without it the message is found a
// little later.
func (q *Queue) Wake() {
	signal(q.wake)
	q.news.tell()
}

// signal says that something happened, once for all who have not looked yet.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Update runs f in a transaction on the connection that writes, and commits it.
// While f runs nothing else is written: it should take milliseconds. f may be
// called with tx only, must not use the queue, and must not keep tx. If f
// returns an error, nothing is stored and Update returns it. [Queue.EnqueueTx] may
// be called with tx; Wake need not.
func (q *Queue) Update(ctx context.Context, f func(tx *sql.Tx) error) error {
	err := q.store.update(ctx, f)
	if err == nil {
		q.changed.Store(true) // as somebody else may
		q.Wake()
	}
	return err
}

// View runs f in a transaction that reads one state of the database. Keep it
// short: the log cannot be cut while it is open.
func (q *Queue) View(ctx context.Context, f func(tx *sql.Tx) error) error {
	return q.store.view(ctx, f)
}

// clock returns when a message expires whose time begins at start, and when its
// sender is to be warned (0: never). Lifetime is the message's own.
func (q *Queue) clock(reversePath string, lifetime, start int64) clock {
	c := clock{expires: start + tryFor(q.o.Load().lifetime(reversePath, lifetime)).Microseconds()}
	if reversePath != "" && q.o.Load().DelayWarning > 0 {
		c.warn = start + q.o.Load().DelayWarning.Microseconds()
	}
	return c
}

// lifetime is the message's own if it has one, else the setting for a message
// from reversePath.
func (o *Options) lifetime(reversePath string, own int64) time.Duration {
	switch {
	case own != 0:
		return time.Duration(own) * time.Microsecond
	case reversePath == "":
		return o.BounceLifetime
	}
	return o.Lifetime
}

// lifetimeOf is a message's own lifetime as it is stored, in microseconds; 0:
// none.
func lifetimeOf(d time.Duration) int64 {
	switch {
	case d < 0:
		return -1
	case d == 0:
		return 0
	}
	return max(1, min(d, maxLifetime).Microseconds())
}

// tryFor is how long a message with a lifetime stays in the queue. One that is to
// be tried once has a while to wait for its attempt.
func tryFor(lifetime time.Duration) time.Duration {
	if lifetime < 0 {
		return defaultLifetime
	}
	return lifetime
}

// pause waits for d unless ctx is done first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errStopped = errors.New("queue: stopped")
