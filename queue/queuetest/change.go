package queuetest

import (
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var changeCases = []testCase{
	{name: "HeldMailStaysUntilReleased", run: holdAndRelease},
	{name: "AReleaseTakesNothingFromTheLifetime", run: releaseEarly},
	{name: "AMessageCanBeStoredOnHold", run: storedOnHold},
	{name: "ATransportCanHold", run: transportHolds},
	{name: "AHoldDoesNotStopADelivery", run: holdDuringAttempt},
	{name: "AReleaseDuringTheDeliveryLeavesItAlone", run: releaseDuringAttempt},
	{name: "RetryHurriesAndWakesTheLane", run: retryNow},
	{name: "RequeueGivesANewIDAndAFreshClock", run: requeue},
	{name: "TheOldIDOfARequeuedMessageIsNobodys", run: oldID},
	{name: "RequeueDoesNotStopADelivery", run: requeueDuringAttempt},
	{name: "RemoveTellsNobody", run: remove},
	{name: "RemoveDoesNotStopADelivery", run: removeDuringAttempt},
	{name: "ARequeueDuringADeliveryRestartsTheBackoff", options: queue.Options{DelayWarning: -1}, run: requeueBackoff},
	{name: "AMatchSelectsWhatItSays", run: matches},
	{name: "AChangeOfThousandsTakesThemAll", run: manyChanges},
	{name: "ADryRunCountsWhatItWouldTouchAndTouchesNothing", run: dryRun},
	{name: "StatsCount", run: counts},
	{name: "AgesCount", run: ages},
}

func holdAndRelease(l *lab) {
	l.answer(inTurn(greylist, ok))
	l.send("bob@far.test")
	l.run()
	synctest.Wait()
	l.count(1)(l.q.Hold(l.Context(), queue.Match{All: true}))
	l.sleep(30 * day) // held mail does not expire
	if e := l.only(); e.State != queue.OnHold || len(l.seen()) != 1 {
		l.Fatalf("on hold it is %v after %d attempts", e.State, len(l.seen()))
	}
	l.count(1)(l.q.Release(l.Context(), queue.Match{All: true}))
	if left := time.Until(l.only().Expires); left <= 0 || left > day {
		l.Errorf("what expired on hold has %v left, not the time for an attempt", left)
	}
	l.sleep(time.Minute)
	want := []queue.Kind{queue.Deferred, queue.Held, queue.Released, queue.Delivered}
	if diff := cmp.Diff(want, l.kinds("bob@far.test")); diff != "" {
		l.Errorf("events (-want +got):\n%s", diff)
	}
	l.empty()
}

// releaseEarly releases what has most of its lifetime before it.
func releaseEarly(l *lab) {
	l.send("bob@far.test")
	expires := l.only().Expires
	l.count(1)(l.q.Hold(l.Context(), queue.Match{All: true}))
	l.count(1)(l.q.Release(l.Context(), queue.Match{All: true}))
	if got := l.only().Expires; !got.Equal(expires) {
		l.Errorf("it expires at %v, not at %v any more", got, expires)
	}
}

func storedOnHold(l *lab) {
	m := message("alice@site.test", "bob@far.test")
	m.Hold = "over budget"
	l.run()
	l.enqueue(m, "\r\n")
	l.sleep(day)
	if e := l.only(); e.State != queue.OnHold || e.Recipients[0].Held != "over budget" {
		l.Errorf("stored as %+v", e.Recipients[0])
	}
	l.count(1)(l.q.Release(l.Context(), queue.Match{All: true}))
	synctest.Wait()
	l.empty()
}

func transportHolds(l *lab) {
	l.answer(always(transport.Outcome{Hold: true, Reply: transport.Reply{Text: "held by a rule"}}))
	l.send("bob@far.test")
	l.run()
	l.sleep(day)
	if r := l.only().Recipients[0]; r.State != queue.OnHold || r.Reply.Text != "held by a rule" || len(l.seen()) != 1 {
		l.Errorf("held as %+v", r)
	}
}

// during runs f in the middle of the first attempt, which then ends in o.
func (l *lab) during(o transport.Outcome, f func()) {
	l.Helper()
	slow := true
	l.answer(func(d *transport.Delivery) transport.Report {
		if !slow {
			return d.All(ok)
		}
		slow = false
		time.Sleep(time.Minute)
		return d.All(o)
	})
	l.run()
	l.sleep(30 * time.Second)
	if n := len(l.seen()); n != 1 {
		l.Fatalf("%d attempts under way", n)
	}
	f()
	l.sleep(31 * time.Second)
}

func holdDuringAttempt(l *lab) {
	l.send("bob@far.test")
	l.during(greylist, func() { l.count(1)(l.q.Hold(l.Context(), queue.Match{All: true})) })
	l.sleep(day)
	if r := l.only().Recipients[0]; r.State != queue.OnHold || r.Attempts != 1 || r.Reply.Code != 451 {
		l.Errorf("after a deferral it is %+v", r)
	}
	l.stop()
	l.count(1)(l.q.Remove(l.Context(), queue.Match{All: true}))
	l.send("carol@near.test")
	l.mu.Lock()
	l.tries = nil
	l.mu.Unlock()
	l.during(ok, func() { l.count(1)(l.q.Hold(l.Context(), queue.Match{All: true})) })
	l.empty() // delivered is delivered
}

func releaseDuringAttempt(l *lab) {
	l.send("bob@far.test")
	l.during(greylist, func() {
		l.count(1)(l.q.Hold(l.Context(), queue.Match{All: true}))
		l.count(1)(l.q.Release(l.Context(), queue.Match{All: true}))
		if s := l.only().State; s != queue.Active {
			l.Errorf("released while it is being tried it is %v", s)
		}
	})
	if r := l.only().Recipients[0]; r.State != queue.Waiting || r.Attempts != 1 {
		l.Errorf("then it is %+v", r)
	}
	l.sleep(time.Hour)
	l.empty()
}

func retryNow(l *lab) {
	l.answer(inTurn(greylist, transport.Outcome{RetryAfter: day}, ok))
	l.send("bob@far.test")
	l.run()
	l.sleep(time.Minute)
	l.count(1)(l.q.Retry(l.Context(), queue.Match{All: true}))
	l.sleep(time.Minute)
	l.count(1)(l.q.Retry(l.Context(), queue.Match{All: true}))
	synctest.Wait()
	l.empty()
	if n := len(l.seen()); n != 3 {
		l.Errorf("tried %d times", n)
	}
}

func remove(l *lab) {
	l.answer(always(greylist))
	l.send("a@far.test", "b@near.test")
	l.run()
	synctest.Wait()
	l.count(1)(l.q.Remove(l.Context(), queue.Match{Domain: "far.test"}))
	if e := l.only(); len(e.Recipients) != 1 || e.Recipients[0].Address != "b@near.test" {
		l.Errorf("left: %+v", e.Recipients)
	}
	l.count(1)(l.q.Remove(l.Context(), queue.Match{All: true}))
	l.sleep(10 * day)
	l.empty()
	if diff := cmp.Diff([]queue.Kind{queue.Deferred, queue.Removed}, l.kinds("a@far.test")); diff != "" {
		l.Errorf("events (-want +got):\n%s", diff)
	}
}

func removeDuringAttempt(l *lab) {
	l.send("bob@far.test")
	l.during(refused, func() { l.count(1)(l.q.Remove(l.Context(), queue.Match{All: true})) })
	l.sleep(day)
	l.empty()
	if diff := cmp.Diff([]queue.Kind{queue.Removed}, l.kinds("bob@far.test")); diff != "" {
		l.Errorf("events (-want +got):\n%s", diff)
	}
}

// requeueBackoff requeues a message in the middle of its attempt of the second day.
func requeueBackoff(l *lab) {
	requeued := time.Duration(0)
	l.answer(func(d *transport.Delivery) transport.Report {
		if since := time.Since(l.start); since > 2*day && requeued == 0 {
			requeued = since
			l.count(1)(l.q.Requeue(l.Context(), queue.Match{All: true}))
		}
		return d.All(loaded)
	})
	l.send("bob@far.test")
	l.run()
	l.sleep(3 * day)
	for i, n := range l.seen() {
		if n.After == requeued {
			if next := l.seen()[i+1]; next.Attempt != 2 || next.After-requeued > 6*time.Minute {
				l.Errorf("after the requeue attempt %d comes after %v", next.Attempt, next.After-requeued)
			}
		}
	}
}

func matches(l *lab) {
	first := l.send("bob@far.test")
	l.sleep(time.Hour)
	m := message("", "Carol@Near.test", "dan_x@far.test")
	m.Origin.Site = "two"
	m.Hold = "x"
	second := l.enqueue(m, "\r\n")
	for name, c := range map[string]struct {
		match queue.Match
		want  []string
	}{
		"nothing":            {queue.Match{}, nil},
		"all":                {queue.Match{All: true}, []string{first, second}},
		"id":                 {queue.Match{IDs: []string{second, "nosuch"}}, []string{second}},
		"site":               {queue.Match{Site: "one"}, []string{first}},
		"sender":             {queue.Match{Sender: "ALICE@site.test"}, []string{first}},
		"null sender":        {queue.Match{Sender: "<>"}, []string{second}},
		"recipient":          {queue.Match{Recipient: "carol@near.test"}, []string{second}},
		"domain":             {queue.Match{Domain: "FAR.test"}, []string{first, second}},
		"domain, not suffix": {queue.Match{Domain: "ar.test"}, nil},
		"wildcards are text": {queue.Match{Domain: "f_r.test"}, nil},
		"state":              {queue.Match{State: queue.InState(queue.OnHold)}, []string{second}},
		"age":                {queue.Match{OlderThan: time.Minute}, []string{first}},
		"all of it":          {queue.Match{Domain: "far.test", Site: "two"}, []string{second}},
		"contradiction":      {queue.Match{IDs: []string{first}, Site: "two"}, nil},
	} {
		var got []string
		for _, e := range l.entries(c.match) {
			got = append(got, e.ID)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			l.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	l.count(0)(l.q.Remove(l.Context(), queue.Match{}))
}

func dryRun(l *lab) {
	l.answer(always(greylist))
	tried := l.send("bob@far.test", "carol@near.test")
	l.run()
	synctest.Wait()
	l.count(1)(l.q.Hold(l.Context(), queue.Match{Recipient: "carol@near.test"}))
	m := message("alice@site.test", "dan@far.test")
	m.Hold = "over budget"
	held := l.enqueue(m, "\r\n")
	before := l.entries(queue.Match{All: true})

	all, near := queue.Match{All: true, DryRun: true}, queue.Match{Domain: "near.test", DryRun: true}
	l.count(1)(l.q.Hold(l.Context(), all))
	l.count(0)(l.q.Hold(l.Context(), near)) // it is held already
	l.count(2)(l.q.Release(l.Context(), all))
	l.count(1)(l.q.Retry(l.Context(), all))
	l.count(0)(l.q.Retry(l.Context(), near))
	l.count(2)(l.q.Requeue(l.Context(), all))
	l.count(2)(l.q.Remove(l.Context(), all))
	l.count(1)(l.q.Remove(l.Context(), near))
	l.count(2)(l.q.Fail(l.Context(), all, "x"))
	l.count(1)(l.q.Remove(l.Context(), queue.Match{IDs: []string{held}, DryRun: true}))
	l.count(1)(l.q.Remove(l.Context(), queue.Match{Untried: true, DryRun: true}))
	l.count(0)(l.q.Remove(l.Context(), queue.Match{IDs: []string{tried}, Untried: true, DryRun: true}))
	l.count(1)(l.q.Remove(l.Context(), queue.Match{Tried: true, DryRun: true}))
	l.count(0)(l.q.Remove(l.Context(), queue.Match{IDs: []string{held}, Tried: true, DryRun: true}))
	l.count(0)(l.q.Remove(l.Context(), queue.Match{DryRun: true}))

	synctest.Wait()
	if diff := cmp.Diff(before, l.entries(queue.Match{All: true}), cmpopts.IgnoreUnexported(queue.Entry{}, queue.RecipientEntry{})); diff != "" {
		l.Errorf("a dry run changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]queue.Kind{queue.Held}, l.kinds("dan@far.test")); diff != "" {
		l.Errorf("events of dry runs (-want +got):\n%s", diff)
	}
}

func manyChanges(l *lab) {
	for i := range 30 {
		var to []string
		for j := range 70 {
			to = append(to, fmt.Sprintf("u%d-%d@far.test", i, j))
		}
		l.send(to...)
	}
	var told []int
	l.count(30)(l.q.Hold(l.Context(), queue.Match{All: true, Progress: func(n int) { told = append(told, n) }}))
	if len(told) < 3 || !slices.IsSorted(told) || told[len(told)-1] != 30 {
		l.Errorf("progress of a change of 30 messages: %v", told)
	}
	if s := l.stats(); s.Hold != 2100 || s.Waiting != 0 {
		l.Errorf("stats: %+v", s)
	}
	l.count(30)(l.q.Release(l.Context(), queue.Match{Site: "one"}))
	if s := l.stats(); s.Hold != 0 || s.Waiting != 2100 {
		l.Errorf("stats: %+v", s)
	}
	if n := len(l.entries(queue.Match{All: true})); n != 30 {
		l.Errorf("%d entries", n)
	}
	l.count(30)(l.q.Remove(l.Context(), queue.Match{All: true}))
	l.empty()
}

func ages(l *lab) {
	l.send("old@far.test", "old@near.test")
	l.sleep(time.Hour)
	l.send("young@far.test", "young2@far.test")
	m := message("alice@site.test", "held@far.test")
	m.Hold = "x"
	l.enqueue(m, "\r\n")
	l.sleep(time.Minute)
	got, err := l.q.Ages(l.Context(), time.Minute, 10*time.Minute)
	if err != nil {
		l.Fatal(err)
	}
	want := []queue.AgeStats{{Label: "/far.test", Count: []int{0, 3, 1}}, {Label: "/near.test", Count: []int{0, 0, 1}}}
	if diff := cmp.Diff(want, got); diff != "" {
		l.Errorf("ages (-want +got):\n%s", diff)
	}
	if _, err := l.q.Ages(l.Context(), time.Hour, time.Minute); err == nil {
		l.Error("bounds that do not ascend are taken")
	}
}

func (l *lab) stats() queue.Stats {
	l.Helper()
	s, err := l.q.Stats(l.Context())
	if err != nil {
		l.Fatalf("stats: %v", err)
	}
	return s
}

func counts(l *lab) {
	l.answer(func(d *transport.Delivery) transport.Report {
		if d.Label == "/slow.test" {
			time.Sleep(time.Hour)
		}
		return d.All(greylist)
	})
	l.run()
	l.send("a@far.test", "b@far.test", "c@slow.test")
	m := message("alice@site.test", "d@far.test")
	m.Origin.Site, m.Hold = "two", "x"
	l.enqueue(m, "1234567890\r\n")
	synctest.Wait()
	got := l.stats()
	for i := range got.Lanes {
		got.Lanes[i].Due = time.Time{}
	}
	want := queue.Stats{
		Messages: 2, Size: 25 + 12, Waiting: 2, Deferred: 2, Active: 1, Hold: 1, Oldest: l.start.UTC(),
		Lanes: []queue.LaneStats{{Label: "/far.test", Waiting: 2, Hold: 1}, {Label: "/slow.test", Active: 1}},
		Sites: []queue.SiteStats{{Site: "one", Waiting: 2, Active: 1}, {Site: "two", Hold: 1}},
		Flow: []queue.FlowStats{{Site: "one", Label: "/far.test", Minute: queue.Counts{Deferred: 2},
			Hour: queue.Counts{Deferred: 2}, Day: queue.Counts{Deferred: 2}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.Errorf("stats (-want +got):\n%s", diff)
	}
	l.sleep(2 * time.Hour)
}
