package queue

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// ErrSiteGone says that the site of a message was removed, or is being removed:
// nothing of it is stored any more.
var ErrSiteGone = errors.New("queue: the site was removed")

// A siteState says how the mail of a site comes and goes.
type siteState int

const (
	siteOpen      siteState = iota // as all mail; the only one that is not stored
	siteSuspended                  // what is stored is stored on hold
	siteResuming                   // open, and some is still on hold for the suspension
	siteClosing                    // nothing is stored; what there is is being removed
	siteGone                       // nothing is stored
)

// over reports whether the site's mail has come to its end.
func (s siteState) over() bool { return s == siteClosing || s == siteGone }

// suspendedReason is why the mail of a suspended site is on hold. A person's hold
// and a rule's have others, so that it is known what the suspension has stopped.
const suspendedReason = "the site is suspended"

// stateOf returns the state of a site.
func (s *ruleSet) stateOf(site string) siteState {
	if len(s.shut) == 0 {
		return siteOpen
	}
	if state, ok := s.shut[site]; ok {
		return state
	}
	return s.shut[traceless(site)]
}

// traceless stands for the name of a site that is gone, and does not tell it.
func traceless(site string) string {
	sum := sha256.Sum256([]byte(site))
	return hex.EncodeToString(sum[:])
}

// SuspendSite has new mail of a site stored on hold, from the commit of tx on,
// which is one of [Queue.Update]. What is in the queue [Queue.SyncSite] puts on
// hold after that. Suspending twice is no error.
func (q *Queue) SuspendSite(tx *sql.Tx, site string) error {
	return q.store.mark(tx, site, siteSuspended)
}

// ResumeSite ends a suspension from the commit of tx on, which is one of
// [Queue.Update]. What the suspension has put on hold [Queue.SyncSite] releases
// after that; what a person or a rule holds stays on hold.
func (q *Queue) ResumeSite(tx *sql.Tx, site string) error {
	return q.store.mark(tx, site, siteResuming)
}

// SyncSite puts the mail of a suspended site on hold, or releases that of a site
// that was resumed, step by step, as [Queue.Hold] and [Queue.Release] do. A
// delivery under way is not interrupted. What it does not come to, the next call
// does, or [Queue.Run] when it begins.
func (q *Queue) SyncSite(ctx context.Context, site string) error {
	state, err := q.store.stateOf(ctx, site)
	if err != nil {
		return err
	}
	switch state {
	case siteSuspended:
		_, err = q.apply(ctx, change{kind: changeSuspend, match: Match{Site: site}, reason: suspendedReason})
	case siteResuming:
		if _, err = q.change(ctx, changeResume, Match{Site: site}); err == nil {
			err = q.Update(ctx, func(tx *sql.Tx) error { return q.store.mark(tx, site, siteOpen) })
		}
	}
	return err
}

// syncSites does for all sites what SyncSite was kept from doing.
func (q *Queue) syncSites(ctx context.Context) error {
	for _, state := range []siteState{siteSuspended, siteResuming} {
		names, err := q.store.marked(ctx, state)
		if err != nil {
			return err
		}
		for _, site := range names {
			if err := q.SyncSite(ctx, site); err != nil {
				return err
			}
		}
	}
	return nil
}

// OpenSite says, in a transaction of [Queue.Update], that a site begins: its mail
// is taken even if one of that name was removed.
func (q *Queue) OpenSite(tx *sql.Tx, site string) error {
	return q.store.mark(tx, site, siteOpen)
}

// RenameSite gives a site another name in all that the queue keeps: mail, history,
// rules, keys, counts, and whether it is suspended. It is one transaction of
// [Queue.Update], which takes some 20 microseconds for each recipient and event of
// the site, and reads the whole history.
func (q *Queue) RenameSite(tx *sql.Tx, site, to string) error {
	return q.store.renameSite(tx, site, to)
}

// CloseSite is the first of three steps in which a site is removed: from the commit
// of tx on, which is one of [Queue.Update], nothing of the site is stored;
// [Queue.Enqueue] returns [ErrSiteGone]. The next steps are [Queue.EmptySite] and
// [Queue.RemoveSite].
func (q *Queue) CloseSite(tx *sql.Tx, site string) error {
	return q.store.mark(tx, site, siteClosing)
}

