package queue

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/panelmail/panelmail/transport"
)

const (
	// claimFactor bounds what is in memory, in multiples of the number of
	// workers. The last of them is a reserve: one attempt each for lanes that
	// have nothing in memory. So whatever lanes claim ahead, there is no idle
	// worker while another lane is due. As many again as there are workers may
	// be claimed for newcomers.
	claimFactor = 16

	// fewest is how many attempts a lane may have in memory however many lanes
	// there are: a claim of one costs nearly as much as one of these.
	fewest = 4

	// maxRows bounds the recipients in memory: where they are reached, nothing
	// is claimed until some are settled.
	maxRows = 20_000

	// shareOfBudget is which part of what memory may still hold one lane gets at
	// a time. It gets more when the others had theirs.
	shareOfBudget = 8

	// dueLimit is how many lanes one look at the schedule takes in.
	dueLimit = 256

	// newestOf says that one in so many lanes taken from the schedule is the one
	// that became due last: so one of a site that has few does not wait for all of
	// a site that has ten thousand.
	newestOf = 4
)

// room asks the transport how many more deliveries the lane of a label admits.
// Nothing is locked while it is asked. asked is false if it does not say.
func (s *scheduler) room(label string) (room transport.Room, asked bool) {
	whole := transport.Room{Free: s.q.o.Load().Concurrency}
	if s.admit == nil {
		return whole, false
	}
	defer onPanic(s.q.o.Load().Log, "Room", func() { room, asked = whole, false })
	return s.admit.Room(label), true
}

// wants lists what can be claimed now, within what memory may hold: in lanes known
// to have more, then in those that are due by the schedule.
func (s *scheduler) wants(ctx context.Context) (wants []want, rows int, again bool) {
	s.mu.Lock()
	now := time.Now()
	budget := claimFactor*s.q.o.Load().Workers - (s.claimed - s.extra)
	rows = maxRows - s.rows
	if rows <= 0 {
		budget = 0
	}
	wants, budget = s.hungry(now, budget)
	read := s.stale || micros(now) >= s.next
	if !read || budget <= 0 {
		if read {
			s.stale, s.next = true, never // it is known that there is work, and needs no alarm
		}
		s.mu.Unlock()
		return wants, rows, false
	}
	s.stale, s.next, s.fulls = false, never, 0
	exclude := make([]int64, 0, len(s.lanes))
	for id, l := range s.lanes {
		if l.skipped = l.resting(now) || l.stocked(); l.skipped {
			exclude = append(exclude, id)
		}
		if l.full {
			s.fulls++
		}
	}
	s.mu.Unlock()
	due, whole, err := s.due(ctx, micros(now), exclude)
	if err != nil {
		if ctx.Err() == nil {
			s.q.o.Load().Log.ErrorContext(ctx, "schedule not readable", "error", err)
		}
		s.mu.Lock()
		s.next = min(s.next, micros(now.Add(time.Second)))
		s.mu.Unlock()
		return wants, rows, false
	}
	others := len(due)
	if !whole {
		others = math.MaxInt32 // nobody knows
	}
	wants, budget = s.choose(due, wants, budget, others)
	if again = !whole && budget > 0; !whole || budget <= 0 {
		s.mu.Lock()
		s.stale = true
		s.mu.Unlock()
	}
	return wants, rows, again
}

// hungry lists the wants of lanes in memory: those that have waited longest first.
// The scheduler's lock is held.
func (s *scheduler) hungry(now time.Time, budget int) (wants []want, left int) {
	var lanes []*lane
	for _, l := range s.lanes {
		if l.skipped && !l.resting(now) && !l.stocked() {
			l.skipped, s.stale = false, true // it can take what it was left out for
		}
		if !l.resting(now) && (len(l.newcomers) > 0 || l.hungry()) {
			lanes = append(lanes, l)
		}
	}
	slices.SortFunc(lanes, func(a, b *lane) int { return cmp.Compare(a.turn, b.turn) })
	extra := s.q.o.Load().Workers - s.extra
	if s.rows >= maxRows {
		extra = 0
	}
	for _, l := range lanes {
		w := want{flows: l.newcomers[:min(len(l.newcomers), max(extra, 0))]}
		l.newcomers = nil
		if l.hungry() {
			w.attempts = s.share(l, budget, 0)
		}
		extra -= len(w.flows)
		budget -= w.attempts
		if w.attempts > 0 || len(w.flows) > 0 {
			wants = append(wants, s.want(l, w))
		}
	}
	return wants, budget
}

