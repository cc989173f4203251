package transport

import (
	"cmp"
	"strings"
	"time"
)

// bounds are the limits that the deliveries of a plan keep to.
type bounds struct {
	lane    load // whose window counts; see windowed
	limit   int  // of the window; zero: there is none
	initial int  // the window at first
	cohorts int  // that must fail for the destination to be dead; below one: never
	rest    time.Duration

	quota   load          // whose quota counts, if any of the following is set
	each    int           // deliveries at once
	delay   time.Duration // between the end of one and the start of the next
	spacing time.Duration // between the starts, at the rate
	burst   int           // how many may start together all the same

	processes int // deliveries at once of quota.transport

	window, total string // name the window and the quota in [Room]
}

// A load is whose deliveries are counted together.
type load struct {
	transport string // the transports without a policy of their own share the empty one
	key       string // a lane or a destination
}

// everything is more than any lane has to deliver.
const everything = 1 << 20

// bounds returns the limits of the plan. rest is how long a dead destination is
// left alone.
func (p *Plan) bounds(rest time.Duration) bounds {
	d := &p.Definition
	b := bounds{lane: load{key: p.Lane}, limit: p.Limit, initial: p.Initial, cohorts: d.FailedCohortLimit, rest: rest}
	if b.window = p.Lane; b.cohorts == 0 {
		b.cohorts = cohortLimit(b.initial)
	}
	if !d.shapes() {
		return b
	}
	b.lane.transport = p.Transport
	b.window, b.total = p.Transport+" "+p.Lane, p.Transport+" to "+p.Destination
	b.quota = load{transport: p.Transport, key: p.Destination}
	b.each, b.delay, b.spacing, b.processes = d.limit(), d.RateDelay, d.spacing(), d.Processes
	if b.spacing > 0 {
		b.burst = max(1, int(time.Second/b.spacing))
	}
	return b
}

// cohortLimit is how many cohorts fail before a destination is dead. One is enough,
// but where a cohort is one delivery it would be a matter of chance.
func cohortLimit(initial int) int {
	if initial == 1 {
		return 10
	}
	return 1
}

func (b *bounds) windowed() bool { return b.limit > 0 }

func (b *bounds) metered() bool { return b.each > 0 || b.delay > 0 || b.spacing > 0 }

// guess tells what a label most likely stands for: the lane of its source to the
// destination of its next hop, with the planner's own limit.
func (p *Planner) guess(label string, rest time.Duration) bounds {
	b := bounds{lane: load{key: label}, limit: p.limit(), rest: rest}
	b.initial = min(cmp.Or(p.InitialConcurrency, defaultInitial), b.limit)
	b.cohorts = cohortLimit(b.initial)
	source, nexthop, _ := strings.Cut(label, "/")
	if p.Destination != nil {
		if key := p.Destination(nexthop); key != "" {
			b.lane.key = source + "/" + key
		}
	}
	b.window = b.lane.key
	return b
}

// within is the room that is left where two limits hold, of which other is the one
// that more lanes share. What is only busy may have room sooner than it is known of:
// an instant counts for both.
func (r Room) within(other Room) Room {
	switch {
	case r.Free > 0 && other.Free > 0:
		if r.Free < other.Free {
			return r
		}
		return other
	case r.Free > 0:
		return other
	case other.Free > 0:
		return r
	}
	both := Room{Free: min(r.Free, other.Free), Until: r.Until, Reply: r.Reply, Limiter: cmp.Or(other.Limiter, r.Limiter)}
	if other.Until.After(r.Until) {
		both.Until = other.Until
	}
	if both.Reply.Code == 0 {
		both.Reply = other.Reply
	}
	if !both.Until.IsZero() {
		both.Limiter = ""
	}
	return both
}

// of names what leaves the room.
func (r Room) of(limiter string) Room {
	if r.Until.IsZero() {
		r.Limiter = limiter
	}
	return r
}
