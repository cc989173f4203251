package queuetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var historyCases = []testCase{
	{name: "EventsReadBackAsTheyWereTold", run: readBack},
	{name: "EachRecipientEndsOnce", run: oneEndForEach},
	{name: "WhatIsRemovedWhileItIsTriedEndsOnce", run: removedWhileTried},
	{name: "ACursorMissesNothingAndRepeatsNothing", run: cursors},
	{name: "AFollowerIsTold", run: followers},
	{name: "ATrailIsFiltered", run: filters},
	{name: "HistoryKnowsEachNameOfAMessage", run: names},
}

// history reads events to the end.
func (l *lab) history(t queue.Trail) []queue.Event {
	l.Helper()
	var all []queue.Event
	for e, err := range l.q.Events(l.Context(), t) {
		if err != nil {
			l.Fatalf("events: %v", err)
		}
		all = append(all, e)
	}
	return all
}

// readBack compares the history with what Observe was told, which is the order of
// commits.
func readBack(l *lab) {
	refusedLater := refused
	refusedLater.Addr, refusedLater.Transcript, refusedLater.Destination = "192.0.2.1:25", "S: 550 no\n", true
	taken := ok
	taken.PassedOn, taken.Mailbox = true, true
	taken.TLS = transport.TLSSession{Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", Trust: transport.Verified}
	l.answer(inTurn(greylist, transport.Outcome{Uncertain: true}, refusedLater, taken))
	l.run()
	l.send("a@far.test", "b@far.test")
	held := message("", "c@far.test")
	held.Hold = "to be looked at"
	l.enqueue(held, "\r\n")
	l.sleep(day)
	l.count(1)(l.q.Release(l.Context(), queue.Match{All: true}))
	l.sleep(day)
	l.send("d@far.test")
	l.sleep(day)
	got := l.history(queue.Trail{})
	l.mu.Lock()
	defer l.mu.Unlock()
	if diff := cmp.Diff(l.events, got); diff != "" {
		l.Errorf("told and read (-told +read):\n%s", diff)
	}
	for i, e := range got {
		if e.Seq != int64(i+1) {
			l.Fatalf("event %d has number %d", i+1, e.Seq)
		}
	}
	if len(got) < 10 {
		l.Errorf("only %d events", len(got))
	}
}

// oneEndForEach has a person do everything at random times to mail whose
// deliveries take a while and end at random.
func oneEndForEach(l *lab) {
	for seed := range uint64(4) {
		chaos(l, rand.New(rand.NewPCG(seed, 0)), fmt.Sprint(seed))
	}
}

func chaos(l *lab, random *rand.Rand, name string) {
	l.Helper()
	var mu sync.Mutex
	draw := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	outcomes := []transport.Outcome{ok, ok, ok, ok, ok, ok, ok, greylist, refused, {}, {Uncertain: true}, {Hold: true, Reply: transport.Reply{Text: "x"}}}
	l.answer(func(d *transport.Delivery) transport.Report {
		time.Sleep(time.Duration(draw(400)) * time.Second)
		var report transport.Report
		for range d.Envelope.Recipients {
			report = append(report, outcomes[draw(len(outcomes))])
		}
		return report
	})
	change := []func(context.Context, queue.Match) (int, error){
		l.q.Hold, l.q.Release, l.q.Retry, l.q.Requeue, l.q.Remove,
		func(ctx context.Context, m queue.Match) (int, error) { return l.q.Fail(ctx, m, "") },
	}
	var to []string
	for i := range 30 {
		var recipients []string
		for j := range 1 + draw(4) {
			recipients = append(recipients, fmt.Sprintf("r%s-%d-%d@d%d.test", name, i, j, draw(2)))
		}
		to = append(to, recipients...)
		l.send(recipients...)
		if l.cancel == nil {
			l.run()
		}
		l.sleep(time.Duration(draw(300)) * time.Second)
		recent := to[len(to)-1-draw(min(6, len(to)))]
		if _, err := change[draw(len(change))](l.Context(), queue.Match{Recipient: recent}); err != nil {
			l.Fatal(err)
		}
		if draw(5) == 0 {
			l.stop()
		}
	}
	l.answer(always(ok))
	if l.cancel == nil {
		l.run()
	}
	l.sleep(time.Hour) // what is still under way may end on hold
	if _, err := l.q.Release(l.Context(), queue.Match{All: true}); err != nil {
		l.Fatal(err)
	}
	l.sleep(day)
	l.oneEach(to)
	l.stop()
}

func removedWhileTried(l *lab) {
	l.answer(func(d *transport.Delivery) transport.Report {
		time.Sleep(time.Minute)
		return d.All(ok)
	})
	l.run()
	to := []string{"a@far.test", "b@far.test"}
	l.send(to...)
	l.sleep(time.Second)
	l.count(1)(l.q.Remove(l.Context(), queue.Match{Recipient: "a@far.test"}))
	l.sleep(time.Hour)
	l.oneEach(to)
	l.empty()
}

// oneEach checks that each recipient has one final event, and that nothing came
// after it.
func (l *lab) oneEach(recipients []string) {
	l.Helper()
	finals, last := map[string]int{}, map[string]queue.Kind{}
	for _, e := range l.history(queue.Trail{}) {
		last[e.Recipient] = e.Kind
		if e.Kind.Final() {
			finals[e.Recipient]++
		}
	}
	for _, r := range recipients {
		if finals[r] != 1 || !last[r].Final() {
			l.Errorf("%s has %d final events, and the last of all is %q", r, finals[r], last[r])
		}
	}
}

// cursors reads with a break after every few events.
func cursors(l *lab) {
	l.run()
	for i := range 300 {
		l.send(fmt.Sprintf("r%d@d%d.test", i, i%7))
	}
	l.sleep(time.Hour)
	var got []int64
	after := int64(0)
	for step := 1; ; step = step%11 + 1 {
		n := 0
		for e, err := range l.q.Events(l.Context(), queue.Trail{After: after}) {
			if err != nil {
				l.Fatal(err)
			}
			got, after = append(got, e.Seq), e.Seq
			if n++; n == step {
				break
			}
		}
		if n < step {
			break
		}
	}
	var want []int64
	for i := range 600 {
		want = append(want, int64(i+1))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.Errorf("numbers (-want +got):\n%s", diff)
	}
	for _, err := range l.q.Events(l.Context(), queue.Trail{After: 601}) {
		if !errors.Is(err, queue.ErrPruned) {
			l.Errorf("a cursor from the future: %v", err)
		}
	}
}

// followers reads along, from the beginning and from now on.
func followers(l *lab) {
	l.send("a@far.test")
	ctx, cancel := context.WithCancel(l.Context())
	var mu sync.Mutex
	got, ended := map[int64][]queue.Kind{}, 0
	for _, after := range []int64{0, -1} {
		go func() {
			for e, err := range l.q.Events(ctx, queue.Trail{After: after, Follow: true}) {
				if err != nil {
					l.Error(err)
					break
				}
				mu.Lock()
				got[after] = append(got[after], e.Kind)
				mu.Unlock()
			}
			mu.Lock()
			ended++
			mu.Unlock()
		}()
	}
	synctest.Wait()
	l.run()
	l.sleep(time.Minute)
	l.send("b@far.test")
	l.sleep(time.Minute)
	cancel()
	synctest.Wait()
	want := map[int64][]queue.Kind{
		0:  {queue.Queued, queue.Delivered, queue.Queued, queue.Delivered},
		-1: {queue.Delivered, queue.Queued, queue.Delivered},
	}
	if diff := cmp.Diff(want, got); diff != "" || ended != 2 {
		l.Errorf("%d of 2 followers ended; followed (-want +got):\n%s", ended, diff)
	}
}

func filters(l *lab) {
	l.answer(inTurn(greylist, ok))
	l.run()
	one := l.send("a@far.test", "b@far.test")
	l.sleep(time.Minute)
	m := message("alice@site.test", "a@far.test")
	m.Origin.Site = "two"
	two := l.enqueue(m, "\r\n")
	l.sleep(time.Hour)
	for _, row := range []struct {
		trail queue.Trail
		want  []string
	}{
		{queue.Trail{IDs: []string{two}}, []string{"queued ", "delivered a@far.test"}},
		{queue.Trail{IDs: []string{one}, Recipient: "B@FAR.test"}, []string{"deferred b@far.test", "delivered b@far.test"}},
		{queue.Trail{Site: "two"}, []string{"queued ", "delivered a@far.test"}},
		{queue.Trail{Site: "one", Kinds: []queue.Kind{queue.Queued, queue.Deferred}}, []string{"queued ", "deferred a@far.test", "deferred b@far.test"}},
		{queue.Trail{Site: "none"}, nil},
	} {
		var got []string
		for _, e := range l.history(row.trail) {
			got = append(got, string(e.Kind)+" "+e.Recipient)
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			l.Errorf("%+v (-want +got):\n%s", row.trail, diff)
		}
	}
}

// names requeues a message twice, once while it is tried.
func names(l *lab) {
	l.answer(func(d *transport.Delivery) transport.Report {
		time.Sleep(time.Minute)
		if len(l.seen()) < 3 {
			return d.All(greylist)
		}
		return d.All(ok)
	})
	ids := []string{l.send("a@far.test")}
	for range 2 {
		l.count(1)(l.q.Requeue(l.Context(), queue.Match{IDs: ids[len(ids)-1:]}))
		ids = append(ids, l.only().ID)
		if l.cancel == nil {
			l.run()
		}
		l.sleep(30 * time.Second)
	}
	l.send("b@far.test")
	l.sleep(day)
	l.empty()
	var want []queue.Event
	for _, e := range l.history(queue.Trail{}) {
		if slices.Contains(ids, e.ID) {
			want = append(want, e)
		}
	}
	for _, id := range ids {
		got, err := l.q.History(l.Context(), id)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			l.Errorf("history of %s, error %v (-want +got):\n%s", id, err, diff)
		}
	}
	if _, err := l.q.History(l.Context(), queue.NewID(time.Now())); !errors.Is(err, queue.ErrNotFound) {
		l.Errorf("history of a stranger: %v", err)
	}
}
