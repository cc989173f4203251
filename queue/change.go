package queue

import (
	"context"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// A changeKind is what a person does to recipients in the queue.
type changeKind int

const (
	changeHold changeKind = iota
	changeRelease
	changeRetry
	changeRequeue
	changeRemove
	changeFail // of what is being tried: this attempt is the last
)

// A change is one operation on all recipients a match selects.
type change struct {
	kind  changeKind
	match Match
	now   int64
	rules changeRules
}

// changeRules are the settings a change needs.
type changeRules struct {
	lifetime, bounceLifetime time.Duration
	grace                    time.Duration // Release: how long expiry waits for an attempt
}

// Hold stops the recipients m selects until they are released. Held mail does
// not expire. A delivery under way is not interrupted: who is delivered to is
// done, everybody else stays on hold. It returns how many messages it touched.
func (q *Queue) Hold(ctx context.Context, m Match) (int, error) { return q.change(ctx, changeHold, m) }

// Release lets the recipients m selects that are on hold go on. Their due time is
// as it was; [Queue.Retry] hurries them. It returns how many messages it touched.
func (q *Queue) Release(ctx context.Context, m Match) (int, error) {
	return q.change(ctx, changeRelease, m)
}

// Retry makes the waiting recipients m selects due now and wakes their lanes. It
// does not touch what is on hold. It returns how many messages it touched.
func (q *Queue) Retry(ctx context.Context, m Match) (int, error) {
	return q.change(ctx, changeRetry, m)
}

// Requeue gives the messages with a recipient that m selects a new queue ID and
// a fresh clock: no attempts made, due now, the whole lifetime ahead. Arrival
// stays, and so does who was delivered to; what was on hold is released. A
// delivery under way goes on under the old ID. It returns how many messages it
// touched.
func (q *Queue) Requeue(ctx context.Context, m Match) (int, error) {
	return q.change(ctx, changeRequeue, m)
}

// Remove takes the recipients m selects out of the queue; nobody is told. A
// delivery under way is not interrupted. It returns how many messages it
// touched.
func (q *Queue) Remove(ctx context.Context, m Match) (int, error) {
	return q.change(ctx, changeRemove, m)
}

// Fail gives up the recipients m selects now, on hold or not, and reports it to
// their senders with the reply of the last attempt; if there was none, with the
// reason given, or one of our own if that is "". A delivery under way is not
// interrupted, but is the last. It returns how many messages it touched.
func (q *Queue) Fail(ctx context.Context, m Match, reason string) (int, error) {
	if m.empty() {
		return 0, nil
	}
	if reason == "" {
		reason = "given up by the administrator"
	}
	messages, err := q.change(ctx, changeFail, m)
	last := int64(0)
	for after := (place{position: -1}); err == nil; {
		var page []*attempt
		if page, err = q.store.pick(ctx, m, after, failPage); err != nil || len(page) == 0 {
			break
		}
		for _, a := range page {
			if a.message != last {
				messages++
				last = a.message
			}
			after = place{a.message, a.rows[len(a.rows)-1].position}
			if err = q.giveUp(ctx, a, reason); err != nil {
				break
			}
		}
	}
	return messages, err
}

// failPage is how many recipients Fail takes at a time.
const failPage = 200

func (q *Queue) giveUp(ctx context.Context, a *attempt, reason string) error {
	report := make(transport.Report, len(a.rows))
	for i := range a.rows {
		reply := transport.Replyf(450, "4.7.0", "%s", reason)
		if w := &a.rows[i]; w.code != 0 {
			reply = w.lastReply()
		}
		report[i] = transport.Outcome{Reply: reply, Host: a.rows[i].host, Final: true}
	}
	return q.end(ctx, a, report, Failed)
}

func (q *Queue) change(ctx context.Context, kind changeKind, m Match) (int, error) {
	if m.empty() {
		return 0, nil
	}
	n, err := q.store.change(ctx, change{kind: kind, match: m, now: micros(time.Now()), rules: changeRules{
		lifetime: q.o.Lifetime, bounceLifetime: q.o.BounceLifetime, grace: q.o.BackoffMax,
	}})
	if kind == changeRemove {
		q.sweep(ctx)
	}
	q.changed.Store(true)
	q.Wake()
	return n, err
}
