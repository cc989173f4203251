package queuetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var ruleCases = []testCase{
	{name: "ARuleHoldsNewAndQueuedMailAlike", run: ruleSelects},
	{name: "ARuleHoldsTheReportsOfASite", run: ruleHoldsReports},
	{name: "ARuleDoesNotStopADelivery", run: ruleDuringAttempt},
	{name: "WhatIsReleasedStaysReleasedWhateverTheRules", options: queue.Options{DelayWarning: -1}, run: ruleAndRelease},
	{name: "ADeletedRuleReleasesNothing", run: deletedRule},
	{name: "ARequeueAsksTheRules", run: ruleAndRequeue},
	{name: "RulesAreListedAndChecked", run: ruleList},
	{name: "ARuleHoldsThousandsStepByStep", run: ruleOnBacklog},
}

// addRule adds a rule.
func (l *lab) addRule(r queue.Rule) int64 {
	l.Helper()
	id, err := l.q.AddRule(l.Context(), r)
	if err != nil {
		l.Fatalf("add rule %+v: %v", r, err)
	}
	return id
}

// ruleSelects stores messages before and after each rule, and wants the same
// recipients held of both.
func ruleSelects(l *lab) {
	store := func() {
		for _, m := range []struct {
			site, sender string
			via          transport.Via
			to           []string
		}{
			{"one", "Alice@Site.test", transport.ViaSMTP, []string{"bob@Far.test", "carol@near.test"}},
			{"one", "", transport.ViaBounce, []string{"bob@far.test", "dan@sub.far.test"}},
			{"two", "alice@site.test", transport.ViaSendmail, []string{"carol@near.test", `"x@far.test"@f_r.test`}},
			{"", "Ä@site.test", transport.ViaAPI, []string{"bob@far.test", "ö@Ö.test"}},
		} {
			q := message(m.sender, m.to...)
			q.Origin.Site, q.Origin.Via = m.site, m.via
			l.enqueue(q, "\r\n")
		}
	}
	for _, c := range []struct {
		rule queue.Rule
		want []string
	}{
		{queue.Rule{}, []string{"bob@Far.test", "carol@near.test", "bob@far.test", "dan@sub.far.test", "carol@near.test", `"x@far.test"@f_r.test`, "bob@far.test", "ö@Ö.test"}},
		{queue.Rule{Site: "one"}, []string{"bob@Far.test", "carol@near.test", "bob@far.test", "dan@sub.far.test"}},
		{queue.Rule{Site: "One"}, nil},
		{queue.Rule{Sender: "alice@SITE.test"}, []string{"bob@Far.test", "carol@near.test", "carol@near.test", `"x@far.test"@f_r.test`}},
		{queue.Rule{Sender: "<>"}, []string{"bob@far.test", "dan@sub.far.test"}},
		{queue.Rule{Sender: "ä@site.test"}, nil}, // case is one of ASCII alone
		{queue.Rule{Sender: "Ä@SITE.test"}, []string{"bob@far.test", "ö@Ö.test"}},
		{queue.Rule{Domain: "FAR.test"}, []string{"bob@Far.test", "bob@far.test", "bob@far.test"}},
		{queue.Rule{Domain: "f_r.test"}, []string{`"x@far.test"@f_r.test`}},
		{queue.Rule{Domain: "ar.test"}, nil},
		{queue.Rule{Domain: "Ö.test"}, []string{"ö@Ö.test"}},
		{queue.Rule{Via: transport.ViaSendmail}, []string{"carol@near.test", `"x@far.test"@f_r.test`}},
		{queue.Rule{Site: "one", Sender: "<>", Domain: "far.test", Via: transport.ViaBounce}, []string{"bob@far.test"}},
		{queue.Rule{Site: "two", Domain: "far.test"}, nil},
	} {
		c.rule.Reason = "why not"
		store() // before the rule
		id := l.addRule(c.rule)
		held := l.heldBy(id)
		if diff := cmp.Diff(c.want, held); diff != "" {
			l.Errorf("queued mail held by %+v (-want +got):\n%s", c.rule, diff)
		}
		l.count(4)(l.q.Remove(l.Context(), queue.Match{All: true}))
		store() // after it
		if diff := cmp.Diff(held, l.heldBy(id)); diff != "" {
			l.Errorf("new mail held by %+v, beside queued mail (-queued +new):\n%s", c.rule, diff)
		}
		if err := l.q.DeleteRule(l.Context(), id); err != nil {
			l.Error(err)
		}
		l.count(4)(l.q.Remove(l.Context(), queue.Match{All: true}))
	}
}

// heldBy lists the recipients that a rule with the reason "why not" holds, and
// checks that all others wait.
func (l *lab) heldBy(id int64) (held []string) {
	l.Helper()
	reason := fmt.Sprintf("held by rule %d: why not", id)
	for _, e := range l.entries(queue.Match{All: true}) {
		for _, r := range e.Recipients {
			switch {
			case r.State == queue.OnHold && r.Held == reason:
				held = append(held, r.Address)
			case r.State != queue.Waiting:
				l.Errorf("%s is %v for the reason %q", r.Address, r.State, r.Held)
			}
		}
	}
	return held
}

