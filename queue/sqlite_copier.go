package queue

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// copyOps and copyPause are after how many ops, and how long, the log is copied
	// again: it has grown by some pages with each op.
	copyOps   = 1000
	copyPause = 500 * time.Millisecond

	// copyEnd is the part of a log's limit at which it is copied to its end: then it
	// is written from its beginning again.
	copyEnd = 0.75

	usualPage = 4096 // octets; a caller's database may have others

	copyLog = `PRAGMA wal_checkpoint(PASSIVE)`
)

// A copier copies the write-ahead log into the database beside the writer, so that
// commits need not wait for it. It never comes to the end of a log that is being
// written: the little that it leaves the writer copies between two commits. What it
// does not copy, because it is late, the writer does.
type copier struct {
	db      *sql.DB
	end     int64 // size of a log, in octets, that is copied to its end
	spoiled *spoiler
	ops     int // since the last time; the writer's
	last    time.Time
	wanted  chan struct{}
	near    atomic.Bool // little is left of a log that is to be copied to its end
	stopped sync.Once
	done    chan struct{}
	mu      sync.Mutex // held while the log is copied
}

func newCopier(db *sql.DB, limit int64, s *spoiler) *copier {
	c := &copier{db: db, end: int64(copyEnd * float64(limit)), spoiled: s, last: time.Now(),
		wanted: make(chan struct{}, 1), done: make(chan struct{})}
	go c.run()
	return c
}

// committed takes in that so many ops were committed, and reports whether the writer
// is to copy the rest.
func (c *copier) committed(ops int) (rest bool) {
	if c.ops += ops; c.ops >= copyOps && time.Since(c.last) >= copyPause {
		c.ops, c.last = 0, time.Now()
		signal(c.wanted)
	}
	return c.near.Swap(false)
}

func (c *copier) run() {
	defer close(c.done)
	for range c.wanted {
		if c.copy() >= c.end {
			c.copy() // what was written meanwhile
			c.near.Store(true)
		}
	}
}

// copy returns the size of the log in octets. A log that could not be copied waits
// for the writer to mend it.
func (c *copier) copy() (size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spoiled.Load() != nil {
		return 0
	}
	var busy, pages, copied int64
	err := c.db.QueryRowContext(context.Background(), copyLog).Scan(&busy, &pages, &copied)
	if c.spoiled.note(err) != nil {
		return 0
	}
	return pages * usualPage
}

// stop returns when nothing is copied any more.
func (c *copier) stop() {
	c.stopped.Do(func() { close(c.wanted) })
	<-c.done
}

func (c *copier) close() {
	c.stop()
	_ = c.db.Close()
}
