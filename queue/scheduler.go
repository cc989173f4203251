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
// something. The store is read only if that can have an answer that is not in
// memory: nothing is asked again because a limit said no.
type scheduler struct {
	q      *Queue
	t      transport.Transport
	admit  transport.Admitter // nil: the transport does not say
	revive transport.Reviver  // nil: it forgets by itself

	signal chan struct{}
	grace  context.Context // of deliveries and settlements: ends a while after Run's
	live   sync.WaitGroup  // attempts started and not settled
	crew   *crew

	mu       sync.Mutex
	lanes    map[int64]*lane // those with work in memory, or full
	labels   map[string]*lane
	places   map[string]int // kept for messages about to be stored, by label
	sites    map[string]int // deliveries under way, by site
	running  int            // deliveries under way
	claimed  int            // attempts in memory: ready or under way
	extra    int            // those of them that were claimed for newcomers
	rows     int            // their recipients
	kept     int            // octets of content, see keep
	tokens   map[int64]*attempt
	token    int64             // the next
	turn     int64             // of the next claim of a lane
	picks    int               // lanes chosen: see order
	served   int64             // deliveries begun
	fulls    int               // lanes that are full
	given    map[string]int    // places granted and not taken yet, by what limits them
	again    time.Time         // when lanes in line are asked though no delivery has ended; zero: not before
	parks    map[int64]parking // to be written
	rests    rests             // of lanes that hand back what they get
	expected []*record         // given to EnqueueTx and not seen yet, without content
	greet    bool              // some of them may have been committed
	stale    bool              // the schedule may say more than is known here
	next     int64             // when it does at the latest
	freed    bool              // a delivery ended since lanes were last asked for room
	reopened time.Time         // when they were last asked though nothing had ended
	stopping bool
}

func newScheduler(q *Queue, t transport.Transport) *scheduler {
	s := &scheduler{q: q, t: t, signal: make(chan struct{}, 1), crew: newCrew(), lanes: map[int64]*lane{}, labels: map[string]*lane{}, places: map[string]int{},
		sites: map[string]int{}, tokens: map[int64]*attempt{}, token: rand.Int64N(1<<62) + 1, parks: map[int64]parking{},
		rests: rests{}, given: map[string]int{}, stale: true, next: never}
	s.admit, _ = t.(transport.Admitter)
	s.revive, _ = t.(transport.Reviver)
	return s
}

