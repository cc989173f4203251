package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"
)

const (
	defaultRetryAfter     = time.Second     // when a full lane is looked at again
	defaultRest           = 5 * time.Minute // of a dead destination
	defaultRecipientLimit = 50              // how many go in one transaction
)

// A Dispatcher is the [Transport] that a queue delivers through: it plans each
// recipient afresh, sends those with equal plans and reverse-paths on together,
// keeps to the limits, and turns deferrals into failures when a transport's
// attempts are used up. It is an [Admitter] and a [Reviver].
//
// All trouble before a transport is asked defers the recipient and counts as
// ours. A full lane hands recipients back untried, with RetryAfter the rest of the
// time if it is known when there will be room. Its fields must not change while it
// is in use.
//
// How many deliveries a lane has at once is learnt from them, as Postfix's queue
// manager does: one more for each that got through connection and handshake, up to
// the limit, and fewer for each that did not (see [Outcome.Destination]). A
// destination that cannot be reached is dead: for a while nobody tries, and what is
// meant for it is handed back. All this is in memory alone.
type Dispatcher struct {
	// Planner plans each recipient; if nil, one with no tables, which sends
	// everything by smtp to the recipient domain.
	Planner *Planner

	// Current, if not nil, is asked for the planner each time instead, so that all
	// the tables can be replaced at once. It must not block.
	Current func() *Planner

	// Transports are the transports by the base of their definition, such as
	// "smtp". Those without a network, error, discard, retry and hold, need not
	// be here. A plan with another base defers.
	Transports map[string]Transport

	// RetryAfter is what a full lane asks to wait when nobody knows how long; if
	// zero, a second.
	RetryAfter time.Duration

	// Rest is how long a dead destination is left alone. A lane that was without
	// deliveries for that long begins anew. If zero, 5 minutes.
	Rest time.Duration

	// Log gets trouble with plans and transports; if nil, nobody does.
	Log *slog.Logger

	lanes lanes
}

// Deliver implements [Transport]. Recipients with different plans are delivered
// to one after another, in the order of the first of each.
func (x *Dispatcher) Deliver(ctx context.Context, d *Delivery) Report {
	report := make(Report, len(d.Envelope.Recipients))
	for _, g := range x.plan(ctx, d, report) {
		for i, o := range x.deliver(ctx, d, g) {
			report[g.indexes[i]] = o
		}
	}
	return report
}

// Room implements [Admitter]. A label is known by the plan last made for it; one
// that was not seen lately is taken for the lane to the destination of its next
// hop, with the planner's limit.
func (x *Dispatcher) Room(label string) Room { return x.lanes.room(label, x.guess, time.Now()) }

// Revive implements [Reviver]. The destination that a label stands for is found as
// in Room. Pauses between deliveries stay as they are.
func (x *Dispatcher) Revive(label string) { x.lanes.revive(label, x.guess) }

func (x *Dispatcher) guess(label string) bounds { return x.planner().guess(label, x.rest()) }

// A group is recipients that travel together.
type group struct {
	plan    Plan
	indexes []int // of the delivery's recipients
}

// groupKey is what recipients that travel together have in common.
type groupKey struct {
	terms       terms
	reversePath string
}

// plan plans every recipient and groups them. It writes the outcome of those
// that cannot be planned into the report.
func (x *Dispatcher) plan(ctx context.Context, d *Delivery, report Report) []group {
	var groups []group
	known := make(map[groupKey]int)
	for i := range d.Envelope.Recipients {
		r := &d.Envelope.Recipients[i]
		plan, err := x.planner().Plan(ctx, QueryFor(d.ID, &d.Envelope, r, d.Origin))
		if err != nil {
			report[i] = x.notPlanned(ctx, d, r, err)
			continue
		}
		if len(d.Envelope.Recipients) == 1 {
			return []group{{plan: plan, indexes: []int{i}}}
		}
		key := groupKey{terms: plan.terms(), reversePath: r.ReversePath}
		at, ok := known[key]
		if !ok {
			at = len(groups)
			known[key] = at
			groups = append(groups, group{plan: plan})
		}
		groups[at].indexes = append(groups[at].indexes, i)
	}
	return groups
}

// notPlanned is the outcome of a recipient without a plan. What is wrong with
// our own tables is said to everybody who may see the queue; what a table's
// storage said goes to the log alone.
func (x *Dispatcher) notPlanned(ctx context.Context, d *Delivery, r *Recipient, err error) Outcome {
	if ctx.Err() != nil {
		return Outcome{}
	}
	if reply, ok := errors.AsType[Reply](err); ok {
		return Outcome{Reply: reply, Local: reply.Code/100 != 5}
	}
	x.log().LogAttrs(ctx, slog.LevelError, "delivery not planned",
		slog.String("id", d.ID), slog.String("recipient", r.Address), slog.Any("error", err))
	text := "address resolver failure"
	if _, private := errors.AsType[lookupError](err); !private {
		text += ": " + err.Error()
	}
	return Outcome{Reply: Reply{Code: 451, Enhanced: [3]int{4, 3, 0}, Text: text}, Local: true}
}

