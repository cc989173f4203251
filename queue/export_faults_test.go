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

// BeforeSettle has f called once between the judgement of an attempt and its
// settlement: of a claimed one, or of recipients that nobody tries.
func BeforeSettle(q *Queue, claimed bool, f func()) {
	q.store = &beforeSettle{q.store.(*engine), claimed, f}
}

type beforeSettle struct {
	*engine
	claimed bool
	f       func()
}

func (s *beforeSettle) settle(ctx context.Context, x *settlement) error {
	if f := s.f; f != nil && s.claimed == (x.attempt.token != 0) {
		s.f = nil
		f()
	}
	return s.engine.settle(ctx, x)
}
