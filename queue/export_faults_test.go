package queue

import (
	"context"
	"errors"
)

// Unreadable makes the content of q's messages unreadable, as a bad disk would.
func Unreadable(q *Queue) { q.store = unreadable{q.store.(*engine)} }

type unreadable struct{ *engine }

func (unreadable) content(context.Context, int64) (stored, error) {
	return stored{}, errors.New("disk I/O error")
}

// BeforeUnclaimed has f called between the reading of recipients that nobody
// tries and their settlement.
func BeforeUnclaimed(q *Queue, f func()) { q.store = &beforeUnclaimed{q.store.(*engine), f} }

type beforeUnclaimed struct {
	*engine
	f func()
}

func (s *beforeUnclaimed) settle(ctx context.Context, x *settlement) error {
	if f := s.f; x.attempt.token == 0 && f != nil {
		s.f = nil
		f()
	}
	return s.engine.settle(ctx, x)
}