// mayClaim reports whether memory may hold more. The scheduler's lock is held.
func (s *scheduler) mayClaim() bool {
	return s.claimed-s.extra < claimFactor*s.q.o.Load().Workers && s.rows < maxRows
}

// want completes what is wanted of a lane. The scheduler's lock is held.
func (s *scheduler) want(l *lane, w want) want {
	w.lane, w.label, w.after = l.id, l.label, l.last
	for class := range w.most {
		w.most[class] = max(l.ahead(class), 0)
	}
	l.asked, l.revived = true, false
	l.claims++
	w.yield = l.claims%floorOf == 0
	l.turn = s.turn
	s.turn++
	return w
}

// due lists lanes that are due, in the order in which they are to be served. whole
// says that those are all; then it notes when the next one is due.
func (s *scheduler) due(ctx context.Context, now int64, exclude []int64) (lanes []laneDue, whole bool, err error) {
	lanes, err = s.q.store.due(ctx, exclude, dueLimit)
	if err != nil {
		return nil, false, err
	}
	if at := slices.IndexFunc(lanes, func(d laneDue) bool { return d.at > now }); at >= 0 {
		s.mu.Lock()
		s.next = min(s.next, lanes[at].at)
		s.mu.Unlock()
		return inOrder(lanes[:at], s.picks), true, nil
	}
	if len(lanes) < dueLimit {
		return inOrder(lanes, s.picks), true, nil
	}
	latest, err := s.q.store.latest(ctx, exclude, now, dueLimit/newestOf)
	if err != nil {
		return nil, false, err
	}
	for _, d := range slices.Backward(latest) {
		if !slices.Contains(lanes, d) {
			lanes = append(lanes, d)
		}
	}
	return inOrder(lanes, s.picks), false, nil
}

// inOrder returns lanes, which are by the instant at which they became due, in the
// order in which they are served: most of them from the front, but one in newestOf
// from the back. picks is how many were taken before.
func inOrder(lanes []laneDue, picks int) []laneDue {
	all := make([]laneDue, 0, len(lanes))
	for ; len(lanes) > 0; picks++ {
		if picks%newestOf == newestOf-1 {
			all = append(all, lanes[len(lanes)-1])
			lanes = lanes[:len(lanes)-1]
		} else {
			all = append(all, lanes[0])
			lanes = lanes[1:]
		}
	}
	return all
}

// choose adds wants in lanes that are due, as many as others.
func (s *scheduler) choose(due []laneDue, wants []want, budget, others int) (all []want, left int) {
	for _, d := range due {
		if budget <= 0 {
			break
		}
		if w, ok := s.wantDue(d, budget, others); ok {
			wants = append(wants, w)
			budget -= w.attempts
		}
	}
	return wants, budget
}

// wantDue says how much to claim in a lane that is due as others are.
func (s *scheduler) wantDue(d laneDue, budget, others int) (w want, ok bool) {
	if d.revive {
		s.reviveLabel(d.label)
	}
	room, _ := s.room(d.label)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picks++
	l := s.lane(d.lane, d.label)
	l.revived = d.revive
	for class := range l.more {
		l.more[class] = true
	}
	s.learn(l, now, room)
	if l.full {
		s.crowd(l, now)
	}
	n := s.share(l, budget, others)
	if l.resting(now) || n <= 0 {
		s.forget(l)
		return want{}, false
	}
	return s.want(l, want{attempts: n}), true
}

// share is how many attempts may be claimed for a lane now, of a budget for all
// of them. None has more in memory than is left for the others, nor, beyond a few,
// than its part if all lanes that are known have the same: those in memory, and
// others. It gets that when most of it is used up.
func (s *scheduler) share(l *lane, budget, others int) int {
	workers := s.q.o.Load().Workers
	most, free := 0, budget-workers
	for class := range l.more {
		most = max(most, l.ahead(class))
	}
	has := l.doubt + l.ready.n
	part := max(fewest, claimFactor*workers/(len(s.lanes)+others))
	switch {
	case has > part/refillAt && part < most+has && !l.lacks():
		return 0
	case free > has:
		return min(most, max(1, min(free/shareOfBudget, free-has, part-has)))
	case has > 0:
		return 0 // what is left is for the others
	}
	return min(most, budget, 1)
}
