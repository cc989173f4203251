package queue

import (
	"context"
	"time"
)

const (
	// claimFactor bounds what is in memory, in multiples of the number of
	// workers. The last of them is a reserve: one attempt each for lanes that
	// have nothing in memory. So whatever lanes claim ahead, there is no idle
	// worker while another lane is due.
	claimFactor = 4

	// shareOfBudget is which part of what memory may still hold one lane gets at
	// a time. It gets more when the others had theirs.
	shareOfBudget = 8

	// dueLimit is how many lanes one look at the schedule takes in.
	dueLimit = 256
)

// room asks the transport how many more deliveries the lane of a label admits.
// Nothing is locked while it is asked. asked is false if it does not say.
func (s *scheduler) room(label string) (room int, asked bool) {
	if s.admit == nil {
		return s.q.o.Concurrency, false
	}
	defer onPanic(s.q.o.Log, "Room", func() { room, asked = s.q.o.Concurrency, false })
	return s.admit.Room(label).Free, true
}

// wants lists what can be claimed now: lanes due, with room, within what memory
// may hold.
func (s *scheduler) wants(ctx context.Context) (wants []want, wake int64) {
	s.mu.Lock()
	budget := claimFactor*s.q.o.Workers - s.claimed
	if now := time.Now(); s.running == 0 && now.Sub(s.reopened) >= untriedPause {
		s.reopened = now
		s.reopen() // no delivery will end: ask again in a while
	}
	exclude := make([]int64, 0, len(s.lanes))
	for id, l := range s.lanes {
		if l.full || s.share(l, budget) <= 0 {
			exclude = append(exclude, id)
		}
	}
	s.mu.Unlock()
	if budget <= 0 {
		return nil, micros(time.Now().Add(untriedPause))
	}
	due, err := s.q.store.due(ctx, exclude, dueLimit)
	if err != nil {
		if ctx.Err() == nil {
			s.q.o.Log.ErrorContext(ctx, "schedule not readable", "error", err)
		}
		return nil, micros(time.Now().Add(time.Second))
	}
	return s.choose(due, budget)
}

// choose makes wants of the lanes that are due.
func (s *scheduler) choose(due []laneDue, budget int) (wants []want, wake int64) {
	now := micros(time.Now())
	wake = never
	for _, d := range due {
		if d.at > now {
			wake = d.at
			break
		}
		if w, ok := s.want(d, budget); ok {
			wants = append(wants, w)
			if budget -= w.attempts; budget <= 0 {
				return wants, never
			}
		}
	}
	switch {
	case len(wants) > 0:
	case wake == never && len(due) == dueLimit:
		wake = now // all of them are full, and known to be: look past them
	case s.stuck():
		wake = min(wake, now+untriedPause.Microseconds())
	}
	return wants, wake
}

// want says how much to claim in a lane that is due.
func (s *scheduler) want(d laneDue, budget int) (w want, ok bool) {
	room, _ := s.room(d.label)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[d.lane]
	if l == nil {
		l = &lane{id: d.lane, label: d.label, last: firstFlow}
		s.lanes[d.lane] = l
	}
	l.learn(time.Now(), room, s.q.o.Concurrency)
	if l.full {
		s.fulls++
		return want{}, false
	}
	n := s.share(l, budget)
	if n <= 0 {
		return want{}, false
	}
	l.asked = true
	return want{lane: l.id, label: l.label, attempts: n, after: l.last}, true
}

// share is how many attempts may be claimed for a lane now, of a budget for all
// of them.
func (s *scheduler) share(l *lane, budget int) int {
	free := budget - s.q.o.Workers
	switch {
	case free > 0:
		return min(l.ahead(), max(1, free/shareOfBudget))
	case l.doubt+len(l.ready) > 0:
		return 0 // the reserve is for the others
	}
	return min(l.ahead(), budget, 1)
}

// stuck reports whether work waits for room and no delivery is under way that
// would make some by ending.
func (s *scheduler) stuck() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running > 0 {
		return false
	}
	for _, l := range s.lanes {
		if l.full || l.starved() {
			return true
		}
	}
	return false
}

// reask asks for room for lanes that had claimed attempts when others took it.
func (s *scheduler) reask() {
	if s.admit == nil {
		return
	}
	var starved []*lane
	s.mu.Lock()
	for _, l := range s.lanes {
		if l.starved() {
			starved = append(starved, l)
		}
	}
	s.mu.Unlock()
	for _, l := range starved {
		room, _ := s.room(l.label)
		s.mu.Lock()
		l.learn(time.Now(), room, s.q.o.Concurrency)
		s.mu.Unlock()
	}
}

// reopen has full lanes asked for room again. The scheduler's lock is held.
func (s *scheduler) reopen() {
	if s.fulls == 0 {
		return
	}
	for _, l := range s.lanes {
		if l.full {
			l.full = false
			s.forget(l)
		}
	}
	s.fulls = 0
}
