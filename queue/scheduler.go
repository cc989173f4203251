package queue

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// A scheduler moves work from the store to the transport. The store is the
// schedule; in memory there are only the attempts under way and a few claimed
// ahead, so that a lane need not wait for a commit between two deliveries.
//
// It looks for work when something happened that can have made some: mail came
// in, a delivery ended, a lane's time came, a person or another process changed
// something. Nothing is asked again only because a limit said no.
type scheduler struct {
	q     *Queue
	t     transport.Transport
	admit transport.Admitter // nil: the transport does not say

	signal chan struct{}
	grace  context.Context // of deliveries and settlements: ends a while after Run's
	live   sync.WaitGroup  // attempts started and not settled

	mu       sync.Mutex
	lanes    map[int64]*lane // those with work in memory, or full
	running  int             // deliveries under way
	claimed  int             // attempts in memory: ready or under way
	tokens   map[int64]*attempt
	token    int64     // the next
	fulls    int       // lanes that are full
	rests    rests     // of lanes that hand back what they get
	reopened time.Time // when they were last asked again though nothing had ended
	stopping bool
}

func newScheduler(q *Queue, t transport.Transport) *scheduler {
	s := &scheduler{q: q, t: t, signal: make(chan struct{}, 1), lanes: map[int64]*lane{}, tokens: map[int64]*attempt{},
		token: rand.Int64N(1<<62) + 1, rests: rests{}}
	s.admit, _ = t.(transport.Admitter)
	return s
}

// run schedules until ctx is done, then waits for what is under way.
func (s *scheduler) run(ctx context.Context) {
	grace, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	s.grace = grace
	var helpers sync.WaitGroup
	for _, f := range []func(context.Context){s.renew, s.watch, s.expire} {
		helpers.Go(func() { f(ctx) })
	}
	for ctx.Err() == nil {
		wake := s.look(ctx)
		s.wait(ctx, wake)
	}
	s.stop(end)
	helpers.Wait()
}

// look starts what can start and claims until there is nothing to claim. It
// returns when the next lane is due.
func (s *scheduler) look(ctx context.Context) (wake int64) {
	for ctx.Err() == nil {
		s.recall(ctx)
		s.reask()
		s.start()
		wants, wake := s.wants(ctx)
		if len(wants) == 0 {
			return wake
		}
		now := time.Now()
		got, err := s.q.store.claim(ctx, claim{
			now: micros(now), lease: micros(now.Add(leaseTime)), token: s.nextTokens(wants), wants: wants,
			rules: backoff{s.q.o.BackoffMin, s.q.o.BackoffMax}, limit: s.q.o.RecipientLimit,
		})
		if err != nil {
			s.mu.Lock()
			s.answered(wants)
			s.mu.Unlock()
			if ctx.Err() == nil {
				s.q.o.Log.ErrorContext(ctx, "claim failed", "error", err)
			}
			return micros(now.Add(time.Second))
		}
		s.add(wants, got)
	}
	return never
}

// wait sleeps until something happens.
func (s *scheduler) wait(ctx context.Context, wake int64) {
	d := time.Duration(min(max(0, wake-micros(time.Now())), day.Microseconds())) * time.Microsecond
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-s.signal:
	case <-s.q.wake:
	case <-t.C:
	}
}

func (s *scheduler) notify() { signal(s.signal) }

// start begins ready attempts while there are workers, one lane after the other.
func (s *scheduler) start() {
	now := time.Now()
	s.mu.Lock()
	var begin []*attempt
	for progress := true; progress; {
		progress = false
		for _, l := range s.lanes {
			if s.running < s.q.o.Workers && len(l.ready) > 0 && l.mayStart() {
				begin = append(begin, l.begin(now))
				s.running++
				progress = true
			}
		}
	}
	s.mu.Unlock()
	for _, a := range begin {
		s.live.Go(func() { s.deliver(s.grace, a) })
	}
}

func (s *scheduler) nextTokens(wants []want) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.token
	for _, w := range wants {
		s.token += int64(w.attempts)
	}
	return first
}

// add takes claimed attempts in, and forgets lanes that turned out empty.
func (s *scheduler) add(wants []want, got []*attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range got {
		l := s.lanes[a.lane]
		l.ready = append(l.ready, a)
		l.last = a.next
		s.tokens[a.token] = a
		s.claimed++
	}
	s.answered(wants)
}

// answered ends the claims for lanes, and forgets those that turned out empty.
// The scheduler's lock is held.
func (s *scheduler) answered(wants []want) {
	for _, w := range wants {
		l := s.lanes[w.lane]
		l.asked = false
		s.forget(l)
	}
}

// forget drops a lane that has nothing in memory.
func (s *scheduler) forget(l *lane) {
	if l.doubt == 0 && len(l.ready) == 0 && !l.full && !l.asked {
		delete(s.lanes, l.id)
	}
}

// ended makes room when a delivery is over, before it is settled.
func (s *scheduler) ended(a *attempt, throttled bool) {
	room, asked := s.room(a.label)
	s.mu.Lock()
	l := s.lanes[a.lane]
	l.busy--
	s.running--
	if asked {
		l.learn(time.Now(), room, s.q.o.Concurrency)
	}
	var back []*attempt
	a.rest = s.rests.after(a.lane, time.Now(), throttled, rand.Float64())
	if throttled {
		l.limit = max(l.busy, 1)
		back, l.ready = l.ready, nil // there is no room for them either
	}
	s.reopen()
	s.mu.Unlock()
	for _, a := range back {
		s.live.Go(func() { s.handBack(a) })
	}
	s.notify()
}

// settled forgets an attempt.
func (s *scheduler) settled(a *attempt, begun bool) {
	s.mu.Lock()
	delete(s.tokens, a.token)
	s.claimed--
	if l := s.lanes[a.lane]; begun {
		l.doubt--
		s.forget(l)
	}
	s.mu.Unlock()
	s.notify()
}

// stop hands back what was not begun and waits for what is under way: first in
// peace, then with its context cancelled.
func (s *scheduler) stop(end context.CancelCauseFunc) {
	s.mu.Lock()
	s.stopping = true
	var back []*attempt
	for _, l := range s.lanes {
		back = append(back, l.ready...)
		l.ready = nil
	}
	s.mu.Unlock()
	for _, a := range back {
		s.live.Go(func() { s.handBack(a) })
	}
	t := time.AfterFunc(s.q.o.Grace, func() { end(errStopped) })
	defer t.Stop()
	s.live.Wait()
}