// EmptySite removes nearly all that the queue keeps of a site that is closed: its
// messages, its part of the history, of the counts and of the keys, and lanes
// nobody needs any more. No report is sent and no event told. A delivery under way
// is not interrupted; it leaves no trace.
//
// What the panel itself sends from the domains given, and what strangers send to
// them, goes too, also where that is sent on to somebody elsewhere. It does so step
// by step, so that mail of others flows on beside it. After an error or a crash,
// call it again.
func (q *Queue) EmptySite(ctx context.Context, site string, domains []string) error {
	err := q.store.emptySite(ctx, site, domains)
	q.sweep(ctx)
	q.changed.Store(true)
	q.Wake()
	return err
}

// RemoveSite removes what is left of a site that is closed, in a transaction of
// [Queue.Update]; after EmptySite that is next to nothing. It returns what went
// since CloseSite, as numbers by kind: messages, recipients, octets, events, rules,
// keys and counts; and when the oldest and the newest of the messages had
// arrived. Only what makes the queue refuse mail of the site stays, and does not
// tell its name.
func (q *Queue) RemoveSite(tx *sql.Tx, site string, domains []string) (rows map[string]int, oldest, newest time.Time, err error) {
	t, err := q.store.removeSite(tx, site, domains)
	rows, oldest, newest = t.result()
	return rows, oldest, newest, err
}

// CountSite tells what removing a site would remove, as RemoveSite does.
func (q *Queue) CountSite(ctx context.Context, site string, domains []string) (rows map[string]int, oldest, newest time.Time, err error) {
	t, err := q.store.countSite(ctx, site, domains)
	rows, oldest, newest = t.result()
	return rows, oldest, newest, err
}

// ErrTraces says that something of what was deleted may still be in the file.
var ErrTraces = errors.New("queue: traces of what was deleted may be left")

// Scrub makes sure that nothing of what was deleted is left in the file or in its
// log. A file of our own is rewritten, which takes a second or so for each hundred
// megabytes of what is left in it; nothing else is written meanwhile. Of more than
// 512 MiB it does not do that, but returns [ErrTraces]; run VACUUM when there is
// time. In a file of the caller's that is the caller's affair: there SQLite has
// overwritten what was deleted, but old copies of it may be in unused parts of
// pages.
//
// Then the log is written into the file and cut to nothing. For that it waits for
// readers, for as long as ctx allows, and at most half a minute; [ErrLocked] says
// that there was always one.
func (q *Queue) Scrub(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, scrubWait, ErrLocked)
	defer cancel()
	rewritten := unlocked(ctx, q.store.rewrite)
	return errors.Join(rewritten, unlocked(ctx, q.store.cutLog))
}

// unlocked calls f until somebody else's lock is no longer in its way.
func unlocked(ctx context.Context, f func(context.Context) error) error {
	for {
		err := f(ctx)
		if err == nil || !errors.Is(err, ErrLocked) {
			return err
		}
		if pause(ctx, scrubPause) != nil {
			return fmt.Errorf("queue: scrub: %w", context.Cause(ctx))
		}
	}
}

const (
	scrubWait  = 30 * time.Second
	scrubPause = 20 * time.Millisecond

	rewriteLimit = 512 << 20 // octets
)

// A siteTally is what went of a site.
type siteTally struct {
	Rows           map[string]int
	Oldest, Newest int64 // arrival of messages; 0: there were none
	Seen           int64 // the history was gone through up to this number
	Minute         int64 // and the counts up to this minute
	Message        int64 // and the mail of strangers up to this message
}

// add counts rows of a kind.
func (t *siteTally) add(kind string, n int64) {
	if n == 0 {
		return
	}
	if t.Rows == nil {
		t.Rows = map[string]int{}
	}
	t.Rows[kind] += int(n)
}

// message counts one that arrived then.
func (t *siteTally) message(arrived, size, recipients int64) {
	t.add("messages", 1)
	t.add("recipients", recipients)
	t.add("octets", size)
	if t.Oldest == 0 || arrived < t.Oldest {
		t.Oldest = arrived
	}
	t.Newest = max(t.Newest, arrived)
}

func (t *siteTally) result() (rows map[string]int, oldest, newest time.Time) {
	if t.Oldest != 0 {
		oldest, newest = instant(t.Oldest), instant(t.Newest)
	}
	return t.Rows, oldest, newest
}
