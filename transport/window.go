package transport

import "time"

// A window is what is known of the traffic in one lane: how much of it is under
// way, how much may be, and whether the destination is dead. It follows Postfix's
// queue manager with its default feedback of 1 either way.
type window struct {
	busy    int       // deliveries under way
	size    int       // how many may be
	credit  int       // zero after growth, 1 after a failure: the next costs one place less
	cohorts float64   // of failed deliveries, since one was good
	idle    time.Time // when the last delivery ended, if none is under way
	dead    bool
	until   time.Time // dead: when it is to be tried again
	reason  Reply     // dead: what happened last
}

// A finding is what a delivery has shown of its destination.
type finding int

const (
	nothing     finding = iota // was not tried, or trouble of ours or of the message
	reached                    // it got through connection and handshake, whatever came then
	unreachable                // it did not
)

// look returns what a report shows, and the reason if the destination cannot be
// reached. The report is one finding, however many recipients it has: whoever heard
// a host out has reached it. A refusal for good is the message's alone, and says
// nothing; neither does trouble with names, which tells nothing of the hosts
// behind them, nor a connection lost in the middle of a message.
func look(report Report) (found finding, reason Reply) {
	for i := range report {
		switch o := &report[i]; {
		case o.Destination && o.Deferred():
			if found == nothing {
				found, reason = unreachable, o.Reply
			}
		case o.Destination, o.Local, o.NotTried():
		case o.Host != "", o.Delivered():
			return reached, Reply{}
		}
	}
	return found, reason
}

// refresh brings a window up to now: a dead destination is tried again when its
// time is over, and what was learnt of a lane at rest for long is out of date.
func (w *window) refresh(b *bounds, now time.Time) {
	switch {
	case w.dead && !now.Before(w.until):
		w.revive(b)
	case !w.dead && w.busy == 0 && now.Sub(w.idle) >= b.rest:
		*w = window{size: b.initial, idle: now}
	}
	w.size = min(w.size, b.limit)
}

// room is how many more deliveries may begin.
func (w *window) room() Room {
	if w.dead {
		reply := w.reason
		reply.Text = "delivery temporarily suspended: " + reply.Text
		return Room{Until: w.until, Reply: reply}
	}
	return Room{Free: w.size - w.busy}
}

// learn takes in the finding of a delivery that ends and is still counted as busy.
func (w *window) learn(b *bounds, found finding, reason Reply, now time.Time) {
	switch found {
	case reached:
		w.good(b)
	case unreachable:
		w.bad(b, reason, now)
	}
}

// good: the window grows by one, up to the limit, unless there was no use for it.
func (w *window) good(b *bounds) {
	w.cohorts = 0
	switch {
	case w.dead:
		w.revive(b)
	case w.size < b.limit && w.size < w.busy+b.initial:
		w.size++
		w.credit = 0
	}
}

// bad: the window shrinks, by two after growth and by one after a failure. When
// whole windows of deliveries failed and none was good, the destination is dead.
// With an initial window of 5 that is so after three failures: 5, 3, 2, dead.
func (w *window) bad(b *bounds, reason Reply, now time.Time) {
	if w.dead {
		return
	}
	w.cohorts += 1 / float64(w.size)
	if b.cohorts > 0 && w.cohorts >= float64(b.cohorts) {
		w.dead, w.until, w.reason = true, now.Add(b.rest), reason
		return
	}
	w.size = max(1, w.size-2+w.credit)
	w.credit = 1
}

// revive makes a dead destination alive, with as many deliveries at once as are
// under way, or as a lane begins with.
func (w *window) revive(b *bounds) {
	*w = window{busy: w.busy, size: b.initial, idle: w.idle}
	if w.busy > 0 {
		w.size = min(w.busy, b.limit)
	}
}

// lasts reports whether a window of a lane at rest is worth keeping at now.
func (w *window) lasts(now time.Time) bool { return w.dead && now.Before(w.until) }
