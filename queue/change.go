package queue

import (
	"context"
	"time"
)

// A changeKind is what a person does to recipients in the queue.
type changeKind int

const (
	changeHold changeKind = iota
	changeRelease
	changeRetry
	changeRequeue
	changeRemove
	changeFail // marks: there will be no attempt but the one under way
	changeSuspend
	changeResume
)

// A change is one operation on all recipients a match selects.
type change struct {
	kind   changeKind
	match  Match
	rule   *Rule  // if set, instead of match
	reason string // changeHold: why; changeFail: what the sender is told if there was no reply
	now    int64
	rules  *Options
}

// Hold stops the recipients m selects until they are released. Held mail does
// not expire. A delivery under way is not interrupted: who is delivered to is
// done, everybody else stays on hold. It returns how many messages it touched.
func (q *Queue) Hold(ctx context.Context, m Match) (int, error) {
	return q.apply(ctx, change{kind: changeHold, match: m, reason: "held by the administrator"})
}

// Release lets the recipients m selects that are on hold go on. Their due time is
// as it was; [Queue.Retry] hurries them. What expired on hold gets the time for
// one attempt. Mail of a site that is suspended stays on hold until that is
// resumed, and leaves then. It returns how many messages it touched.
func (q *Queue) Release(ctx context.Context, m Match) (int, error) {
	return q.change(ctx, changeRelease, m)
}

// Retry makes the waiting recipients m selects due now and wakes their lanes; if
// one's destination is dead, it is tried all the same. It does not touch what is on
// hold. It returns how many messages it touched.
func (q *Queue) Retry(ctx context.Context, m Match) (int, error) {
	return q.change(ctx, changeRetry, m)
}

// Requeue gives the messages with a recipient that m selects a new queue ID and
// a fresh clock: no attempts made, due now, the whole lifetime ahead. Arrival
// stays, and so does who was delivered to; what was on hold is released, unless a
// [Rule] holds it. A delivery under way goes on under the old ID, which selects
// nothing any more and is never given again. It returns how many messages it
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
// interrupted, but is the last. It returns how many messages it gave up. After
// an error some of them may not be reported yet, and have one attempt left (see
// [RecipientEntry.GivenUp]): call it again, or take it back with Requeue. Progress
// is told how many are reported.
func (q *Queue) Fail(ctx context.Context, m Match, reason string) (int, error) {
	if reason == "" {
		reason = "given up by the administrator"
	}
	// First all are marked, so that none slips by while it is claimed or settled
	// between two of our steps.
	progress := m.Progress
	if progress != nil {
		m.Progress = func(int) { progress(0) }
	}
	messages, err := q.apply(ctx, change{kind: changeFail, match: m, reason: reason})
	if err != nil || messages == 0 || m.DryRun {
		return messages, err
	}
	return messages, q.failGivenUp(ctx, progress)
}

// failPage is how many recipients Fail takes at a time.
const failPage = 200

// failGivenUp fails what was given up and is not being tried.
func (q *Queue) failGivenUp(ctx context.Context, progress func(messages int)) error {
	messages, latest := 0, int64(0)
	for after := (place{position: -1}); ; {
		page, err := q.store.givenUp(ctx, after, failPage)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := q.endAll(ctx, page, Failed); err != nil {
			return err
		}
		for _, a := range page {
			if a.message != latest {
				messages, latest = messages+1, a.message
			}
		}
		if progress != nil {
			progress(messages)
		}
		after = lastPlace(page)
	}
}

// lastPlace is that of the last recipient on a page.
func lastPlace(page []*attempt) place {
	last := place{message: page[len(page)-1].message}
	for _, a := range page {
		if a.message == last.message {
			last.position = max(last.position, a.rows[len(a.rows)-1].position)
		}
	}
	return last
}

func (q *Queue) change(ctx context.Context, kind changeKind, m Match) (int, error) {
	return q.apply(ctx, change{kind: kind, match: m})
}

func (q *Queue) apply(ctx context.Context, c change) (int, error) {
	if c.rule == nil && c.match.empty() {
		return 0, nil
	}
	c.now = micros(time.Now())
	if c.match.DryRun {
		return q.store.affected(ctx, c)
	}
	c.rules = q.o.Load()
	n, err := q.store.change(ctx, c)
	if c.kind == changeRemove {
		q.sweep(ctx)
	}
	q.changed.Store(true)
	q.Wake()
	return n, err
}
