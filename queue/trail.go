package queue

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"
)

// A Trail says which events to read: those to which everything that is set
// applies.
type Trail struct {
	// After is the cursor: the Seq of the last event that was dealt with. If
	// zero, the trail begins with the oldest event that is kept; if negative,
	// with the next one to come.
	After int64

	// Follow waits for more at the end.
	Follow bool

	IDs       []string // queue IDs
	Site      string
	Recipient string // address
	Kinds     []Kind
}

// ErrPruned says that events are missing after a cursor: they were older than
// [Options.Retention], or the oldest there were and of a site that was removed, or
// the cursor is not of this file. Whoever must not miss
// anything has to look at the queue afresh; a trail from zero goes on with what
// is left.
var ErrPruned = errors.New("queue: the history does not reach back to the cursor")

// Events reads the history in the order of commits. It reads page by page and
// holds nothing open while the loop's body runs. Who keeps the Seq of the last
// event it has dealt with, and begins there the next time, misses none and gets
// none that later proves untrue; after a crash it may get some again. An event
// stored by [Queue.EnqueueTx] is as durable as the caller's commit.
//
// With Follow the loop goes on until ctx is done, which is no error. It is woken
// by commits of this Queue and by [Queue.Wake]; those of others it sees within
// [Options.Poll], and if that is negative, with the next one of ours.
//
// A trail of queue IDs is found through an index. Every other reads all events
// after the cursor, about a million a second.
//
// Errors: [ErrPruned], also in the middle if the loop's body takes longer than
// the retention; [ErrClosed]; the context's. The first one ends the loop.
func (q *Queue) Events(ctx context.Context, t Trail) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := q.follow(ctx, t, func(e Event) bool { return yield(e, nil) }); err != nil {
			yield(Event{}, err)
		}
	}
}

// follow calls yield for each event of a trail until it returns false.
func (q *Queue) follow(ctx context.Context, t Trail, yield func(Event) bool) error {
	after, err := q.store.cursor(ctx, t.After)
	for {
		if err != nil {
			return q.trailEnd(ctx, t, err)
		}
		news := q.news.next()
		var page []Event
		var more bool
		page, after, more, err = q.store.events(ctx, t, after)
		for i := range page {
			if !yield(page[i]) {
				return nil
			}
		}
		if err != nil || more {
			continue
		}
		if !t.Follow {
			return nil
		}
		err = q.await(ctx, news)
	}
}

// trailEnd is what ended a trail, as its reader is told.
func (q *Queue) trailEnd(ctx context.Context, t Trail, err error) error {
	switch {
	case ctx.Err() != nil && t.Follow:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case q.closing.Err() != nil:
		return ErrClosed
	}
	return err
}

// await returns when there may be more to read.
func (q *Queue) await(ctx context.Context, news <-chan struct{}) error {
	var poll <-chan time.Time
	if q.o.Load().Poll > 0 {
		t := time.NewTimer(q.o.Load().Poll)
		defer t.Stop()
		poll = t.C
	}
	select {
	case <-news:
		return nil
	case <-poll:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-q.closing.Done():
		return ErrClosed
	}
}

// History returns what is kept of a message's events, oldest first, also when it
// is no longer in the queue. Any queue ID that it has had will do. If nothing is
// kept it returns [ErrNotFound]. A message with many recipients has many: see
// [Queue.Events].
func (q *Queue) History(ctx context.Context, id string) ([]Event, error) {
	names, err := q.store.names(ctx, id)
	if err != nil {
		return nil, err
	}
	var all []Event
	for e, err := range q.Events(ctx, Trail{IDs: names}) {
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if len(all) == 0 {
		return nil, ErrNotFound
	}
	return all, nil
}

// A herald tells everybody who waits that there is news.
type herald struct {
	mu   sync.Mutex
	wait chan struct{} // nil: nobody waits
}

// next returns a channel that is closed at the next news.
func (h *herald) next() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wait == nil {
		h.wait = make(chan struct{})
	}
	return h.wait
}

func (h *herald) tell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.wait != nil {
		close(h.wait)
		h.wait = nil
	}
}
