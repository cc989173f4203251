package queue

import (
	"maps"
	"time"
)

const (
	// restMax is the longest that a lane rests for nothing but having handed
	// back what it got.
	restMax = 30 * time.Second

	// restLanes is how many lanes are remembered before those are forgotten that
	// rest no more.
	restLanes = 1000
)

// rests remembers, by lane, how long those rest that hand back all they get.
// Behind one full destination there may be any number of lanes: the longer that
// lasts, the less often each of them tries.
type rests map[int64]rest

// A rest is a pause of a lane.
type rest struct {
	pause time.Duration // the least it could have been
	until time.Time
}

// after returns for how long a lane rests after a delivery that ended at now. What
// is handed back during a rest began before it and makes it no longer. Lanes that
// were in each other's way should not wake together: chance, in [0, 1), adds up to
// as much again.
func (r rests) after(lane int64, now time.Time, handedBack bool, chance float64) time.Duration {
	last, known := r[lane]
	switch {
	case !handedBack:
		delete(r, lane)
		return 0
	case known && last.until.Sub(now) > time.Millisecond: // the store's instants are less exact
		return last.until.Sub(now)
	}
	if len(r) >= restLanes {
		maps.DeleteFunc(r, func(_ int64, x rest) bool { return now.Sub(x.until) > restMax })
	}
	pause := min(max(2*last.pause, untriedPause), restMax/2)
	d := pause + time.Duration(chance*float64(pause))
	r[lane] = rest{pause, now.Add(d)}
	return d
}
