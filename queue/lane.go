package queue

import "time"

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
	last  flow       // the next claim begins after it

	begun []time.Time // when the latest deliveries began, as far as learn needs them
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
func (l *lane) ahead() int { return 2*doubtFactor*l.limit - l.doubt - len(l.ready) }

// countDelay is how long a transport may take to count a delivery that has begun
// in the room it reports.
const countDelay = 50 * time.Millisecond

// learn takes in how much room the transport sees at now. It has counted all of
// our deliveries under way, but for those begun a moment ago of which that is not
// sure: the limit lies between the two. A wrong guess ends in an attempt handed
// back untried.
func (l *lane) learn(now time.Time, room, most int) {
	room = max(room, 0)
	l.full = room == 0 && l.doubt == 0 && len(l.ready) == 0
	old := 0
	for old < len(l.begun) && now.Sub(l.begun[old]) >= countDelay {
		old++
	}
	l.begun = l.begun[old:]
	if l.busy == 0 {
		l.limit = room
	} else {
		counted := l.busy - min(len(l.begun), l.busy)
		l.limit = min(max(l.limit, room+counted), room+l.busy)
	}
	l.limit = min(l.limit, most)
}

// begin counts a delivery that begins at now.
func (l *lane) begin(now time.Time) *attempt {
	a := l.ready[0]
	l.ready = l.ready[1:]
	l.busy++
	l.doubt++
	l.begun = append(l.begun, now)
	return a
}
