package queue

import (
	"context"
	"time"
)

const (
	// What is left of messages that are over is removed when for a while no more of
	// it came: after a queue was drained, not meanwhile. But it stays no longer than
	// clearLatest.
	clearQuiet  = 2 * time.Second
	clearLatest = time.Minute
)

// clear removes what is left of messages that are over.
func (s *scheduler) clear(ctx context.Context) {
	l := s.q.store.left()
	signal(l.some) // the last Run, of this process or another one, may have left some
	for l.gather(ctx) {
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
	for was := int64(-1); was != l.octets.Load() && time.Now().Before(latest); {
		was = l.octets.Load()
		t := time.NewTimer(clearQuiet)
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-l.many:
			t.Stop()
			return true
		case <-t.C:
		}
	}
	return true
}
