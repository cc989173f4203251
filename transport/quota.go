package transport

import "time"

// A quota is what is known of a transport's traffic to one destination from all
// sources together.
type quota struct {
	busy  int       // deliveries under way
	ready time.Time // when the pause after the last is over
	spent time.Time // when all that began is paid for, at the rate
}

// room is how many more deliveries may begin.
func (q *quota) room(b *bounds, now time.Time) Room {
	r := Room{Free: everything}
	if b.each > 0 {
		r = Room{Free: b.each - q.busy}
	}
	if q.ready.After(now) {
		r = r.within(Room{Until: q.ready})
	}
	if b.spacing > 0 {
		r = r.within(q.paid(b, now))
	}
	return r
}

// paid is how many deliveries may begin at the rate: a bucket of b.burst tokens,
// of which one is added each b.spacing.
func (q *quota) paid(b *bounds, now time.Time) Room {
	debt := max(0, q.spent.Sub(now))
	free := (time.Duration(b.burst)*b.spacing - debt) / b.spacing
	if free > 0 {
		return Room{Free: int(free)}
	}
	return Room{Until: q.spent.Add(-time.Duration(b.burst-1) * b.spacing)}
}

// begin counts a delivery that begins.
func (q *quota) begin(b *bounds, now time.Time) {
	q.busy++
	if b.spacing > 0 {
		if q.spent.Before(now) {
			q.spent = now
		}
		q.spent = q.spent.Add(b.spacing)
	}
}

// end counts a delivery that ends.
func (q *quota) end(b *bounds, now time.Time) {
	q.busy--
	if b.delay > 0 {
		q.ready = now.Add(b.delay)
	}
}

// lasts reports whether a quota of which nothing is under way is worth keeping at
// now.
func (q *quota) lasts(now time.Time) bool { return q.ready.After(now) || q.spent.After(now) }
