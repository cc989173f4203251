package queue

import (
	"context"
	"slices"
	"time"

	"github.com/panelmail/panelmail/transport"
)

const (
	// expressContent is up to how many octets of content are kept in memory with
	// a message that is claimed as it is stored, until its attempt is over, and
	// expressMemory with all of them.
	expressContent = 32 << 10
	expressMemory  = 16 << 20

	// expressFactor bounds how many attempts a lane may have ready for more of
	// them to be claimed so, in multiples of its limit.
	expressFactor = 25
)

// An express is a place that the scheduler keeps for a message about to be
// stored. If nothing else is due in its lane, the message is stored with its
// first attempt claimed: there is nobody whose turn it takes, and the commit that
// accepts it is the one that writes the attempt down. In any other lane it waits
// like all mail.
type express struct {
	s     *scheduler
	label string
	room  transport.Room // if it was asked: of a lane that had nothing in memory
	token int64
	lease int64
	now   int64 // when the attempt begins
	due   int64 // of the next

	lane    int64 // set by the store if the message took the place, else 0
	message int64
	rules   *ruleSet // in force then
}

// storeRecord stores a complete record, and begins its first attempt with that if it
// can.
func (q *Queue) storeRecord(ctx context.Context, r *record) error {
	r.express = q.express(r)
	err := q.store.enqueue(ctx, r)
	taken := r.express != nil && r.express.board(r, err == nil)
	if err == nil && !taken {
		q.stored(r)
	}
	if s := q.scheduler.Load(); s != nil && unknown(err) {
		s.reread() // it may be on the disk
	}
	return err
}

// express asks for a place for a record; it may be nil. The caller must use it up
// with board.
func (q *Queue) express(r *record) *express {
	s, now := q.scheduler.Load(), time.Now()
	if s == nil || len(r.labels) != 1 || r.upload != 0 || r.hold != "" || r.due > micros(now) {
		return nil
	}
	return s.reserve(r.labels[0], now)
}

// reserve keeps a place in the lane of a label, if there is room in it.
func (s *scheduler) reserve(label string, now time.Time) *express {
	s.mu.Lock()
	l := s.labels[label]
	ok := s.mayReserve() && (l == nil || l.open(now, s.places[label]))
	s.mu.Unlock()
	if !ok {
		return nil
	}
	var room transport.Room
	if l == nil {
		if room, _ = s.room(label); room.Free < 1 {
			return nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mayReserve() {
		return nil
	}
	s.live.Add(1)
	s.claimed++
	s.rows++
	s.places[label]++
	s.token++
	return &express{s: s, label: label, room: room, token: s.token - 1,
		lease: micros(now.Add(leaseTime)), now: micros(now), due: micros(now.Add(s.q.o.Load().BackoffMin))}
}

// mayReserve reports whether memory may hold one more attempt, beside what is
// reserved for lanes that have none. The scheduler's lock is held.
func (s *scheduler) mayReserve() bool {
	return !s.stopping && s.claimed-s.extra < (claimFactor-1)*s.q.o.Load().Workers && s.rows < maxRows
}

// open reports whether a lane has nothing that is due and not in memory, and can
// take one more beside those that have a place.
func (l *lane) open(now time.Time, places int) bool {
	return l.more == [priorities]bool{} && len(l.newcomers) == 0 && !l.resting(now) &&
		l.ready.n+places < expressFactor*l.limit
}

// board takes in the attempt of a message that was stored in its place, and
// reports whether it was; otherwise the place is given back.
func (x *express) board(r *record, stored bool) (taken bool) {
	s := x.s
	defer s.live.Done()
	taken = stored && x.lane != 0
	a := x.attempt(r)
	if taken && x.room.Free < 1 {
		x.room, _ = s.room(x.label) // the lane may be forgotten by now
	}
	s.mu.Lock()
	if s.places[x.label]--; s.places[x.label] == 0 {
		delete(s.places, x.label)
	}
	stopping := s.stopping
	switch {
	case !taken:
		s.claimed--
		s.rows--
	case stopping:
		s.tokens[a.token] = a
	default:
		s.tokens[a.token] = a
		s.keep(a, r)
		l := s.lane(a.lane, a.label)
		l.ready.add(a)
		if l.busy == 0 && l.limit == 0 {
			s.learn(l, time.Now(), x.room)
		}
	}
	s.mu.Unlock()
	if taken && stopping {
		s.handBack(a)
	}
	s.notify()
	return taken
}

// attempt is the first one of a record that was stored with it.
func (x *express) attempt(r *record) *attempt {
	a := &attempt{
		token: x.token, lane: x.lane, label: x.label, class: r.priority.class(), as: x.rules,
		message: x.message, id: r.id, envelope: r.envelope, origin: r.origin,
		arrived: r.arrived, size: r.size, lifetime: r.lifetime, clock: clock{expires: r.expires, warn: r.warn},
		rows:  []row{{attempts: 1, first: x.now, due: r.due}},
		lease: x.lease,
	}
	a.envelope.Recipients = slices.Clone(r.envelope.Recipients)
	return a
}

// keep keeps the content of a record in memory for its attempt, if there is
// room. The scheduler's lock is held.
func (s *scheduler) keep(a *attempt, r *record) {
	if n := len(r.head) + len(r.body); n <= expressContent && s.kept+n <= expressMemory {
		a.content = slices.Concat(r.head, r.body)
		s.kept += n
	}
}
