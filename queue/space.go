package queue

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Where more than ampleSpace is free beside what must be, it is not looked at again
// for spacePause.
const (
	ampleSpace = 1 << 30 // octets
	spacePause = 100 * time.Millisecond
)

// A space is the room on a disk.
type space struct {
	dir   string
	begun time.Time
	ample atomic.Int64 // until when there is, in nanoseconds after begun
}

// check refuses mail while the disk is nearly full: SQLite cannot even delete on a
// full one.
func (s *space) check(wanted int64) error {
	now := time.Since(s.begun)
	if wanted < 0 || int64(now) < s.ample.Load() {
		return nil
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(s.dir, &stat); err != nil {
		return fmt.Errorf("queue: look for space: %w", err)
	}
	free := int64(stat.Bavail) * int64(stat.Bsize)
	if free < wanted {
		return fmt.Errorf("%w: %d octets free and %d wanted", ErrFull, free, wanted)
	}
	if free-wanted > ampleSpace {
		s.ample.Store(int64(now + spacePause))
	}
	return nil
}
