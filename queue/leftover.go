package queue

import (
	"context"
	"time"
)

const (
	// What is left of messages that are over is removed when for clearQuiet no more of
	// it came: after a queue was drained, not meanwhile. But the removal begins
	// clearLatest after the first one came at the latest, and when it is half of what
	// may be left.
	clearQuiet  = 2 * time.Second
	clearLatest = time.Minute
)

// clear removes what is left of messages that are over.
func (s *scheduler) clear(ctx context.Context) {
	for l := s.q.store.left(); l.gather(ctx); {
		err := inSteps(ctx, func(bool) (bool, error) { return s.q.store.clear(ctx) })
		if err != nil && ctx.Err() == nil {
			s.q.o.Load().Log.ErrorContext(ctx, "messages that are over not removed", "error", err)
		}
	}
}

// gather returns true when what there is should be removed, and false when ctx is
// done.
func (l *leftovers) gather(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-l.some:
	}
	latest := time.Now().Add(clearLatest)
	for was := int64(-1); was != l.octets.Load() && l.octets.Load() < leftoverMost/2 && time.Now().Before(latest); {
		was = l.octets.Load()
		if pause(ctx, clearQuiet) != nil {
			return false
		}
	}
	return true
}
