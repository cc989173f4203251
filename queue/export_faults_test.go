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

// BeforePark has f called once before lanes are parked.
func BeforePark(q *Queue, f func()) { q.store = &beforePark{q.store.(*engine), f} }

type beforePark struct {
	*engine
	f func()
}

func (s *beforePark) park(ctx context.Context, now int64, lanes []parking) error {
	if f := s.f; f != nil {
		s.f = nil
		f()
	}
	return s.engine.park(ctx, now, lanes)
}

// LoseAnswers has the first message that is stored and the first settlement end in
// an error, though both are on the disk: nothing less can be said of a COMMIT that
// failed.
func LoseAnswers(q *Queue) { q.store = &loseAnswers{engine: q.store.(*engine)} }

type loseAnswers struct {
	*engine
	enqueued, settled bool
}

func (s *loseAnswers) enqueue(ctx context.Context, r *record) error {
	err := s.engine.enqueue(ctx, r)
	if err == nil && !s.enqueued {
		s.enqueued, err = true, errors.New("disk I/O error")
	}
	return err
}

func (s *loseAnswers) settle(ctx context.Context, x *settlement) error {
	err := s.engine.settle(ctx, x)
	if err == nil && !s.settled {
		s.settled, err = true, errors.New("disk I/O error")
	}
	return err
}
