package queue

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// Lanes may share what limits them: two domains behind one provider, or two
// sources of one destination. Those that were seen to do so stand in line: a place
// that becomes free goes to the lane that has begun nothing for longest. The
// transport may name the limit that leaves no more room; where it does not, all
// lanes in line are taken to share one.

// askAgain is when lanes are asked again of which one was told of room that went to
// another: by then the transport has counted that delivery, as a rule. If it has not,
// one is refused, and waits in memory.
const askAgain = 2 * time.Millisecond

// A line is a lane's place among those that wait for room that they share.
type line struct {
	shares  bool      // it has no room of its own, as far as is known: it begins what it is granted
	limiter string    // names what limits it
	told    int       // how many places there were when it was asked
	grant   int       // how many of them it may take
	kept    bool      // though it has nothing to begin: that is being claimed
	since   time.Time // since when it waits, or was last seen to for long
}

// waits reports whether a lane has work and may have to wait for room that others
// take.
func (l *lane) waits() bool {
	return l.full || l.starved() || l.line.shares && (l.ready.n > 0 || l.more != [priorities]bool{} && l.backs == 0)
}

// hear takes in what a lane was told. If it waits it is in line from now on.
func (l *lane) hear(r transport.Room) {
	if l.waits() {
		l.line.shares, l.line.told = true, max(r.Free, 0)
	}
}

// toAsk lists the lanes to ask for room, in the order in which they are served. Of
// very many whose limit has no name only those most come that are first, and some
// that are not: those before may share with nobody whose delivery ended. The
// scheduler's lock is held, here and in what follows.
func (s *scheduler) toAsk(now time.Time, ended bool, most int) []*lane {
	var named, others []*lane
	s.leaveLine(now)
	for _, l := range s.lanes {
		switch {
		case !l.toAsk(now, ended) || !s.asks(l):
		case l.line.limiter != "":
			named = append(named, l)
		default:
			others = append(others, l)
		}
	}
	inTurn := func(a, b *lane) int { return cmp.Compare(a.served, b.served) }
	slices.SortFunc(named, inTurn)
	slices.SortFunc(others, inTurn)
	if rest := len(others) - most; rest > 0 {
		from := most/2 + rand.N(rest+1)
		others = append(others[:most/2], others[from:from+most-most/2]...)
	}
	return append(named, others...)
}

// leaveLine has lanes leave the line that want nothing, or have nobody beside them
// any more.
func (s *scheduler) leaveLine(now time.Time) {
	var sharing []*lane
	waiting := map[string]int{}
	for _, l := range s.lanes {
		if l.line.shares {
			sharing = append(sharing, l)
		}
		if l.waits() {
			waiting[l.line.limiter]++
			s.linger(l, now)
		}
	}
	for _, l := range sharing {
		x := &l.line
		if x.grant == 0 && (!l.waits() || l.busy > 0 && waiting[x.limiter] == 1) {
			x.shares = false
		}
	}
}

// linger has the mail checked for its time in a lane that has waited for long, as if
// it were parked: it goes back and stands in the store. The lane keeps its turn.
func (s *scheduler) linger(l *lane, now time.Time) {
	switch x := &l.line; {
	case x.since.IsZero():
		x.since = now
	case now.Sub(x.since) >= starved/2 && l.doubt == 0:
		x.since = now
		s.parks[l.id] = parking{l.id, micros(now), "", l.revived}
		s.empty(l)
		l.full, l.newcomers, l.revived = true, nil, false
		for class := range l.more {
			l.more[class] = true
		}
	}
}

// grant shares out the places that lanes were told of, in turn. Who got fewer than
// it was told of asks again: it may have no part in what went to the others.
func (s *scheduler) grant(lanes []*lane, now time.Time) {
	lanes = slices.DeleteFunc(lanes, func(l *lane) bool { return l.line.told < 1 || s.lanes[l.id] != l })
	for more := true; more; {
		more = false
		for _, l := range lanes {
			x := &l.line
			if x.told > s.given[x.limiter] && x.grant < s.wish(l) {
				x.grant++
				s.given[x.limiter]++
				l.limit = max(l.limit, l.busy+x.grant)
				more = true
			}
		}
	}
	for _, l := range lanes {
		x := &l.line
		if x.grant < min(x.told, s.wish(l)) {
			s.again = now.Add(askAgain)
		}
		x.told = 0
	}
}

// mayTake reports whether a lane could use a place: there is a worker, and something
// to begin or memory for it.
func (s *scheduler) mayTake(l *lane) bool { return s.spares(l) && (l.ready.n > 0 || s.mayClaim()) }

// asks reports whether it makes a difference to a lane how much room there is. For one
// in line that could not use a place it does not, until a delivery ends.
func (s *scheduler) asks(l *lane) bool { return !l.waits() || s.mayTake(l) }

// wish is how many places a lane could use. How much there is to claim is not known.
func (s *scheduler) wish(l *lane) int {
	most := s.q.o.Load().Concurrency - l.busy
	switch {
	case !s.mayTake(l) || l.doubting():
		return 0
	case l.ready.n == 0:
		return most
	}
	return min(most, l.ready.n)
}

// takeTurn counts the delivery that a lane begins.
func (s *scheduler) takeTurn(l *lane, a *attempt) {
	a.turn, l.served, l.line.since = l.served, s.served, time.Time{}
	s.served++
	if l.line.grant > 0 {
		l.line.grant--
		s.give(l.line.limiter, -1)
	}
}

// give counts places that are granted.
func (s *scheduler) give(limiter string, n int) {
	if s.given[limiter] += n; s.given[limiter] == 0 {
		delete(s.given, limiter)
	}
}

// revoke takes back what a lane was granted and did not use.
func (s *scheduler) revoke(l *lane) {
	if l.line.grant > 0 {
		s.give(l.line.limiter, -l.line.grant)
	}
	l.line.grant, l.line.kept = 0, false
}

// yield ends a round of deliveries that begin, in which others were given places.
// Lanes that let them pass stand in line from now on. What is granted for mail that
// is not claimed yet lasts until the next round.
func (s *scheduler) yield(given map[string]int, now time.Time) {
	if len(given) == 0 {
		return
	}
	for _, l := range s.lanes {
		x := &l.line
		switch {
		case x.grant > 0 && !x.kept && (l.ready.n == 0 || len(l.newcomers) > 0):
			x.kept = true
		case x.grant > 0:
			if x.kept {
				s.again = now.Add(askAgain) // others may use it
			}
			s.revoke(l)
		case !x.shares && given[x.limiter] > 0 && l.ready.n > 0 && l.busy < l.limit:
			x.shares, s.again = true, now.Add(askAgain)
		}
	}
}

// refused puts an attempt back that found no room, because others had taken it, and
// reports whether it did: not if it was made, or it is known when there will be room.
// If there is some by now it may have come since, but not time and again.
func (s *scheduler) refused(l *lane, a *attempt, report transport.Report, room transport.Room) bool {
	for i := range a.rows {
		if o := report.At(i); !o.NotTried() || o.Uncertain {
			return false
		}
	}
	_, rested := s.rests[l.id]
	if s.stopping || room.Free < 1 && !room.Until.IsZero() || room.Free > 0 && (a.again || rested) {
		return false
	}
	a.again = room.Free > 0
	l.doubt--
	l.ready.putBack(a)
	l.served = min(l.served, a.turn)
	l.line.shares = true
	if room.Free > 0 {
		s.again = time.Now().Add(askAgain)
	}
	return true
}