// all is the same outcome for everybody in the group.
func (g *group) all(o Outcome) Report { return slices.Repeat(Report{o}, len(g.indexes)) }

// deliver delivers to one group, within its limit.
func (x *Dispatcher) deliver(ctx context.Context, d *Delivery, g group) Report {
	if ctx.Err() != nil {
		return g.all(Outcome{})
	}
	t, ok := x.transport(g.plan.Definition.Base)
	if !ok {
		err := fmt.Errorf("no transport for %q", g.plan.Definition.Base)
		x.log().LogAttrs(ctx, slog.LevelError, "delivery not made", slog.String("id", d.ID), slog.Any("error", err))
		return g.all(localTrouble("mail transport unavailable: " + err.Error()))
	}
	place, room := x.lanes.admit(d.Label, g.plan.bounds(x.rest()), time.Now())
	if room.Free < 1 {
		return g.all(Outcome{RetryAfter: x.wait(room)})
	}
	tried := make(Report, 0, len(g.indexes))
	defer func() {
		found, reason := look(tried)
		place.release(found, reason, time.Now())
	}()
	report := make(Report, 0, len(g.indexes))
	for indexes := range slices.Chunk(g.indexes, recipientLimit(&g.plan)) {
		part := d.With(g.plan, indexes)
		got := x.try(ctx, t, part)
		tried = append(tried, got...)
		for i := range indexes {
			report = append(report, settle(ctx, part, got.At(i)))
		}
	}
	return report
}

// wait is what recipients that found no room are asked to wait.
func (x *Dispatcher) wait(r Room) time.Duration {
	if d := time.Until(r.Until); !r.Until.IsZero() && d > 0 {
		return d
	}
	return x.retryAfter()
}

// try asks the transport. One that panics defers.
func (x *Dispatcher) try(ctx context.Context, t Transport, d *Delivery) (report Report) {
	if ctx.Err() != nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			x.log().LogAttrs(ctx, slog.LevelError, "transport panicked", slog.String("id", d.ID),
				slog.String("transport", d.Plan.Transport), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			report = d.All(localTrouble("mail transport unavailable: " + d.Plan.Transport + " failed unexpectedly"))
		}
	}()
	return t.Deliver(ctx, d)
}

// settle applies the transport's policy on retries and attempts: the deferral of the last
// one is a failure with the remote's own reply. Trouble that is ours never
// becomes one, nor does an attempt that we broke off before its reply was in.
func settle(ctx context.Context, d *Delivery, o Outcome) Outcome {
	if o.Uncertain && o.Reply.Code == 0 {
		o.Reply = Reply{Code: 451, Enhanced: [3]int{4, 4, 2}, Text: "connection lost; the message may have been taken"}
	}
	interrupted := ctx.Err() != nil && (o.Uncertain || o.Host == "" && o.Addr == "")
	if o.Deferred() {
		o.Schedule = o.Schedule.Or(d.Plan.Definition.Schedule)
	}
	if d.Plan.Attempts > 0 && d.Attempt >= d.Plan.Attempts && o.Deferred() && !o.Local && !interrupted {
		o.Final = true
	}
	return o
}

func localTrouble(text string) Outcome {
	return Outcome{Reply: Reply{Code: 451, Enhanced: [3]int{4, 3, 0}, Text: text}, Local: true}
}

func recipientLimit(p *Plan) int {
	if p.Definition.RecipientLimit > 0 {
		return p.Definition.RecipientLimit
	}
	return defaultRecipientLimit
}

func (x *Dispatcher) transport(base string) (Transport, bool) {
	if t, ok := x.Transports[base]; ok {
		return t, true
	}
	a, ok := answers[base]
	return a, ok
}

func (x *Dispatcher) planner() *Planner {
	switch {
	case x.Current != nil:
		return x.Current()
	case x.Planner == nil:
		return &Planner{}
	}
	return x.Planner
}

func (x *Dispatcher) retryAfter() time.Duration {
	if x.RetryAfter > 0 {
		return x.RetryAfter
	}
	return defaultRetryAfter
}

func (x *Dispatcher) rest() time.Duration {
	if x.Rest > 0 {
		return x.Rest
	}
	return defaultRest
}

func (x *Dispatcher) log() *slog.Logger {
	if x.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return x.Log
}