func ruleHoldsReports(l *lab) {
	l.answer(always(refused))
	id := l.addRule(queue.Rule{Site: "one", Via: transport.ViaBounce})
	l.send("bob@far.test")
	l.run()
	l.sleep(time.Minute)
	if r := l.only().Recipients[0]; r.State != queue.OnHold || r.Held != fmt.Sprintf("held by rule %d", id) {
		l.Errorf("the bounce is %+v", r)
	}
	if e := l.told(queue.Held); e.Recipient != "alice@site.test" || e.Outcome.Reply.Text != fmt.Sprintf("held by rule %d", id) {
		l.Errorf("told: %+v", e)
	}
}

func ruleDuringAttempt(l *lab) {
	l.send("bob@far.test")
	l.send("carol@far.test")
	var id int64
	l.answer(func(d *transport.Delivery) transport.Report {
		time.Sleep(time.Minute)
		if d.Envelope.Recipients[0].Address == "bob@far.test" {
			return d.All(ok)
		}
		return d.All(greylist)
	})
	l.run()
	l.sleep(30 * time.Second)
	id = l.addRule(queue.Rule{Domain: "far.test", Reason: "why not"})
	l.sleep(day)
	if n := len(l.seen()); n != 2 {
		l.Errorf("%d attempts", n)
	}
	if r := l.only().Recipients[0]; r.Address != "carol@far.test" || r.State != queue.OnHold {
		l.Errorf("left by rule %d: %+v", id, r)
	}
}

func ruleAndRelease(l *lab) {
	l.answer(always(greylist))
	l.addRule(queue.Rule{Domain: "far.test", Reason: "why not"})
	l.run()
	l.send("bob@far.test")
	l.sleep(day)
	if n := len(l.seen()); n != 0 {
		l.Fatalf("%d attempts on hold", n)
	}
	l.count(1)(l.q.Release(l.Context(), queue.Match{All: true}))
	l.sleep(day)
	if r := l.only().Recipients[0]; r.State != queue.Waiting || r.Attempts < 2 {
		l.Errorf("released it is %+v", r)
	}
}

func deletedRule(l *lab) {
	id := l.addRule(queue.Rule{Domain: "far.test", Reason: "why not"})
	l.send("bob@far.test")
	if err := l.q.DeleteRule(l.Context(), id); err != nil {
		l.Error(err)
	}
	l.send("carol@far.test")
	l.run()
	l.sleep(day)
	if diff := cmp.Diff([]string{"bob@far.test"}, l.heldBy(id)); diff != "" {
		l.Errorf("held (-want +got):\n%s", diff)
	}
	if err := l.q.DeleteRule(l.Context(), id); !errors.Is(err, queue.ErrNoRule) {
		l.Errorf("deleted twice: error %v", err)
	}
}

func ruleAndRequeue(l *lab) {
	l.send("bob@far.test", "carol@near.test")
	id := l.addRule(queue.Rule{Domain: "far.test", Reason: "why not"})
	l.count(1)(l.q.Release(l.Context(), queue.Match{All: true}))
	if held := l.heldBy(id); held != nil {
		l.Errorf("released, and held: %v", held)
	}
	l.count(1)(l.q.Requeue(l.Context(), queue.Match{All: true}))
	if diff := cmp.Diff([]string{"bob@far.test"}, l.heldBy(id)); diff != "" {
		l.Errorf("held (-want +got):\n%s", diff)
	}
	renamed := l.only().ID
	want := []queue.Kind{queue.Held, queue.Released, queue.Held}
	if diff := cmp.Diff(want, l.kinds("bob@far.test")); diff != "" {
		l.Errorf("events (-want +got):\n%s", diff)
	}
	if last := l.events[len(l.events)-1]; last.Kind != queue.Held || last.ID != renamed {
		l.Errorf("the last event is %+v, and the message %s", last, renamed)
	}
	l.run()
	synctest.Wait()
	if n := len(l.seen()); n != 1 {
		l.Errorf("%d attempts", n)
	}
}

func ruleList(l *lab) {
	want := []queue.Rule{
		{Site: "one", Sender: "alice@site.test", Domain: "far.test", Via: transport.ViaSMTP, Reason: "why not", Created: l.start},
		{Created: l.start},
	}
	for i := range want {
		want[i].ID = l.addRule(want[i])
	}
	got, err := l.q.Rules(l.Context())
	if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(0)); diff != "" || err != nil {
		l.Errorf("error %v; rules (-want +got):\n%s", err, diff)
	}
	if err := l.q.DeleteRule(l.Context(), want[1].ID); err != nil {
		l.Error(err)
	}
	if id := l.addRule(queue.Rule{}); slices.Contains([]int64{want[0].ID, want[1].ID}, id) {
		l.Errorf("the number %d was given twice", id)
	}
	l.addRule(queue.Rule{Reason: strings.Repeat("x", 255)})
	for _, bad := range []queue.Rule{
		{Domain: "a@far.test"}, {Via: "pigeon"}, {Reason: "two\nlines"}, {Reason: strings.Repeat("x", 256)},
	} {
		if _, err := l.q.AddRule(l.Context(), bad); err == nil {
			l.Errorf("%+v was taken", bad)
		}
	}
}

func ruleOnBacklog(l *lab) {
	for i := range 30 {
		var to []string
		for j := range 80 {
			to = append(to, fmt.Sprintf("u%d-%d@%s.test", i, j, []string{"far", "near"}[j%2]))
		}
		l.send(to...)
	}
	l.addRule(queue.Rule{Domain: "far.test"})
	if s := l.stats(); s.Hold != 1200 || s.Waiting != 1200 {
		l.Errorf("%d on hold and %d waiting", s.Hold, s.Waiting)
	}
}
