package queue

import (
	"os"
	"sync/atomic"
	"time"

	"github.com/panelmail/panelmail/internal/sqlitedb"
)

const walPause = time.Minute // between two tries to cut a log that does not grow

// A spoiler remembers that the log could not be copied: what was written until then
// may be in the database or not, whatever SQLite knows.
type spoiler struct{ atomic.Pointer[error] }

// note keeps the error of a copy, which it returns.
func (s *spoiler) note(err error) error {
	if err != nil && !sqlitedb.IsBusy(err) {
		s.Store(&err)
	}
	return err
}

// tend looks after the log when something was committed.
func (w *writer) tend(ops int) {
	if w.db == nil || !w.mend() {
		return
	}
	if w.copier.committed(ops) {
		_ = w.spoiled.note(w.tx.discard(copyLog))
	}
	w.cut()
}

// mend has a log that could not be copied copied again from its beginning, and
// reports whether it may be copied. It is called when the last commit has worked: one
// that failed would be taken for a commit then, though it may not be on the disk.
func (w *writer) mend() bool {
	cause := w.spoiled.Load()
	if cause == nil {
		return true
	}
	if _, err := w.tx.exec(`BEGIN IMMEDIATE`); err != nil {
		if !sqlitedb.IsBusy(err) {
			_ = w.failed(err)
		}
		return false
	}
	err := w.file.Recopy()
	w.rollback()
	if err != nil {
		w.log.Error("log not copied, and cannot be copied again", "error", *cause, "again", err)
		return false
	}
	w.log.Error("log not copied; it is copied again from its beginning", "error", *cause)
	return w.spoiled.CompareAndSwap(cause, nil) && w.db != nil // or another copy has failed meanwhile
}

// settleLog leaves a log behind that whoever closes the file last may copy.
func (w *writer) settleLog() {
	if w.db != nil {
		w.copier.stop()
		w.mend()
	}
}

// checkpointed remembers the last try to cut the log.
type checkpointed struct {
	at   time.Time
	size int64 // of the log afterwards
}

// due reports whether to try again: a reader that was waited for in vain is not
// waited for again until the log has grown as much once more, or a while later:
// once the reader is gone the log is reused and does not grow.
func (c *checkpointed) due(now time.Time, size, limit int64) bool {
	c.size = min(c.size, size)
	return size-c.size >= limit || size >= limit && now.Sub(c.at) >= walPause
}

// cut keeps the log small where the copier is late, or readers keep it from ever
// coming to the end.
func (w *writer) cut() {
	if !w.tried.due(time.Now(), w.logSize(), w.limit) {
		return
	}
	w.copier.mu.Lock()
	_ = w.tx.discard(`PRAGMA busy_timeout = 100`) // not exec: it answers with a row, and would stay in progress
	_ = w.spoiled.note(w.tx.discard(`PRAGMA wal_checkpoint(TRUNCATE)`))
	_ = w.tx.discard(`PRAGMA busy_timeout = 0`)
	w.copier.mu.Unlock()
	w.tried = checkpointed{time.Now(), w.logSize()}
}

// logSize is the length of the log's file, 0 if that is not there.
func (w *writer) logSize() int64 {
	info, err := os.Stat(w.file.Path() + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}
