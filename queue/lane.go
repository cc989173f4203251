package queue

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

// doubtFactor bounds what a crash can repeat in a lane, in multiples of its limit:
// deliveries under way, and those that wait for the commit of their outcome.
const doubtFactor = 3

// mayStart reports whether one more delivery may begin.
func (l *lane) mayStart() bool { return l.busy < l.limit && l.doubt < doubtFactor*l.limit }

// starved reports whether claimed attempts wait for room that others took.
func (l *lane) starved() bool { return len(l.ready) > 0 && l.busy == 0 && l.limit < 1 }

// ahead is how many attempts may be claimed for a lane now: enough for the time
// that the commits of a claim and of a settlement take.
func (s *scheduler) ahead(l *lane) int { return 2*doubtFactor*l.limit - l.doubt - len(l.ready) }

// learn takes in how much room the transport sees. What was begun a moment ago it
// may not have counted yet, so with deliveries under way the limit grows by one
// at a time, or to what is free; an overestimate ends in an attempt handed back,
// which shrinks it.
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