// run schedules until ctx is done, then waits for what is under way.
func (s *scheduler) run(ctx context.Context) {
	grace, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	s.grace = grace
	s.q.scheduler.Store(s)
	defer s.q.scheduler.Store(nil)
	var helpers sync.WaitGroup
	for _, f := range []func(context.Context){s.renew, s.watch, s.expire, s.tidy, s.clear, s.forgetKeys, s.prune} {
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
// returns when there is something to look for again.
func (s *scheduler) look(ctx context.Context) (wake int64) {
	for ctx.Err() == nil {
		s.recall(ctx)
		s.welcome(ctx)
		s.reask()
		s.park(ctx)
		s.start()
		c := claim{rules: backoff{s.q.o.Load().BackoffMin, s.q.o.Load().BackoffMax}, limit: s.q.o.Load().RecipientLimit}
		var again bool
		c.wants, c.rows, again = s.wants(ctx)
		s.park(ctx)
		if len(c.wants) == 0 {
			if again {
				continue // those read have no room: look past them
			}
			return s.alarm()
		}
		now := time.Now()
		c.now, c.lease, c.token = micros(now), micros(now.Add(leaseTime)), s.nextTokens(c.wants)
		got, err := s.q.store.claim(ctx, c)
		s.answered(c.wants, got, err)
		if err != nil {
			if ctx.Err() == nil {
				s.q.o.Load().Log.ErrorContext(ctx, "claim failed", "error", err)
			}
			return micros(now.Add(time.Second))
		}
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
		s.mu.Lock()
		s.greet = true
		s.mu.Unlock()
		s.reread()
	case <-t.C:
	}
}

func (s *scheduler) notify() { signal(s.signal) }

// reread has the schedule read again.
func (s *scheduler) reread() {
	s.mu.Lock()
	s.stale = true
	s.mu.Unlock()
	s.notify()
}

func (s *scheduler) nextTokens(wants []want) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.token
	for _, w := range wants {
		s.token += int64(w.attempts + len(w.flows))
	}
	return first
}

// answered takes in what a claim brought, and forgets lanes that turned out empty.
func (s *scheduler) answered(wants []want, got []*attempt, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range wants {
		s.lanes[wants[i].lane].last = wants[i].after
	}
	for _, a := range got {
		l := s.lanes[a.lane]
		l.ready.add(a)
		if a.extra {
			l.extra++
			s.extra++
		} else {
			l.last[a.class] = a.next
		}
		s.tokens[a.token] = a
		s.claimed++
		s.rows += len(a.rows)
	}
	for i := range wants {
		w := &wants[i]
		l := s.lanes[w.lane]
		l.asked, l.passed = false, len(w.flows) > 0
		if w.attempts > 0 && err == nil {
			l.more = w.more
			s.stale = s.stale || w.more == [priorities]bool{}
		}
		s.forget(l)
	}
}

// lane returns a lane, for work that is about to enter it. The scheduler's lock is
// held.
func (s *scheduler) lane(id int64, label string) *lane {
	l := s.lanes[id]
	if l == nil {
		l = &lane{id: id, label: label, served: s.served}
		s.lanes[id], s.labels[label] = l, l
	}
	return l
}

// forget drops a lane that has nothing in memory.
func (s *scheduler) forget(l *lane) {
	if l.doubt > 0 || l.ready.n > 0 || l.full || l.asked || l.extra > 0 || l.backs > 0 {
		return
	}
	s.revoke(l)
	delete(s.lanes, l.id)
	delete(s.labels, l.label)
	s.stale = s.stale || l.skipped || l.more != [priorities]bool{}
}

// ended makes room when a delivery is over, before it is settled. kept says that it
// never was one, and waits in memory for room.
func (s *scheduler) ended(a *attempt, report transport.Report) (kept bool) {
	throttled := throttled(report, len(a.rows))
	room, asked := s.room(a.label)
	now := time.Now()
	s.mu.Lock()
	defer s.notify()
	defer s.mu.Unlock()
	l := s.lanes[a.lane]
	l.busy--
	s.running--
	if s.sites[a.origin.Site]--; s.sites[a.origin.Site] == 0 {
		delete(s.sites, a.origin.Site)
	}
	if asked {
		s.learn(l, now, room)
	}
	if throttled && asked && s.refused(l, a, report, room) {
		return true
	}
	s.freed = true
	a.rest = s.rests.after(a.lane, now, throttled, rand.Float64())
	if throttled {
		a.back = true
		l.backs++
		l.limit = max(l.busy, 1)
		s.empty(l) // there is no room for the others either
	}
	return false
}

// empty hands back what a lane has claimed ahead. The scheduler's lock is held.
func (s *scheduler) empty(l *lane) {
	for _, a := range l.ready.remove(func(*attempt) bool { return true }) {
		s.live.Go(func() { s.handBack(a) })
	}
}

// settled forgets an attempt. What of it waits is due at due, in a lane that rests
// until parked.
func (s *scheduler) settled(a *attempt, begun bool, due, parked int64) {
	s.mu.Lock()
	delete(s.tokens, a.token)
	s.freed = s.freed || !s.mayClaim()
	s.claimed--
	s.rows -= len(a.rows)
	s.kept -= len(a.content)
	s.next = min(s.next, max(due, parked))
	if l := s.lanes[a.lane]; l != nil {
		if begun {
			s.freed = s.freed || l.line.shares && l.doubting()
			l.doubt--
		}
		if a.extra {
			l.extra--
			s.extra--
		}
		if a.back {
			l.backs--
			l.until = instant(parked)
			l.more = [priorities]bool{} // the schedule knows how long it rests
			s.next = min(s.next, parked)
		}
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
	for _, l := range s.lanes {
		s.empty(l)
	}
	s.mu.Unlock()
	t := time.AfterFunc(s.q.o.Load().Grace, func() { end(errStopped) })
	defer t.Stop()
	s.live.Wait()
	s.crew.dismiss()
}
