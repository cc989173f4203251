package queue

import (
	"maps"
	"math"
	"slices"
	"time"
)

// start begins ready attempts while there are workers, one lane after the other.
// Where there are more lanes than workers, the sites with the fewest deliveries
// under way go first, and of those the lane that has waited longest: so lanes with
// like backlogs go through them side by side, and what is settled together was
// stored together.
//
// A lane with newcomers waits for their claim, which is made next; but not for a
// second one, so that new sites do not stop it for good. What others in line are
// granted is no room for a lane.
func (s *scheduler) start() {
	now := time.Now()
	s.mu.Lock()
	lanes, given := s.startable(now), maps.Clone(s.given)
	begin := s.startIn(lanes, given, now)
	s.yield(given, now)
	s.mu.Unlock()
	for _, a := range begin {
		s.live.Add(1)
		s.crew.run(func() {
			defer s.live.Done()
			s.deliver(s.grace, a)
		})
	}
}

// startIn begins in lanes what may begin. The scheduler's lock is held, here and in
// what follows.
func (s *scheduler) startIn(lanes []*lane, given map[string]int, now time.Time) (begin []*attempt) {
	may := func(l *lane) bool { return l.mayStart(given[l.line.limiter]) && s.spares(l) }
	for workers := s.q.o.Load().Workers; s.running < workers; {
		lanes = slices.DeleteFunc(lanes, func(l *lane) bool { return !may(l) })
		switch {
		case len(lanes) == 0:
			return begin
		case len(lanes) > workers-s.running:
			return append(begin, s.contend(lanes, may, now)...)
		}
		for _, l := range lanes {
			if s.spares(l) {
				begin = append(begin, s.begin(l, now))
			}
		}
	}
	return begin
}

// contend begins in lanes what may begin, for each worker in the lane that is next.
func (s *scheduler) contend(lanes []*lane, may func(*lane) bool, now time.Time) (begin []*attempt) {
	c := newContest(lanes, s.sites)
	for workers := s.q.o.Load().Workers; s.running < workers; {
		i := c.first()
		if i < 0 {
			break
		}
		l := c.entrants[i].l
		if !may(l) {
			c.drop(i)
			continue
		}
		a := s.begin(l, now)
		c.begun(i, a.origin.Site)
		begin = append(begin, a)
	}
	return begin
}

// startable lists the lanes where a delivery may begin.
func (s *scheduler) startable(now time.Time) (lanes []*lane) {
	room := s.extra < s.q.o.Load().Workers && s.rows < maxRows
	for _, l := range s.lanes {
		if !room || l.resting(now) {
			l.newcomers = nil // there will be no claim for them
		}
		if l.ready.n > 0 && l.busy < l.limit && (len(l.newcomers) == 0 || l.passed) {
			lanes = append(lanes, l)
		}
		l.passed = false
	}
	return lanes
}

// begin counts the next delivery in a lane.
func (s *scheduler) begin(l *lane, now time.Time) *attempt {
	a := l.begin(now)
	s.takeTurn(l, a)
	s.running++
	s.sites[a.origin.Site]++
	return a
}

// A contest gives workers to lanes where there are fewer of them than lanes. It is as
// good as the scheduler's lock is held, and looks at each lane once: what it compares
// for each delivery that begins lies side by side.
type contest struct {
	entrants []entrant
	sites    []int // of the entrants, one after the other: indices of busy
	busy     []int // deliveries under way of a site
	index    map[string]int
}

// An entrant is a lane with its place in sites, and when it began a delivery.
type entrant struct {
	l        *lane
	from, to int
	served   int64
}

func newContest(lanes []*lane, busy map[string]int) *contest {
	c := &contest{entrants: make([]entrant, len(lanes)), sites: make([]int, 0, len(lanes)), index: map[string]int{}}
	for i, l := range lanes {
		from := len(c.sites)
		for site := range l.ready.waiting() {
			c.sites = append(c.sites, c.site(site, busy))
		}
		c.entrants[i] = entrant{l, from, len(c.sites), l.served}
	}
	return c
}

// site returns the index of a site.
func (c *contest) site(name string, busy map[string]int) int {
	i, ok := c.index[name]
	if !ok {
		i = len(c.busy)
		c.index[name] = i
		c.busy = append(c.busy, busy[name])
	}
	return i
}

// first returns the place of the lane that is next, or -1.
func (c *contest) first() (first int) {
	first, least := -1, math.MaxInt
	for i := range c.entrants {
		e := &c.entrants[i]
		for _, site := range c.sites[e.from:e.to] {
			if n := c.busy[site]; n < least || n == least && e.served < c.entrants[first].served {
				first, least = i, n
			}
		}
	}
	return first
}

// begun takes in that the lane at a place began a delivery of a site.
func (c *contest) begun(i int, site string) {
	e := &c.entrants[i]
	c.busy[c.index[site]]++
	e.served = e.l.served
	e.to = e.from
	for site := range e.l.ready.waiting() {
		c.sites[e.to] = c.index[site]
		e.to++
	}
}

// drop removes the lane at a place.
func (c *contest) drop(i int) {
	last := len(c.entrants) - 1
	c.entrants[i] = c.entrants[last]
	c.entrants = c.entrants[:last]
}

// spares reports whether there are workers left for others if a lane takes one. The
// last quarter of them is for lanes that have fewer than are left: destinations
// that do not answer never hold all.
func (s *scheduler) spares(l *lane) bool {
	left := s.q.o.Load().Workers - s.running
	return left > s.q.o.Load().Workers/4 || l.busy < left
}
