package queue

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/panelmail/panelmail/transport"
)

const (
	// shortPause is the longest for which a lane without room is remembered here.
	// One that has none for longer is parked in the store.
	shortPause = time.Second

	// maxFull is how many lanes without room are remembered here, and maxAsked how
	// many of them are asked for room again when a delivery has ended. Lanes above
	// are parked for a while: behind one busy provider there may be any number.
	maxFull  = 1000
	maxAsked = 100

	// crowdTick is what the ends of those pauses are multiples of, so that many
	// lanes are read and parked again together.
	crowdTick = 5 * time.Second
)

// A parking says until when nothing is claimed in a lane, and why.
type parking struct {
	lane   int64
	until  int64
	reason string // "": it is only busy

	revived bool // that a person wants it tried was heard
}

// learn takes in the room of a lane. The scheduler's lock is held.
func (s *scheduler) learn(l *lane, now time.Time, r transport.Room) {
	l.learn(now, r.Free, s.q.o.Load().Concurrency)
	l.until = time.Time{}
	if l.line.grant == 0 {
		l.line.limiter = r.Limiter
	}
	switch {
	case r.Free > 0 || !r.Until.After(now):
		return
	case r.Until.Sub(now) <= shortPause:
		l.until = r.Until
		return
	}
	reason := ""
	if r.Reply.Code != 0 {
		reason = r.Reply.Error()
	}
	s.suspend(l, r.Until, reason)
}

// crowd parks a full lane for a while if there are too many of them. The
// scheduler's lock is held.
func (s *scheduler) crowd(l *lane, now time.Time) {
	if s.fulls++; s.fulls > maxFull {
		s.suspend(l, now.Add(restMax/2+rand.N(restMax/2)).Truncate(crowdTick), "")
	}
}

// suspend has a lane parked, and hands back what was claimed ahead. The
// scheduler's lock is held.
func (s *scheduler) suspend(l *lane, until time.Time, reason string) {
	s.parks[l.id] = parking{l.id, micros(until), reason, l.revived}
	l.revived = false
	s.next = min(s.next, micros(until))
	s.empty(l)
	l.full, l.until = false, until
	l.more, l.newcomers = [priorities]bool{}, nil
}

// park writes down which lanes have no room, all together.
func (s *scheduler) park(ctx context.Context) {
	s.mu.Lock()
	lanes := make([]parking, 0, len(s.parks))
	for _, p := range s.parks {
		lanes = append(lanes, p)
	}
	clear(s.parks)
	s.mu.Unlock()
	if len(lanes) == 0 {
		return
	}
	if err := s.q.store.park(ctx, micros(time.Now()), lanes); err != nil {
		if ctx.Err() == nil {
			s.q.o.Load().Log.ErrorContext(ctx, "lanes not parked", "error", err)
		}
		s.mu.Lock()
		s.stale, s.next = false, micros(time.Now().Add(time.Second)) // then they are asked again
		s.mu.Unlock()
	}
}

// reask asks for room where there was none and may be some: in lanes that are full
// when a delivery has ended, or nothing has for a while; in those with a known
// instant when it has come.
func (s *scheduler) reask() {
	if s.admit == nil {
		return
	}
	now := time.Now()
	s.mu.Lock()
	ended, most := s.freed || !s.again.IsZero() && !now.Before(s.again), maxAsked
	if ended {
		s.again = time.Time{}
	}
	if s.freed = false; s.running == 0 && now.Sub(s.reopened) >= untriedPause {
		s.reopened = now
		ended, most = true, maxFull
	}
	lanes := s.toAsk(now, ended, most)
	defer s.mu.Unlock()
	left := map[string]int{} // places not spoken for, by what limits them
	for _, l := range lanes {
		if n, known := left[l.line.limiter]; known && n <= 0 && l.line.limiter != "" {
			continue // it would be told the same
		}
		s.mu.Unlock()
		room, _ := s.room(l.label)
		s.mu.Lock()
		if s.lanes[l.id] != l {
			continue // forgotten meanwhile
		}
		l.hear(room)
		s.learn(l, now, room)
		if l.more == [priorities]bool{} {
			s.forget(l)
		}
		if _, known := left[l.line.limiter]; !known {
			left[l.line.limiter] = room.Free - s.given[l.line.limiter]
		}
		if s.wish(l) > 0 {
			left[l.line.limiter]--
		}
	}
	s.grant(lanes, now)
}

// reviveLabel has the transport forget that a lane's destination is dead.
func (s *scheduler) reviveLabel(label string) {
	if s.revive == nil {
		return
	}
	defer onPanic(s.q.o.Load().Log, "Revive", func() {})
	s.revive.Revive(label)
}

// alarm is when there is something to look for, if nothing happens before.
func (s *scheduler) alarm() (wake int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	wake = s.next
	if !s.again.IsZero() {
		wake = min(wake, micros(s.again)+1)
	}
	for _, l := range s.lanes {
		switch {
		case l.until.After(now):
			wake = min(wake, micros(l.until)+1) // the store's instants are less exact
		case s.admit != nil && l.guessed() && s.asks(l):
			wake = min(wake, micros(l.latest.Add(countDelay))+1)
		case !l.full && l.ready.n == 0:
		case l.toAsk(now, s.running == 0):
			wake = min(wake, micros(now.Add(untriedPause)))
		}
	}
	if s.stale {
		wake = min(wake, micros(now.Add(untriedPause)))
	}
	return wake
}
