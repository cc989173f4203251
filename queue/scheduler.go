package queue

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// claimFactor bounds what is in memory, in multiples of the number of workers.
const claimFactor = 4

// dueLimit is how many lanes one look at the schedule takes in.
const dueLimit = 256

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
	live   sync.WaitGroup // attempts started and not settled

	mu       sync.Mutex
	lanes    map[int64]*lane // those with work in memory, or full
	running  int             // deliveries under way
	claimed  int             // attempts in memory: ready or under way
	tokens   map[int64]struct{}
	token    int64 // the next
	stopping bool
}

// A lane is what the scheduler remembers of one while it has work in it.
type lane struct {
	id    int64
	label string
	busy  int        // deliveries under way
	doubt int        // begun and not settled: what a crash would do twice
	limit int        // how many may be under way, as far as is known
	full  bool       // no room until a delivery ends, anywhere
	asked bool       // a claim for it is under way
	ready []*attempt // claimed and not begun
	last  flow       // served last
}

func newScheduler(q *Queue, t transport.Transport) *scheduler {
	s := &scheduler{q: q, t: t, signal: make(chan struct{}, 1), lanes: map[int64]*lane{}, tokens: map[int64]struct{}{},
		token: rand.Int64N(1<<62) + 1}
	s.admit, _ = t.(transport.Admitter)
	return s
}

// run schedules until ctx is done, then waits for what is under way.
func (s *scheduler) run(ctx context.Context) {
	grace, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	var helpers sync.WaitGroup
	for _, f := range []func(context.Context){s.renew, s.watch, s.expire} {
		helpers.Go(func() { f(ctx) })
	}
	for ctx.Err() == nil {
		wake := s.look(ctx, grace)
		s.wait(ctx, wake)
	}
	s.stop(end)
	helpers.Wait()
}

// look starts what can start and claims until there is nothing to claim. It
// returns when the next lane is due.
func (s *scheduler) look(ctx, grace context.Context) (wake int64) {
	for ctx.Err() == nil {
		s.start(grace)
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
func (s *scheduler) start(grace context.Context) {
	s.mu.Lock()
	var begin []*attempt
	for progress := true; progress; {
		progress = false
		for _, l := range s.lanes {
			if s.running < s.q.o.Workers && len(l.ready) > 0 && l.mayStart() {
				begin = append(begin, l.ready[0])
				l.ready = l.ready[1:]
				l.busy++
				l.doubt++
				s.running++
				progress = true
			}
		}
	}
	s.mu.Unlock()
	for _, a := range begin {
		s.live.Go(func() { s.deliver(grace, a) })
	}
}

// wants lists what can be claimed now: lanes due, with room, within what memory
// may hold.
func (s *scheduler) wants(ctx context.Context) (wants []want, wake int64) {
	s.mu.Lock()
	budget := claimFactor*s.q.o.Workers - s.claimed
	exclude := make([]int64, 0, len(s.lanes))
	for id, l := range s.lanes {
		if l.full || s.ahead(l) <= 0 {
			exclude = append(exclude, id)
		}
	}
	s.mu.Unlock()
	if budget <= 0 {
		return nil, never
	}
	due, err := s.q.store.due(ctx, exclude, dueLimit)
	if err != nil {
		if ctx.Err() == nil {
			s.q.o.Log.ErrorContext(ctx, "schedule not readable", "error", err)
		}
		return nil, micros(time.Now().Add(time.Second))
	}
	now := micros(time.Now())
	for _, d := range due {
		if d.at > now {
			return wants, d.at
		}
		if budget <= 0 {
			return wants, never
		}
		if w, ok := s.want(d, budget); ok {
			wants = append(wants, w)
			budget -= w.attempts
		}
	}
	if len(wants) == 0 && len(due) == dueLimit {
		return nil, now // all of them are full, and known to be: look past them
	}
	return wants, never
}

// want says how much to claim in a lane that is due, asking the transport for
// room. Nothing is locked while it is asked.
func (s *scheduler) want(d laneDue, budget int) (w want, ok bool) {
	room := s.q.o.Concurrency
	if s.admit != nil {
		room = s.admit.Room(d.label)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[d.lane]
	if l == nil {
		l = &lane{id: d.lane, label: d.label, last: firstFlow}
		s.lanes[d.lane] = l
	}
	l.learn(room, s.q.o.Concurrency)
	n := min(s.ahead(l), budget)
	if l.full || n <= 0 {
		return want{}, false
	}
	l.asked = true
	return want{lane: l.id, label: l.label, attempts: n, after: l.last}, true
}

// doubtFactor bounds what a crash can repeat in a lane, in multiples of its limit:
// deliveries under way, and those that wait for the commit of their outcome.
const doubtFactor = 3

func (l *lane) mayStart() bool { return l.busy < l.limit && l.doubt < doubtFactor*l.limit }

// ahead is how many attempts may be claimed for a lane now: enough for the time
// that the commits of a claim and of a settlement take.
func (s *scheduler) ahead(l *lane) int { return 2*doubtFactor*l.limit - l.doubt - len(l.ready) }

// learn takes in how much room the transport sees. What was started a moment ago
// it may not have counted yet, so with deliveries under way the limit grows by
// one at most; an overestimate ends in an attempt handed back, which shrinks it.
func (l *lane) learn(room, most int) {
	l.full = room < 1 && l.doubt == 0 && len(l.ready) == 0
	switch {
	case l.busy == 0:
		l.limit = max(room, 0)
	case room > l.limit-l.busy:
		l.limit = max(l.limit+1, room)
	}
	l.limit = min(l.limit, most)
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
		l.last = a.flow
		s.tokens[a.token] = struct{}{}
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
	var room int
	if s.admit != nil {
		room = s.admit.Room(a.label)
	}
	s.mu.Lock()
	l := s.lanes[a.lane]
	l.busy--
	s.running--
	if s.admit != nil {
		l.learn(room, s.q.o.Concurrency)
	}
	if throttled {
		l.limit = max(l.busy, 1)
	}
	for _, other := range s.lanes {
		if other.full {
			other.full = false
			s.forget(other)
		}
	}
	s.mu.Unlock()
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
		s.live.Go(func() { s.settle(context.Background(), a, nil, false) })
	}
	t := time.AfterFunc(s.q.o.Grace, func() { end(errStopped) })
	defer t.Stop()
	s.live.Wait()
}
