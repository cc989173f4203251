package queuetest

import (
	"fmt"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var failCases = []testCase{
	{name: "FailBouncesNow", run: fail},
	{name: "AHoldKeepsTheLastReply", run: holdKeepsReply},
	{name: "FailMakesTheDeliveryUnderWayTheLast", run: failDuringAttempt},
	{name: "FailLeavesOtherRecipientsAlone", run: failScope},
	{name: "FailCountsAMessageOnce", run: failCount},
	{name: "FailTellsHowFarItIs", run: failProgress},
	{name: "ARequeueTakesBackThatItIsGivenUp", run: takenBack},
	{name: "FailEndsWhatIsHandedBackUntried", options: queue.Options{Concurrency: 1}, run: failUntried},
}

func fail(l *lab) {
	l.answer(holdReports(always(greylist)))
	l.send("tried@far.test")
	l.run()
	synctest.Wait()
	m := message("alice@site.test", "held@far.test")
	m.Hold = "for a reason"
	l.enqueue(m, "\r\n")
	l.count(2)(l.q.Fail(l.Context(), queue.Match{Domain: "far.test"}, "the customer left"))
	l.sleep(time.Minute)
	var texts []string
	for _, e := range l.entries(queue.Match{All: true}) {
		texts = append(texts, l.content(e.ID))
	}
	if len(texts) != 2 {
		l.Fatalf("%d bounces", len(texts))
	}
	all := strings.Join(texts, "")
	for _, part := range []string{"451 4.7.1 come back later", "the customer left", "Status: 4.7.0"} {
		if !strings.Contains(all, part) {
			l.Errorf("no bounce says %q:\n%s", part, all)
		}
	}
}

func holdKeepsReply(l *lab) {
	l.answer(holdReports(always(greylist)))
	l.send("bob@far.test")
	l.run()
	synctest.Wait()
	all := queue.Match{All: true}
	l.count(1)(l.q.Hold(l.Context(), all))
	if r := l.only().Recipients[0]; r.Held == "" || r.Reply.Code != 451 {
		l.Errorf("held for %q, the last reply was %+v", r.Held, r.Reply)
	}
	l.count(1)(l.q.Release(l.Context(), all))
	if r := l.only().Recipients[0]; r.Held != "" {
		l.Errorf("released, and held for %q", r.Held)
	}
	l.count(1)(l.q.Hold(l.Context(), all))
	l.count(1)(l.q.Fail(l.Context(), all, ""))
	synctest.Wait()
	if report := l.content(l.only().ID); !strings.Contains(report, "451 4.7.1 come back later") {
		l.Errorf("the bounce does not say what the remote said:\n%s", report)
	}
}

func failDuringAttempt(l *lab) {
	l.send("bob@far.test")
	l.during(greylist, func() {
		l.count(1)(l.q.Fail(l.Context(), queue.Match{All: true}, "the customer left"))
		if r := l.only().Recipients[0]; r.GivenUp != "the customer left" {
			l.Errorf("given up because of %q", r.GivenUp)
		}
	})
	if e := l.told(queue.Failed); e.Attempt != 1 || e.Report == "" {
		l.Errorf("event: %+v", e)
	}
}

// slowly answers far.test after an hour, and everybody else at once.
func slowly(o transport.Outcome) func(*transport.Delivery) transport.Report {
	return holdReports(func(d *transport.Delivery) transport.Report {
		if d.Label == "/far.test" {
			time.Sleep(time.Hour)
		}
		return d.All(o)
	})
}

func failScope(l *lab) {
	l.answer(slowly(greylist))
	l.send("a@far.test", "b@near.test")
	l.run()
	l.sleep(time.Minute)
	l.count(1)(l.q.Fail(l.Context(), queue.Match{Domain: "far.test"}, ""))
	l.sleep(2 * time.Hour)
	if e := l.told(queue.Failed); e.Recipient != "a@far.test" || e.Report == "" {
		l.Errorf("failed: %+v", e)
	}
	for _, e := range l.entries(queue.Match{Recipient: "b@near.test"}) {
		if r := e.Recipients[1]; r.State != queue.Waiting || e.Expires.Sub(l.start) != 5*day {
			l.Errorf("the other recipient is %v, the message expires after %v", r.State, e.Expires.Sub(l.start))
		}
	}
}

func failCount(l *lab) {
	l.answer(slowly(greylist))
	l.send("a@far.test", "b@near.test")
	l.send("c@far.test")
	l.run()
	l.sleep(time.Minute)
	l.count(2)(l.q.Fail(l.Context(), queue.Match{Sender: "alice@site.test"}, ""))
	l.sleep(2 * time.Hour)
	for _, r := range []string{"a@far.test", "b@near.test", "c@far.test"} {
		if kinds := l.kinds(r); kinds[len(kinds)-1] != queue.Failed {
			l.Errorf("%s: %v", r, kinds)
		}
	}
}

func failProgress(l *lab) {
	for i := range 450 {
		l.send(fmt.Sprintf("u%d@far.test", i))
	}
	var told []int
	l.count(450)(l.q.Fail(l.Context(), queue.Match{Domain: "far.test", Progress: func(n int) { told = append(told, n) }}, ""))
	if want := []int{0, 200, 400, 450}; !slices.Equal(told, want) {
		l.Errorf("told %v, want %v", told, want)
	}
}

// takenBack is given up while it is tried, which is the last moment.
func takenBack(l *lab) {
	l.send("bob@far.test")
	l.during(greylist, func() {
		l.count(1)(l.q.Fail(l.Context(), queue.Match{All: true}, ""))
		l.count(1)(l.q.Requeue(l.Context(), queue.Match{All: true}))
		if r := l.only().Recipients[0]; r.GivenUp != "" {
			l.Errorf("given up because of %q", r.GivenUp)
		}
	})
	if r := l.only().Recipients[0]; r.State != queue.Waiting {
		l.Errorf("it is %v", r.State)
	}
}

// failUntried gives up one recipient that is being tried and finds no room, and
// one that waits for its turn behind it.
func failUntried(l *lab) {
	l.answer(slowly(transport.Outcome{RetryAfter: day}))
	l.send("a@far.test")
	l.send("b@far.test")
	l.run()
	l.sleep(time.Minute)
	l.count(2)(l.q.Fail(l.Context(), queue.Match{Sender: "alice@site.test"}, "the customer left"))
	l.sleep(2 * time.Hour)
	if n := len(l.seen()); n != 3 {
		l.Errorf("%d deliveries, want the one under way and two bounces", n)
	}
	for _, e := range l.entries(queue.Match{All: true}) {
		if text := l.content(e.ID); !strings.Contains(text, "450 4.7.0 the customer left") {
			l.Errorf("left in the queue:\n%s", text)
		}
	}
}
