package queuetest

import (
	"strings"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var reportCases = []testCase{
	{name: "OutcomeAndBounceCommitTogether", run: bounceTogether},
	{name: "TheNullReversePathNeverBounces", run: nullNeverBounces},
	{name: "NotifyNeverIsRespected", run: notifyNever},
	{name: "OneBounceForAllThatFailedTogether", run: oneBounce},
	{name: "ExpiredMailBouncesWithItsLastReply", run: expiry},
	{name: "ABounceExpiresByItsOwnLifetime", options: queue.Options{BounceLifetime: time.Hour}, run: bounceExpiry},
	{name: "ANegativeLifetimeIsOneAttempt", options: queue.Options{Lifetime: -1}, run: oneTry},
	{name: "ANegativeLifetimeWaitsForTheAttempt", options: queue.Options{Lifetime: -1}, run: oneTryInAFullLane},
	{name: "NoWaitGoesPastTheExpiry", options: queue.Options{DelayWarning: -1}, run: clampedWait},
	{name: "MailExpiresInAParkedLane", run: parkedExpiry},
	{name: "TheSenderIsWarnedOnce", run: warning},
	{name: "NobodyIsWarnedIfWarningsAreOff", options: queue.Options{DelayWarning: -1}, run: noWarning},
	{name: "EachMessageEndsInOneFinalEvent", run: oneFinalEvent},
}

// hold keeps reports in the queue and does with everything else as told.
func holdReports(next func(*transport.Delivery) transport.Report) func(*transport.Delivery) transport.Report {
	return func(d *transport.Delivery) transport.Report {
		if d.Origin.Via == transport.ViaBounce {
			return d.All(transport.Outcome{Hold: true, Reply: transport.Reply{Text: "kept for the test"}})
		}
		return next(d)
	}
}

// bounceTogether looks for the bounce at the moment the failure is told, which is
// after its commit and before anything else.
func bounceTogether(l *lab) {
	l.answer(holdReports(always(refused)))
	var found int
	l.onTell = func(e queue.Event) {
		if e.Kind == queue.Failed {
			found = len(l.entries(queue.Match{IDs: []string{e.Report}}))
		}
	}
	id := l.send("bob@far.test")
	l.run()
	l.sleep(time.Minute)
	if found != 1 {
		l.Fatalf("when the failure was told there were %d bounces", found)
	}
	bounce := l.only()
	if bounce.ID != l.told(queue.Failed).Report {
		l.Errorf("the event names another bounce than %s", bounce.ID)
	}
	want := transport.Envelope{Body: transport.Body7Bit, Recipients: []transport.Recipient{{Address: "alice@site.test"}}}
	if diff := cmp.Diff(want, bounce.Envelope); diff != "" {
		l.Errorf("envelope of the bounce (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(transport.Origin{Site: "one", Via: transport.ViaBounce, UID: -1}, bounce.Origin); diff != "" {
		l.Errorf("origin of the bounce (-want +got):\n%s", diff)
	}
	text := l.content(bounce.ID)
	for _, part := range []string{"Action: failed", "Status: 5.1.1", "550 5.1.1 no such user here", "Final-Recipient: rfc822; bob@far.test", id, "Subject: hello"} {
		if !strings.Contains(text, part) {
			l.Errorf("the bounce does not say %q:\n%s", part, text)
		}
	}
}

func nullNeverBounces(l *lab) {
	l.answer(always(refused))
	l.enqueue(message("", "bob@far.test"), "\r\n")
	l.run()
	l.sleep(time.Minute)
	l.empty()
	if e := l.told(queue.Failed); e.Report != "" {
		l.Errorf("reported in %s", e.Report)
	}
	// Nor does the bounce of a message of ours, so there is no loop.
	l.send("bob@far.test")
	l.sleep(time.Minute)
	l.empty()
	if n := len(l.seen()); n != 3 {
		l.Errorf("%d deliveries, want that of the message without sender, of the other, and of its bounce", n)
	}
}

func notifyNever(l *lab) {
	l.answer(holdReports(always(refused)))
	m := message("alice@site.test", "never@far.test", "success@far.test", "failure@far.test")
	m.Envelope.Recipients[0].Notify = transport.NotifyNever
	m.Envelope.Recipients[1].Notify = transport.NotifySuccess
	m.Envelope.Recipients[2].Notify = transport.NotifyFailure
	l.enqueue(m, "\r\n")
	l.run()
	l.sleep(time.Minute)
	text := l.content(l.only().ID)
	for address, want := range map[string]bool{"never@far.test": false, "success@far.test": false, "failure@far.test": true} {
		if got := strings.Contains(text, "Final-Recipient: rfc822; "+address); got != want {
			l.Errorf("the bounce reports %s: %v, want %v", address, got, want)
		}
	}
}

func oneBounce(l *lab) {
	l.answer(holdReports(func(d *transport.Delivery) transport.Report {
		r := d.All(refused)
		r[1] = ok
		return r
	}))
	l.send("a@far.test", "b@far.test", "c@far.test")
	l.run()
	l.sleep(time.Minute)
	text := l.content(l.only().ID)
	if strings.Count(text, "Action: failed") != 2 || strings.Contains(text, "b@far.test") {
		l.Errorf("bounce:\n%s", text)
	}
}

func expiry(l *lab) {
	l.answer(holdReports(always(greylist)))
	l.send("bob@far.test")
	l.run()
	l.sleep(6 * day)
	e := l.told(queue.Expired)
	if e.Delay < 5*day || e.Delay > 5*day+5*time.Hour {
		l.Errorf("expired after %v", e.Delay)
	}
	text := l.content(e.Report)
	for _, part := range []string{"Action: failed", "Status: 4.7.1", "451 4.7.1 come back later"} {
		if !strings.Contains(text, part) {
			l.Errorf("the bounce does not say %q:\n%s", part, text)
		}
	}
}

func bounceExpiry(l *lab) {
	l.answer(always(greylist))
	l.enqueue(message("", "bob@far.test"), "\r\n")
	l.run()
	l.sleep(3 * time.Hour)
	l.empty()
	if e := l.told(queue.Expired); e.Delay > 2*time.Hour+15*time.Minute || e.Report != "" {
		l.Errorf("expired: %+v", e)
	}
}

func oneTry(l *lab) {
	l.answer(holdReports(always(greylist)))
	l.send("bob@far.test")
	l.run()
	l.sleep(time.Minute)
	if e := l.told(queue.Expired); e.Attempt != 1 {
		l.Errorf("expired after %d attempts", e.Attempt)
	}
}

func oneTryInAFullLane(l *lab) {
	l.answer(inTurn(transport.Outcome{RetryAfter: day}, ok))
	l.send("bob@far.test")
	l.run()
	l.sleep(2 * day)
	l.empty()
	if diff := cmp.Diff([]queue.Kind{queue.Delivered}, l.kinds("bob@far.test")); diff != "" {
		l.Errorf("events (-want +got):\n%s", diff)
	}
}

// clampedWait has a transport that asks for more time than there is.
func clampedWait(l *lab) {
	later := greylist
	later.RetryAfter = 60 * day
	l.answer(holdReports(always(later)))
	l.send("bob@far.test")
	l.run()
	l.sleep(6 * day)
	if e := l.told(queue.Expired); e.Delay > 5*day+time.Minute || e.Attempt != 2 {
		l.Errorf("expired after %v and %d attempts", e.Delay, e.Attempt)
	}
}

// parkedExpiry has a lane without room for a week.
func parkedExpiry(l *lab) {
	l.answer(holdReports(inTurn(greylist, transport.Outcome{RetryAfter: 7 * day})))
	l.send("bob@far.test")
	l.run()
	l.sleep(time.Minute)
	second := l.send("carol@far.test") // never tried at all
	l.sleep(5*day + time.Hour)
	if n := len(l.seen()); n > 5 {
		l.Errorf("%d deliveries", n)
	}
	for recipient, status := range map[string]string{"bob@far.test": "Status: 4.7.1", "carol@far.test": "Status: 4.4.7"} {
		var text string
		for _, e := range l.entries(queue.Match{All: true}) {
			if c := l.content(e.ID); strings.Contains(c, "Action: failed") && strings.Contains(c, recipient) {
				text = c
			}
		}
		if !strings.Contains(text, status) {
			l.Errorf("no bounce about %s with %q (second message %s): %q", recipient, status, second, text)
		}
	}
}

func warning(l *lab) {
	l.answer(holdReports(always(greylist)))
	l.send("bob@far.test", "carol@near.test")
	l.enqueue(message("", "bob@far.test"), "\r\n")
	l.run()
	l.sleep(3 * time.Hour)
	if n := len(l.entries(queue.Match{All: true})); n != 2 {
		l.Fatalf("%d messages before the time of the warning", n)
	}
	l.sleep(2 * day)
	var warnings []string
	for _, e := range l.entries(queue.Match{State: queue.InState(queue.OnHold)}) {
		warnings = append(warnings, l.content(e.ID))
	}
	if len(warnings) != 1 {
		l.Fatalf("%d warnings, want one", len(warnings))
	}
	for _, part := range []string{"Action: delayed", "Status: 4.7.1", "Will-Retry-Until:"} {
		if !strings.Contains(warnings[0], part) {
			l.Errorf("the warning does not say %q:\n%s", part, warnings[0])
		}
	}
}

func noWarning(l *lab) {
	l.answer(holdReports(always(greylist)))
	l.send("bob@far.test")
	l.run()
	l.sleep(2 * day)
	l.only()
}

func oneFinalEvent(l *lab) {
	l.answer(func(d *transport.Delivery) transport.Report {
		r := d.All(ok)
		for i, p := range d.Envelope.Recipients {
			if strings.HasPrefix(p.Address, "bad") {
				r[i] = refused
			} else if strings.HasPrefix(p.Address, "slow") && d.Attempt == 1 {
				r[i] = greylist
			}
		}
		return r
	})
	l.send("good@far.test", "bad@far.test", "slow@far.test", "good@near.test", "bad@near.test")
	l.run()
	l.sleep(time.Hour)
	synctest.Wait()
	final := map[string][]queue.Kind{}
	for _, e := range l.events {
		if e.Kind.Final() {
			final[e.Recipient] = append(final[e.Recipient], e.Kind)
		}
	}
	want := map[string][]queue.Kind{
		"good@far.test": {queue.Delivered}, "bad@far.test": {queue.Failed}, "slow@far.test": {queue.Delivered},
		"good@near.test": {queue.Delivered}, "bad@near.test": {queue.Failed},
		"alice@site.test": {queue.Delivered, queue.Delivered}, // two bounces: the failures were in two deliveries
	}
	if diff := cmp.Diff(want, final); diff != "" {
		l.Errorf("final events (-want +got):\n%s", diff)
	}
	l.empty()
}
