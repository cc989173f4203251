package queuetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var retentionCases = []testCase{
	{name: "OldEventsGoAndACursorBeforeThemIsToldSo", options: queue.Options{Retention: time.Hour}, run: retention},
	{name: "EventsMayBeKeptForEver", options: queue.Options{Retention: -1}, run: keptForEver},
	{name: "OutcomesAreCountedBySiteAndDestination", run: flow},
}

func retention(l *lab) {
	l.run()
	const many = 700 // messages: more events than one step takes
	for i := range many {
		l.send(fmt.Sprintf("r%d@d%d.test", i, i%7))
	}
	l.sleep(45 * time.Minute)
	l.send("later@far.test")
	l.sleep(time.Minute)
	check := func(first, last int64) {
		l.Helper()
		var got []int64
		for _, e := range l.history(queue.Trail{}) {
			got = append(got, e.Seq)
		}
		var want []int64
		for i := first; i <= last; i++ {
			want = append(want, i)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			l.Errorf("kept (-want +got):\n%s", diff)
		}
		for _, after := range []int64{1, max(1, first-2), max(1, first-1), last} {
			var err error
			for _, err = range l.q.Events(l.Context(), queue.Trail{After: after}) {
				if err != nil {
					break
				}
			}
			if lost := after < first-1; errors.Is(err, queue.ErrPruned) != lost {
				l.Errorf("after %d, with %d to %d kept: %v", after, first, last, err)
			}
		}
	}
	check(1, 2*many+2)
	l.sleep(30 * time.Minute)
	check(2*many+1, 2*many+2)
	l.sleep(time.Hour)
	check(2*many+3, 2*many+2)
	l.send("last@far.test")
	l.sleep(time.Minute)
	check(2*many+3, 2*many+4)
}

func keptForEver(l *lab) {
	l.run()
	l.send("bob@far.test")
	l.sleep(40 * day)
	if n := len(l.history(queue.Trail{})); n != 2 {
		l.Errorf("%d of 2 events are kept", n)
	}
}

func flow(l *lab) {
	l.answer(func(d *transport.Delivery) transport.Report {
		switch {
		case d.Label == "/far.test":
			return d.All(refused)
		case d.Attempt == 1:
			return d.All(greylist)
		}
		return d.All(ok)
	})
	l.run()
	m := message("", "a@far.test", "b@far.test")
	m.Origin.Site = "two"
	l.enqueue(m, "\r\n")
	l.send("c@near.test")
	// The windows by how long ago it was; the second attempt comes after five
	// minutes.
	two := func(minute, hour, day queue.Counts) queue.FlowStats {
		return queue.FlowStats{Site: "two", Label: "/far.test", Minute: minute, Hour: hour, Day: day}
	}
	one := func(minute, hour, day queue.Counts) queue.FlowStats {
		return queue.FlowStats{Site: "one", Label: "/near.test", Minute: minute, Hour: hour, Day: day}
	}
	none, both := queue.Counts{}, queue.Counts{Delivered: 1, Deferred: 1}
	deferred, bounced := queue.Counts{Deferred: 1}, queue.Counts{Bounced: 2}
	for _, row := range []struct {
		at   time.Duration
		want []queue.FlowStats
	}{
		{0, []queue.FlowStats{two(bounced, bounced, bounced), one(deferred, deferred, deferred)}},
		{30 * time.Minute, []queue.FlowStats{one(none, both, both), two(none, bounced, bounced)}},
		{2 * time.Hour, []queue.FlowStats{one(none, none, both), two(none, none, bounced)}},
		{25 * time.Hour, nil},
	} {
		l.sleep(time.Until(l.start.Add(row.at)))
		if diff := cmp.Diff(row.want, l.stats().Flow); diff != "" {
			l.Errorf("after %v (-want +got):\n%s", row.at, diff)
		}
	}
}
