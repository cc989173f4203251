package queue

import (
	"slices"
	"time"
)

// A lane is what the scheduler remembers of one while it has work in it.
type lane struct {
	id     int64
	label  string
	busy   int       // deliveries under way
	doubt  int       // begun and not settled: what a crash would do twice
	limit  int       // how many may be under way, as far as is known
	full   bool      // no room, and nothing in memory
	until  time.Time // no room before; zero: until a delivery ends, anywhere
	backs  int       // deliveries that were handed back and are not settled
	asked  bool      // a claim for it is under way
	ready  ready     // claimed and not begun
	claims int       // made so far
	turn   int64     // of the latest claim, among those of all lanes
	served int64     // number of the latest delivery, among those of all lanes

	more      [priorities]bool   // the store may have more that is due
	last      [priorities]string // the next claim begins after this site
	newcomers []flow             // stored since, with nothing claimed: see newcomer
	passed    bool               // newcomers were claimed: the lane may start, whoever else came
	skipped   bool               // left out when the schedule was read
	revived   bool               // it said that a person wants it tried
	extra     int                // claimed for newcomers and not settled

	begun  []time.Time // when the latest deliveries began, as far as learn needs them
	latest time.Time   // when the latest of all did
	told   bool        // the transport was asked since, when it had counted it

	line line
}

const (
	// doubtFactor bounds what a crash can repeat in a lane, in multiples of its
	// limit: deliveries under way, and those that wait for the commit of their
	// outcome.
	doubtFactor = 3

	// aheadFactor is how many attempts are in memory, in multiples of a lane's
	// limit: enough for the time that the commits of a claim and of a settlement
	// take.
	aheadFactor = 2 * doubtFactor

	// refillAt is which part of that must be free before more is claimed, so
	// that not every delivery makes a claim.
	refillAt = 4

	// floorOf is which part of it a class gets whatever goes before it: as much
	// as it has of the turns.
	floorOf = classTurns + 1
)

// mayStart reports whether one more delivery may begin, where others were granted
// some of the room.
func (l *lane) mayStart(given int) bool {
	switch {
	case l.ready.n == 0 || l.busy >= l.limit || l.doubting():
		return false
	case l.line.shares:
		return l.line.grant > 0
	}
	return l.busy+given < l.limit
}

// doubting reports whether a delivery is to be settled before another one begins.
func (l *lane) doubting() bool { return l.doubt >= doubtFactor*l.limit }

// starved reports whether claimed attempts wait for room that others took.
func (l *lane) starved() bool { return l.ready.n > 0 && l.busy == 0 && l.limit < 1 }

// resting reports whether nothing is to be claimed.
func (l *lane) resting(now time.Time) bool {
	return l.full || l.asked || l.backs > 0 || now.Before(l.until)
}

// guessed reports whether the lane is as full as the transport said before the
// latest delivery began. Where that counts deliveries by time, it would say
// something else now, though none ends.
func (l *lane) guessed() bool { return !l.told && l.ready.n > 0 && l.busy >= l.limit && l.busy > 0 }

// toAsk reports whether the transport may say something new about room. ended says
// that a delivery has ended since the last time.
func (l *lane) toAsk(now time.Time, ended bool) bool {
	switch {
	case l.line.grant > 0:
		return false
	case l.waits() && l.until.IsZero() && ended:
		return true
	case l.guessed():
		return now.Sub(l.latest) >= countDelay
	case l.until.IsZero() || now.Before(l.until):
		return false
	}
	return l.waits() || l.ready.n > 0 && l.busy >= l.limit
}

// ahead is how many attempts of a class may be claimed now. What goes after a
// class does not keep it waiting.
func (l *lane) ahead(class int) int {
	if l.limit < 1 {
		return 0
	}
	most := aheadFactor * l.limit
	own := l.ready.classes[class].n
	return max(most-l.doubt-l.ready.upTo(class)+l.extra, max(1, most/floorOf)-own)
}

// hungry reports whether it is time to claim what the lane is known to have.
func (l *lane) hungry() bool {
	for class, more := range l.more {
		if !more {
			continue
		}
		n := l.ahead(class)
		if n > 0 && (l.ready.classes[class].n == 0 || n >= aheadFactor*l.limit/refillAt) {
			return true
		}
	}
	return false
}

// lacks reports whether a class that has more has nothing claimed.
func (l *lane) lacks() bool {
	for class, more := range l.more {
		if more && l.ready.classes[class].n == 0 {
			return true
		}
	}
	return false
}

// stocked reports whether the lane needs nothing from the schedule: it knows of
// more than it can take, or is full of what was claimed.
func (l *lane) stocked() bool {
	if l.more != [priorities]bool{} {
		return true // see hungry
	}
	return l.ready.n > 0 && l.ahead(priorities-1) < max(1, aheadFactor*l.limit/refillAt)
}

// arrived takes in that mail of a flow was stored. A flow that has nothing
// claimed, where others have, is a newcomer: it must not wait until they are done.
func (l *lane) arrived(f flow) {
	l.more[f.class] = true
	if l.ready.n > 0 && !l.ready.has(f) && len(l.newcomers) < aheadFactor*l.limit && !slices.Contains(l.newcomers, f) {
		l.newcomers = append(l.newcomers, f)
	}
}

// countDelay is how long a transport may take to count a delivery that has begun
// in the room it reports.
const countDelay = 50 * time.Millisecond

// learn takes in how much room the transport sees at now. It has counted all of
// our deliveries under way, but for those begun a moment ago of which that is not
// sure: the limit lies between the two. A wrong guess ends in an attempt handed
// back untried.
func (l *lane) learn(now time.Time, room, most int) {
	room = max(room, 0)
	l.full = room == 0 && l.doubt == 0 && l.ready.n == 0
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
	l.told = len(l.begun) == 0
}

// begin counts a delivery that begins at now.
func (l *lane) begin(now time.Time) *attempt {
	a := l.ready.take()
	l.busy++
	l.doubt++
	l.begun = append(l.begun, now)
	l.latest, l.told = now, false
	return a
}
