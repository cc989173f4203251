package queuetest

import (
	"fmt"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var lifeCases = []testCase{
	{name: "NothingIsSentBeforeItsTime", run: notBefore},
	{name: "TheClocksOfScheduledMailBeginWithItsTime", run: scheduledClocks},
	{name: "RetryGoesBeforeTheTime", run: scheduledRetry},
	{name: "ATimeThatIsPastMeansNow", run: pastTime},
	{name: "ATimeBeyondAYearIsRefused", run: farTime},
	{name: "AMessageCanHaveALifetimeOfItsOwn", run: ownLifetime},
	{name: "AMessageCanAskForOneAttempt", run: ownAttempt},
	{name: "AReasonHasAScheduleOfItsOwn", options: queue.Options{DelayWarning: -1}, run: schedulesByReason},
	{name: "ATransportsScheduleGoesFirst", options: queue.Options{DelayWarning: -1}, run: scheduleOfTransport},
	{name: "AScheduleEndsBeforeTheLifetime", options: queue.Options{DelayWarning: -1}, run: scheduleEnds},
	{name: "AnUncertainOutcomeCanBeHeld", options: queue.Options{HoldUncertain: true}, run: holdUncertain},
	{name: "ASuccessIsReportedOnRequest", run: successReports},
}

func notBefore(l *lab) {
	m := message("alice@site.test", "bob@far.test")
	m.NotBefore = l.start.Add(3 * day)
	l.enqueue(m, "\r\n")
	l.send("carol@far.test")
	l.run()
	l.sleep(time.Second)
	l.send("dave@far.test")
	l.sleep(3*day - 2*time.Second)
	if e := l.only(); !e.NotBefore.Equal(m.NotBefore) || !e.Recipients[0].Due.Equal(m.NotBefore) {
		l.Errorf("it waits as %+v", e)
	}
	l.sleep(2 * time.Second)
	l.empty()
	if tries := l.seen(); len(tries) != 3 || tries[2].After != 3*day {
		l.Errorf("tries: %+v", tries)
	}
}

func scheduledClocks(l *lab) {
	l.answer(holdReports(always(greylist)))
	m := message("alice@site.test", "bob@far.test")
	m.NotBefore = l.start.Add(10 * day)
	l.run()
	l.enqueue(m, "\r\n")
	if e := l.only(); !e.Expires.Equal(m.NotBefore.Add(5 * day)) {
		l.Errorf("expires at %v", e.Expires)
	}
	l.sleep(10*day + 3*time.Hour)
	if n := len(l.entries(queue.Match{State: queue.InState(queue.OnHold)})); n != 0 {
		l.Errorf("%d warnings three hours after the first attempt", n)
	}
	if gap := l.seen()[1].After - l.seen()[0].After; gap > 10*time.Minute {
		l.Errorf("the second attempt came %v after the first", gap)
	}
	l.sleep(4 * time.Hour)
	if n := len(l.entries(queue.Match{State: queue.InState(queue.OnHold)})); n != 1 {
		l.Errorf("%d warnings after seven hours", n)
	}
	l.sleep(5 * day)
	if e := l.told(queue.Expired); e.Delay < 15*day || e.Delay > 15*day+5*time.Hour {
		l.Errorf("expired after %v", e.Delay)
	}
}

func scheduledRetry(l *lab) {
	m := message("alice@site.test", "bob@far.test")
	m.NotBefore = l.start.Add(10 * day)
	l.run()
	l.enqueue(m, "\r\n")
	l.count(1)(l.q.Hold(l.Context(), queue.Match{All: true}))
	l.count(1)(l.q.Release(l.Context(), queue.Match{All: true}))
	l.sleep(day)
	if n := len(l.seen()); n != 0 {
		l.Fatalf("released mail was tried %d times before its time", n)
	}
	l.count(1)(l.q.Retry(l.Context(), queue.Match{All: true}))
	synctest.Wait()
	l.empty()
}

func pastTime(l *lab) {
	m := message("alice@site.test", "bob@far.test")
	m.NotBefore = l.start.Add(-day)
	l.enqueue(m, "\r\n")
	if e := l.only(); !e.NotBefore.IsZero() || !e.Expires.Equal(l.start.Add(5*day)) {
		l.Errorf("stored as %+v", e)
	}
	l.run()
	synctest.Wait()
	l.empty()
}

func farTime(l *lab) {
	m := message("alice@site.test", "bob@far.test")
	m.NotBefore = l.start.Add(367 * day)
	if _, err := l.q.Enqueue(l.Context(), m, strings.NewReader("\r\n")); err == nil {
		l.Error("there was no error")
	}
	l.empty()
}

func ownLifetime(l *lab) {
	l.answer(holdReports(always(greylist)))
	for to, lifetime := range map[string]time.Duration{"a@short.test": 2 * time.Hour, "b@usual.test": 0, "c@long.test": 60 * day} {
		m := message("alice@site.test", to)
		m.Lifetime = lifetime
		l.enqueue(m, "\r\n")
	}
	for domain, want := range map[string]time.Duration{"short.test": 2 * time.Hour, "usual.test": 5 * day, "long.test": 30 * day} {
		for _, e := range l.entries(queue.Match{Domain: domain}) {
			if got := e.Expires.Sub(l.start); got != want || (e.Lifetime == 0) != (domain == "usual.test") {
				l.Errorf("%s: expires after %v, want %v; lifetime %v", domain, got, want, e.Lifetime)
			}
		}
	}
	l.sleep(time.Hour)
	l.count(1)(l.q.Requeue(l.Context(), queue.Match{Domain: "short.test"}))
	for _, e := range l.entries(queue.Match{Domain: "short.test"}) {
		if got := e.Expires.Sub(l.start); got != 3*time.Hour {
			l.Errorf("requeued it expires after %v", got)
		}
	}
	l.run()
	l.sleep(8 * time.Hour)
	if e := l.told(queue.Expired); e.Recipient != "a@short.test" {
		l.Errorf("expired: %+v", e)
	}
}

func ownAttempt(l *lab) {
	l.answer(holdReports(always(greylist)))
	m := message("alice@site.test", "bob@far.test")
	m.Lifetime = -time.Second
	l.enqueue(m, "\r\n")
	l.run()
	l.sleep(time.Minute)
	if e := l.told(queue.Expired); e.Attempt != 1 {
		l.Errorf("expired after %d attempts", e.Attempt)
	}
}

// after are the instants of the attempts for a recipient.
func (l *lab) after(recipient string) []time.Duration {
	var all []time.Duration
	for _, n := range l.seen() {
		if slices.Contains(n.Recipients, recipient) {
			all = append(all, n.After)
		}
	}
	return all
}

func schedulesByReason(l *lab) {
	said := map[string]transport.Reply{
		"grey@far.test":   transport.Replyf(450, "4.2.0", "Recipient address rejected: Greylisted, see http://far.test"),
		"full@far.test":   transport.Replyf(452, "4.2.2", "the mailbox has no room"),
		"policy@far.test": transport.Replyf(421, "4.7.0", "too much mail from your address"),
		"plain@far.test":  transport.Replyf(451, "4.3.0", "a file system is full"),
	}
	l.answer(func(d *transport.Delivery) transport.Report {
		r := d.All(greylist)
		for i, p := range d.Envelope.Recipients {
			r[i].Reply = said[p.Address]
		}
		return r
	})
	l.send("grey@far.test", "full@far.test", "policy@far.test", "plain@far.test")
	l.run()
	l.sleep(3 * day)
	type gap struct{ least, most time.Duration }
	for to, want := range map[string]struct{ first, last gap }{
		"grey@far.test":   {gap{5 * time.Minute, 7 * time.Minute}, gap{50 * time.Minute, 70 * time.Minute}},
		"full@far.test":   {gap{50 * time.Minute, 70 * time.Minute}, gap{210 * time.Minute, 270 * time.Minute}},
		"policy@far.test": {gap{13 * time.Minute, 17 * time.Minute}, gap{210 * time.Minute, 270 * time.Minute}},
		"plain@far.test":  {gap{4 * time.Minute, 6 * time.Minute}, gap{210 * time.Minute, 270 * time.Minute}},
	} {
		tries := l.after(to)
		first, last := tries[1]-tries[0], tries[len(tries)-1]-tries[len(tries)-2]
		if first < want.first.least || first > want.first.most || last < want.last.least || last > want.last.most {
			l.Errorf("%s: first gap %v, last gap %v, want %v", to, first, last, want)
		}
	}
}

func scheduleOfTransport(l *lab) {
	slow := greylist
	slow.Schedule = transport.Schedule{Min: 2 * time.Hour, Max: 2 * time.Hour}
	l.answer(always(slow))
	l.send("bob@far.test")
	l.run()
	l.sleep(2 * day)
	tries := l.after("bob@far.test")
	for i := 1; i < len(tries); i++ {
		if gap := tries[i] - tries[i-1]; gap < 108*time.Minute || gap > 132*time.Minute {
			l.Errorf("gap %d is %v", i, gap)
		}
	}
}

func scheduleEnds(l *lab) {
	short, long := greylist, greylist
	short.Schedule, long.Schedule = transport.Schedule{Lifetime: day}, transport.Schedule{Lifetime: 20 * day}
	l.answer(holdReports(func(d *transport.Delivery) transport.Report {
		if d.Label == "/short.test" {
			return d.All(short)
		}
		return d.All(long)
	}))
	l.send("bob@short.test")
	l.send("carol@long.test")
	l.run()
	l.sleep(day + time.Hour)
	if e := l.told(queue.Expired); e.Recipient != "bob@short.test" || e.Delay < day || e.Delay > day+10*time.Minute {
		l.Errorf("expired: %+v", e)
	}
	l.sleep(5 * day)
	if got := l.kinds("carol@long.test"); got[len(got)-1] != queue.Expired {
		l.Errorf("a schedule that is longer than the lifetime: %v", got)
	}
}

func holdUncertain(l *lab) {
	lost := transport.Outcome{Reply: transport.Replyf(451, "4.4.2", "lost at the dot"), Uncertain: true, Host: "mx.far.test"}
	last := lost
	last.Final = true // a transport with one attempt
	l.answer(func(d *transport.Delivery) transport.Report {
		return transport.Report{lost, last, {Uncertain: true}, refused}
	})
	m := message("", "plain@far.test", "oneshot@far.test", "silent@far.test", "refused@far.test")
	l.enqueue(m, "\r\n")
	l.run()
	l.sleep(30 * day)
	if n := len(l.seen()); n != 1 {
		l.Errorf("%d attempts", n)
	}
	for i, r := range l.only().Recipients {
		want := queue.OnHold
		if i == 3 {
			want = queue.Dead
		}
		if r.State != want || i < 2 && r.Reply.Text != "the outcome is uncertain: lost at the dot" {
			l.Errorf("%s is %v: %+v", r.Address, r.State, r.Reply)
		}
	}
	if diff := cmp.Diff([]queue.Kind{queue.Held}, l.kinds("oneshot@far.test")); diff != "" {
		l.Errorf("events (-want +got):\n%s", diff)
	}
	l.answer(always(ok))
	l.count(1)(l.q.Release(l.Context(), queue.Match{All: true}))
	l.sleep(time.Minute)
	l.empty()
}

// successReports delivers in four ways to those who asked for a report and
// those who did not (RFC 3461 section 5.2).
func successReports(l *lab) {
	passed, mailbox := ok, ok
	passed.PassedOn, mailbox.Mailbox = true, true
	ways := []transport.Outcome{ok, passed, mailbox, refused}
	l.answer(holdReports(func(d *transport.Delivery) transport.Report {
		var r transport.Report
		for i := range d.Envelope.Recipients {
			r = append(r, ways[i%len(ways)])
		}
		return r
	}))
	m := message("alice@site.test")
	for i := range 2 * len(ways) {
		p := transport.Recipient{Address: fmt.Sprintf("u%d@far.test", i)}
		if i < len(ways) {
			p.Notify = transport.NotifySuccess
		}
		m.Envelope.Recipients = append(m.Envelope.Recipients, p)
	}
	l.enqueue(m, "Subject: hello\r\n\r\n")
	null := message("", "u0@near.test")
	null.Envelope.Recipients[0].Notify = transport.NotifySuccess
	l.enqueue(null, "\r\n")
	l.run()
	l.sleep(time.Minute)
	got := map[string]string{}
	for _, e := range l.entries(queue.Match{All: true}) {
		address, action := "", ""
		for line := range strings.Lines(l.content(e.ID)) {
			if a, ok := strings.CutPrefix(line, "Final-Recipient: rfc822; "); ok {
				address = strings.TrimSpace(a)
			}
			if a, ok := strings.CutPrefix(line, "Action: "); ok {
				action = strings.TrimSpace(a)
				got[address] += action
			}
		}
	}
	want := map[string]string{"u0@far.test": "relayed", "u2@far.test": "delivered", "u7@far.test": "failed"}
	if diff := cmp.Diff(want, got); diff != "" {
		l.Errorf("reports (-want +got):\n%s", diff)
	}
}
