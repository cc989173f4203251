package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/panelmail/panelmail/transport"
	"golang.org/x/sys/unix"
)

// ErrRunning says that somebody else runs the queue; the error's text names the
// process.
var ErrRunning = errors.New("queue: already run")

// Run delivers through t until ctx is done, and then returns nil. Deliveries
// under way get [Options.Grace] to end, and then their context is cancelled; what
// they report still counts, and what was not begun goes back as it was. Run waits
// for all of them, as long as t takes to notice. When Run returns no goroutine of
// its own is left.
//
// One Run at a time works on a file, whatever the process: it holds a lock on a
// file beside the database, with ".lock" at the end of its name. A second one
// gets [ErrRunning]. Run first ends the attempts that a dead process left behind:
// each counts as made, with an uncertain outcome. On a queue that was closed it
// returns [ErrClosed].
func (q *Queue) Run(ctx context.Context, t transport.Transport) error {
	leave, err := q.join()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(q.closing, cancel)()

	unlock, err := lockFile(q.path + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if err := q.recover(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("queue: take over: %w", err)
	}
	newScheduler(q, t).run(ctx)
	return nil
}

// recover takes over from whoever ran before. The lock says that nobody does
// now, so every lease is a dead one.
func (q *Queue) recover(ctx context.Context) error {
	if err := q.rescue(ctx, micros(time.Now()), never); err != nil {
		return err
	}
	if err := q.setBack(ctx); err != nil {
		return err
	}
	if err := q.store.survey(ctx); err != nil {
		return err
	}
	if err := q.syncSites(ctx); err != nil {
		return err
	}
	for dead, more := true, true; more; dead = false {
		var err error
		if more, err = q.store.sweep(ctx, dead); err != nil {
			return err
		}
	}
	return nil
}

// rescue ends attempts whose lease ran out before an instant.
func (q *Queue) rescue(ctx context.Context, now, before int64) error {
	n, err := q.store.rescue(ctx, now, before)
	if n > 0 {
		q.o.Load().Log.WarnContext(ctx, "attempts without an outcome found", "recipients", n)
	}
	return err
}

// lockFile locks a file and writes the process's number into it.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("queue: lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("queue: lock %s: %w", path, err)
		}
		holder := make([]byte, 32)
		n, _ := f.ReadAt(holder, 0)
		return nil, fmt.Errorf("%w: process %s holds %s", ErrRunning, bytes.TrimSpace(holder[:n]), path)
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if err := errors.Join(f.Truncate(0), writeAt(f, pid)); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("queue: lock: %w", err)
	}
	return func() { _ = f.Close() }, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}
