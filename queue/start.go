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
	var begin []*attempt
	s.mu.Lock()
	lanes, given := s.startable(now), maps.Clone(s.given)
	for s.running < s.q.o.Load().Workers {
		lanes = slices.DeleteFunc(lanes, func(l *lane) bool { return !l.mayStart(given[l.line.limiter]) || !s.spares(l) })
		if len(lanes) == 0 {
			break
		}
		if len(lanes) > s.q.o.Load().Workers-s.running {
			begin = append(begin, s.begin(s.first(lanes), now))
			continue
		}
		for _, l := range lanes {
			if s.spares(l) {
				begin = append(begin, s.begin(l, now))
			}
		}
	}
	s.yield(given, now)
	s.mu.Unlock()
	for _, a := range begin {
		s.live.Go(func() { s.deliver(s.grace, a) })
	}
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

// first returns the lane that is next.
func (s *scheduler) first(lanes []*lane) (first *lane) {
	least := math.MaxInt
	var site string // looked up last: often it is that of the next lane too
	n := s.sites[site]
	load := func(name string) int {
		if name != site {
			site, n = name, s.sites[name]
		}
		return n
	}
	for _, l := range lanes {
		if n := l.ready.load(load); n < least || n == least && l.served < first.served {
			first, least = l, n
		}
	}
	return first
}

// spares reports whether there are workers left for others if a lane takes one. The
// last quarter of them is for lanes that have fewer than are left: destinations
// that do not answer never hold all.
func (s *scheduler) spares(l *lane) bool {
	left := s.q.o.Load().Workers - s.running
	return left > s.q.o.Load().Workers/4 || l.busy < left
}
