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

	// copyEnd is the size of a log, in pages, that is copied to its end: then it is
	// written from its beginning again.
	copyEnd = 6000

	copyLog = `PRAGMA wal_checkpoint(PASSIVE)`
)

// A copier copies the write-ahead log into the database beside the writer, so that
// commits need not wait for it. It never comes to the end of a log that is being
// written: the little that it leaves the writer copies between two commits. What it
// does not copy, because it is late or has failed, SQLite does at a commit.
type copier struct {
	db     *sql.DB
	ops    int // since the last time; the writer's
	last   time.Time
	wanted chan struct{}
	near   atomic.Bool // little is left of a log that is to be copied to its end
	done   chan struct{}
	mu     sync.Mutex // held while the log is copied
}

func newCopier(db *sql.DB) *copier {
	c := &copier{db: db, last: time.Now(), wanted: make(chan struct{}, 1), done: make(chan struct{})}
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
		if c.copy() >= copyEnd {
			c.copy() // what was written meanwhile
			c.near.Store(true)
		}
	}
}

// copy returns the size of the log. An error is the disk's: the log stays as it was,
// and whoever commits next hears of it.
func (c *copier) copy() (pages int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var busy, copied int
	if err := c.db.QueryRowContext(context.Background(), copyLog).Scan(&busy, &pages, &copied); err != nil {
		return 0
	}
	return pages
}

func (c *copier) close() {
	close(c.wanted)
	<-c.done
	_ = c.db.Close()
}
