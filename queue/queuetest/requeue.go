package queuetest

import (
	"context"
	"errors"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func requeue(l *lab) {
	l.answer(func(d *transport.Delivery) transport.Report {
		r := d.All(greylist)
		if d.Envelope.Recipients[0].Address == "a@far.test" {
			r[0] = ok
		}
		return r
	})
	old := l.send("a@far.test", "b@far.test")
	l.run()
	l.sleep(4 * day)
	l.answer(always(greylist))
	l.count(1)(l.q.Requeue(l.Context(), queue.Match{IDs: []string{old}}))
	synctest.Wait()
	var e queue.Entry
	for _, n := range l.entries(queue.Match{Recipient: "b@far.test"}) {
		e = n
	}
	if e.ID == old || !e.Arrived.Equal(l.start) || e.Expires.Sub(l.start) != 9*day {
		l.Errorf("requeued as %s (was %s), arrived %v, expires %v", e.ID, old, e.Arrived, e.Expires)
	}
	if e.Recipients[0].State != queue.Done || e.Recipients[1].Attempts != 1 {
		l.Errorf("recipients: %+v", e.Recipients)
	}
	if ev := l.told(queue.Requeued); ev.ID != e.ID || ev.Previous != old {
		l.Errorf("event: %+v", ev)
	}
}

func oldID(l *lab) {
	old := l.send("bob@far.test")
	l.during(greylist, func() {
		l.count(1)(l.q.Requeue(l.Context(), queue.Match{IDs: []string{old}}))
		for _, change := range []func(context.Context, queue.Match) (int, error){
			l.q.Hold, l.q.Release, l.q.Retry, l.q.Requeue, l.q.Remove,
		} {
			l.count(0)(change(l.Context(), queue.Match{IDs: []string{old}}))
		}
		if _, err := l.q.Content(l.Context(), old); !errors.Is(err, queue.ErrNotFound) {
			l.Errorf("its content: error %v", err)
		}
	})
	renamed := l.only()
	if renamed.ID == old || renamed.State != queue.Waiting {
		l.Errorf("it is %v under the ID %s, and was under %s", renamed.State, renamed.ID, old)
	}
	if e := l.told(queue.Deferred); e.ID != old {
		l.Errorf("the attempt under way was told of as %s", e.ID)
	}
	l.count(1)(l.q.Remove(l.Context(), queue.Match{All: true}))
	if id := l.send("bob@far.test"); id == old || id == renamed.ID {
		l.Errorf("the ID %s was given twice", id)
	}
}

func requeueDuringAttempt(l *lab) {
	l.send("bob@far.test")
	l.during(greylist, func() { l.count(1)(l.q.Requeue(l.Context(), queue.Match{All: true})) })
	if r := l.only().Recipients[0]; r.State != queue.Waiting || r.Attempts != 1 {
		l.Errorf("after the attempt it is %+v", r)
	}
	l.sleep(time.Hour)
	l.empty()
}
