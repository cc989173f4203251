package transport

import (
	"context"
	"time"
)

// A Transport makes one attempt to deliver.
//
// Deliver tries the recipients of d once and reports what became of each, in
// the order of d.Envelope.Recipients. A Report that is too short, or a zero
// [Outcome] in it, says that the recipient was not tried. Deliver must return
// soon after ctx is done; what it reports then still counts.
//
// Deliver is called from many goroutines at once. It does not keep d.
type Transport interface {
	Deliver(ctx context.Context, d *Delivery) Report
}

// Func is a function that is a [Transport].
type Func func(ctx context.Context, d *Delivery) Report

// Deliver calls f.
func (f Func) Deliver(ctx context.Context, d *Delivery) Report { return f(ctx, d) }

// An Admitter says how many deliveries a lane can take now. A [Transport] that
// shapes traffic implements it too, so that the queue claims no more work than
// there is room for.
type Admitter interface {
	// Room is asked with the label a recipient was filed under
	// (see [Planner.Label]). It never blocks.
	Room(label string) Room
}

// A Room is how much a lane can take now.
type Room struct {
	// Free is how many more deliveries may begin; below one, the lane is full.
	Free int

	// Until is the instant at which a full lane has room again. Zero: when a
	// delivery ends, whichever it is.
	Until time.Time

	// Reply says why a lane is full until then, if that is worth telling: a dead
	// destination's last reply. Zero: it is only busy.
	Reply Reply

	// Limiter names the limit that leaves no more room than this. Lanes for which the
	// same is named share it, and the queue has them take turns. Empty: the transport
	// does not say; lanes that were seen to be in each other's way are taken to share
	// one.
	Limiter string
}

// A Reviver is an [Admitter] that remembers which destinations are dead.
type Reviver interface {
	// Revive forgets that the destination of a label is dead: a person wants it
	// tried now. It never blocks.
	Revive(label string)
}
