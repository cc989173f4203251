package sites

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// A DB runs transactions in the SQLite file that holds the settings.
// *queue.Queue is one, so that settings and queue share one file and one
// writer.
//
// Update runs f in a read-write transaction and commits when f returns nil;
// when it returns, the change is durable. View runs f in a read-only
// transaction that sees one state of the file. f may be run again if the file
// was busy. Both are called from many goroutines at once. One that keeps mail as
// well is a [Mail].
type DB interface {
	Update(ctx context.Context, f func(*sql.Tx) error) error
	View(ctx context.Context, f func(*sql.Tx) error) error
}

// pollEvery is how long [Sites.Current] trusts its snapshot without asking the
// database whether another process changed a setting.
const pollEvery = time.Second

// Sites is the settings of all sites. Its methods may be called from many
// goroutines at once. A change is durable, and seen by [Sites.Current], when
// the method that made it returns.
type Sites struct {
	db    DB
	mail  Mail
	slots chan struct{} // bounds password hashing: each holds hashMemory

	latest atomic.Pointer[Snapshot]
	wanted atomic.Int64 // revision that our own changes have reached
	polled atomic.Int64 // when the database was last asked, microseconds UTC
	mu     sync.Mutex   // one reload at a time

	found   found
	private privateKeys

	program    atomic.Pointer[transport.Definitions] // transports beside the built-in ones
	configured atomic.Pointer[string]                // see KnowSmartHost
}

// New opens the settings held in db, making or migrating the tables if needed.
// Their names begin with panelmail_.
func New(ctx context.Context, db DB) (*Sites, error) {
	var ok bool
	err := db.View(ctx, func(tx *sql.Tx) (err error) {
		ok, err = current(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sites: open: %w", err)
	}
	if !ok {
		if err := db.Update(ctx, func(tx *sql.Tx) error { return migrate(tx) }); err != nil {
			return nil, fmt.Errorf("sites: open: %w", err)
		}
	}
	s := &Sites{db: db, mail: mailOf(db), slots: make(chan struct{}, hashSlots())}
	if _, err := s.Reload(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// String hides everything: settings hold passwords.
func (s *Sites) String() string { return "sites.Sites" }

// GoString is String, for %#v.
func (s *Sites) GoString() string { return s.String() }

// Current is the settings in force. It costs an atomic load when this process
// changed nothing; once a second it asks the database whether another process
// did. After a change made in a transaction of the caller ([Sites.RemoveSiteTx]
// and others), call [Sites.Reload] once it is committed.
func (s *Sites) Current(ctx context.Context) (*Snapshot, error) {
	snap := s.latest.Load()
	now := time.Now().UnixMicro()
	if snap.revision < s.wanted.Load() {
		return s.reload(ctx, false)
	}
	if polled := s.polled.Load(); now-polled < pollEvery.Microseconds() && now >= polled {
		return snap, nil
	}
	revision, err := s.revision(ctx)
	if err != nil {
		return nil, fmt.Errorf("sites: read revision: %w", err)
	}
	if revision != snap.revision {
		return s.reload(ctx, false)
	}
	s.polled.Store(now)
	return snap, nil
}

// Snapshot is the settings as this process last read or changed them, for
// where there is no time to ask the database and nothing to be done about an
// error. Whoever serves calls [Sites.Current] once a second, so that changes of
// other processes come in.
func (s *Sites) Snapshot() *Snapshot {
	snap := s.latest.Load()
	if snap.revision < s.wanted.Load() {
		if fresh, err := s.reload(context.Background(), false); err == nil {
			return fresh
		}
	}
	return snap
}

// Reload reads the settings afresh.
func (s *Sites) Reload(ctx context.Context) (*Snapshot, error) { return s.reload(ctx, true) }

// reload reads a snapshot unless another goroutine just did and force is
// false.
func (s *Sites) reload(ctx context.Context, force bool) (*Snapshot, error) {
	before := s.latest.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.latest.Load(); !force && got != before && got.revision >= s.wanted.Load() {
		return got, nil
	}
	now := time.Now().UnixMicro()
	var snap *Snapshot
	err := s.db.View(ctx, func(tx *sql.Tx) (err error) {
		snap, err = load(tx, before)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sites: load: %w", err)
	}
	s.polled.Store(now)
	s.latest.Store(snap)
	s.private.keepOnly(snap.dkim)
	return snap, nil
}

func (s *Sites) revision(ctx context.Context) (revision int64, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT revision FROM panelmail_sites_version`).Scan(&revision)
	})
	return revision, err
}

// change runs f and counts the revision in one transaction.
func (s *Sites) change(ctx context.Context, f func(*sql.Tx) error) error {
	return s.changeIf(ctx, func(tx *sql.Tx) (bool, error) { return true, f(tx) })
}

// changeIf is change, but counts the revision only if f reports that a setting has
// changed.
func (s *Sites) changeIf(ctx context.Context, f func(*sql.Tx) (changed bool, err error)) error {
	var revision int64
	err := s.db.Update(ctx, func(tx *sql.Tx) error {
		revision = 0
		changed, err := f(tx)
		if err == nil && changed {
			revision, err = bump(tx)
		}
		return err
	})
	if err != nil {
		return ours(err)
	}
	for {
		wanted := s.wanted.Load()
		if wanted >= revision || s.wanted.CompareAndSwap(wanted, revision) {
			return nil
		}
	}
}

// bump makes every process see that settings changed.
func bump(tx *sql.Tx) (revision int64, err error) {
	err = tx.QueryRow(`
		UPDATE panelmail_sites_version SET revision = revision + 1 RETURNING revision`).Scan(&revision)
	return revision, err
}

// ours leaves errors that already say what happened and adds our name to the
// database's.
func ours(err error) error {
	for _, class := range []error{ErrExists, ErrNotFound, ErrInvalid, ErrNotOwner, ErrInUse} {
		if errors.Is(err, class) {
			return err
		}
	}
	return fmt.Errorf("sites: %w", err)
}

// affected turns a statement that met no row into otherwise.
func affected(r sql.Result, err error, otherwise error) error {
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		return otherwise
	}
	return err
}
