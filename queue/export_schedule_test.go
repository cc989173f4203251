package queue

import (
	"context"
	"sync/atomic"
)

// Calls counts what a queue's scheduler asks of its store.
type Calls struct{ Reads, Claims, Parks, Parked atomic.Int64 }

// Watch counts the calls of q's scheduler.
func Watch(q *Queue) *Calls {
	w := &watched{engine: q.store.(*engine)}
	q.store = w
	return &w.calls
}

type watched struct {
	*engine
	calls Calls
}

func (s *watched) due(ctx context.Context, exclude []int64, limit int) ([]laneDue, error) {
	s.calls.Reads.Add(1)
	return s.engine.due(ctx, exclude, limit)
}

func (s *watched) latest(ctx context.Context, exclude []int64, now int64, limit int) ([]laneDue, error) {
	s.calls.Reads.Add(1)
	return s.engine.latest(ctx, exclude, now, limit)
}

func (s *watched) claim(ctx context.Context, c claim) ([]*attempt, error) {
	s.calls.Claims.Add(1)
	return s.engine.claim(ctx, c)
}

func (s *watched) park(ctx context.Context, now int64, lanes []parking) error {
	s.calls.Parks.Add(1)
	s.calls.Parked.Add(int64(len(lanes)))
	return s.engine.park(ctx, now, lanes)
}
