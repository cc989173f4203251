package queuetest

import (
	"fmt"
	"math"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var retryCases = []testCase{
	{name: "GreylistedTwiceTheThirdTryWorks", run: greylistedTwice},
	{name: "GapsDoubleBetweenTheirBounds", options: queue.Options{DelayWarning: -1}, run: gaps},
	{name: "ARetryTimeFromTheRemoteIsKept", run: remoteDelay},
	{name: "ThrottlingIsNotAnAttempt", run: throttling},
	{name: "AThrottledLaneIsLeftAlone", run: throttledLane},
	{name: "UnknownTroubleDefers", run: unknownTrouble},
	{name: "AnUncertainOutcomeIsTriedAgain", run: uncertain},
}

func greylistedTwice(l *lab) {
	l.answer(inTurn(greylist, greylist, ok))
	l.send("bob@far.test")
	l.run()
	l.sleep(20 * time.Minute)
	want := []queue.Kind{queue.Deferred, queue.Deferred, queue.Delivered}
	if diff := cmp.Diff(want, l.kinds("bob@far.test")); diff != "" {
		l.Errorf("events (-want +got):\n%s", diff)
	}
	l.empty()
}

// gaps checks Postfix's rule: wait as long again as it has been tried already.
func gaps(l *lab) {
	l.answer(always(loaded))
	l.send("bob@far.test")
	l.run()
	l.sleep(3 * day)
	tries := l.seen()
	for i := 1; i < len(tries); i++ {
		gap := tries[i].After - tries[i-1].After
		want := min(max(tries[i-1].After, 5*time.Minute), 4*time.Hour)
		if off := math.Abs(float64(gap-want)) / float64(want); off > 0.11 {
			l.Errorf("gap %d is %v, want %v within a tenth", i, gap, want)
		}
		if tries[i].Attempt != i+1 {
			l.Errorf("attempt %d says that it is number %d", i+1, tries[i].Attempt)
		}
	}
	if n := len(tries); n < 20 || n > 30 {
		l.Errorf("%d attempts in three days", n)
	}
}

func remoteDelay(l *lab) {
	later := greylist
	later.RetryAfter = 90 * time.Second
	l.answer(inTurn(later, ok))
	l.send("bob@far.test")
	l.run()
	l.sleep(time.Hour)
	if tries := l.seen(); len(tries) != 2 || tries[1].After != 90*time.Second {
		l.Errorf("tries: %+v", tries)
	}
}

func throttling(l *lab) {
	full := transport.Outcome{RetryAfter: 10 * time.Minute}
	l.answer(inTurn(full, full, full, ok))
	l.send("bob@far.test")
	l.run()
	l.sleep(time.Minute)
	r := l.only().Recipients[0]
	if r.State != queue.Waiting || r.Attempts != 0 || !r.Due.Equal(l.start) || r.Parked.Sub(l.start) != 10*time.Minute {
		l.Errorf("handed back untried it is %+v", r)
	}
	l.sleep(time.Hour)
	var after []time.Duration
	for _, n := range l.seen() {
		after = append(after, n.After)
		if n.Attempt != 1 {
			l.Errorf("attempt %d after throttling alone", n.Attempt)
		}
	}
	want := []time.Duration{0, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute}
	if diff := cmp.Diff(want, after); diff != "" {
		l.Errorf("tries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]queue.Kind{queue.Delivered}, l.kinds("bob@far.test")); diff != "" {
		l.Errorf("events (-want +got):\n%s", diff)
	}
}

// throttledLane has a backlog and a destination that takes one message an hour.
func throttledLane(l *lab) {
	var next time.Time
	l.answer(func(d *transport.Delivery) transport.Report {
		l.mu.Lock()
		defer l.mu.Unlock()
		if wait := time.Until(next); wait > 0 {
			return d.All(transport.Outcome{RetryAfter: wait})
		}
		next = time.Now().Add(time.Hour)
		return d.All(ok)
	})
	for i := range 50 {
		l.send(fmt.Sprintf("u%d@far.test", i))
	}
	l.run()
	l.sleep(9*time.Hour + time.Minute)
	if n := 50 - len(l.entries(queue.Match{All: true})); n != 10 {
		l.Errorf("%d delivered in nine hours, want ten", n)
	}
	if n := len(l.seen()); n > 10*25 {
		l.Errorf("%d attempts for ten deliveries: more than the lane's concurrency each hour", n)
	}
}

func unknownTrouble(l *lab) {
	n := 0
	l.answer(func(d *transport.Delivery) transport.Report {
		switch n++; n {
		case 1:
			panic("a defect in a transport")
		case 2:
			return d.All(transport.Outcome{Reply: transport.Reply{Code: 999, Text: "nonsense"}})
		case 3:
			return nil // a report that is too short: not tried
		}
		return d.All(ok)
	})
	l.send("bob@far.test")
	l.run()
	l.sleep(time.Hour)
	want := []queue.Kind{queue.Deferred, queue.Deferred, queue.Delivered}
	if diff := cmp.Diff(want, l.kinds("bob@far.test")); diff != "" {
		l.Errorf("events (-want +got):\n%s", diff)
	}
}

func uncertain(l *lab) {
	lost := transport.Outcome{Reply: transport.Replyf(451, "4.4.2", "lost"), Uncertain: true}
	l.answer(inTurn(lost, transport.Outcome{Uncertain: true}, ok))
	l.send("bob@far.test")
	l.run()
	l.sleep(time.Hour)
	want := []queue.Kind{queue.Uncertain, queue.Uncertain, queue.Delivered}
	if diff := cmp.Diff(want, l.kinds("bob@far.test")); diff != "" {
		l.Errorf("events (-want +got):\n%s", diff)
	}
}
