package queuetest

import (
	"fmt"
	"net/netip"
	"slices"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var deliveryCases = []testCase{
	{name: "AStoredMessageNeverChanges", run: storedAsGiven},
	{name: "AMessageMaySayThatTLSIsOptional", run: tlsOptional},
	{name: "WhatIsDeliveredIsDone", run: deliveredOnce},
	{name: "NoRecipientIsTriedTwiceAtOnce", run: oneAttemptAtATime},
	{name: "TheAttemptIsWrittenBeforeItIsMade", run: writtenBefore},
	{name: "RecipientsOfOneLaneTravelTogether", options: queue.Options{RecipientLimit: 3}, run: together},
	{name: "RecipientsWithTheirOwnReversePathTravelApart", run: apart},
	{name: "ALaneKeepsItsConcurrency", options: queue.Options{Concurrency: 2}, run: concurrency},
	{name: "SitesTakeTurns", options: queue.Options{Concurrency: 1}, run: turns},
	{name: "RunEndsWhileDeliveriesGoOn", run: stopsInTime},
}

func storedAsGiven(l *lab) {
	m := queue.Message{
		Envelope: transport.Envelope{
			ReversePath: "alice@site.test", SMTPUTF8: true, Body: transport.Body8BitMIME,
			Ret: transport.RetHdrs, EnvID: "env 1", RequireTLS: true,
			Recipients: []transport.Recipient{
				{Address: "bob@far.test", Notify: transport.NotifyFailure | transport.NotifyDelay, ORcpt: "rfc822;b@old.test"},
				{Address: `"a b"@far.test`, Notify: transport.NotifyNever},
			},
		},
		Origin: transport.Origin{Site: "one", Login: "alice", Via: transport.ViaSMTP, Client: "192.0.2.1",
			HELO: "pc.test", UID: 33, PID: 4711, Script: "/index.php"},
		Head: func() ([]byte, error) { return []byte("Received: here\r\n"), nil },
	}
	const content = "Subject: hello\r\n\r\nhello\r\n"
	var got *transport.Delivery
	l.answer(func(d *transport.Delivery) transport.Report { got = d; return d.All(ok) })
	id := l.enqueue(m, content)
	if diff := cmp.Diff("Received: here\r\n"+content, l.content(id)); diff != "" {
		l.Errorf("content (-want +got):\n%s", diff)
	}
	l.run()
	synctest.Wait()
	want := &transport.Delivery{ID: id, Envelope: m.Envelope, Origin: m.Origin, Attempt: 1, Arrived: l.start.UTC(),
		Size: int64(len("Received: here\r\n" + content)), Label: "/far.test"}
	got.Open = nil
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		l.Errorf("delivery (-want +got):\n%s", diff)
	}
	l.empty()
}

func tlsOptional(l *lab) {
	m := message("alice@site.test", "bob@far.test")
	m.Envelope.TLSOptional = true
	var got transport.Envelope
	l.answer(func(d *transport.Delivery) transport.Report { got = d.Envelope; return d.All(ok) })
	id := l.enqueue(m, "\r\n")
	if e := l.only(); e.ID != id || !e.Envelope.TLSOptional || e.Envelope.RequireTLS {
		l.Errorf("listed: %+v", e.Envelope)
	}
	l.run()
	synctest.Wait()
	if !got.TLSOptional || got.RequireTLS {
		l.Errorf("delivered: %+v", got)
	}
}

func deliveredOnce(l *lab) {
	l.send("bob@far.test")
	l.run()
	synctest.Wait()
	l.stop()
	l.run()
	l.sleep(10 * day)
	if n := len(l.seen()); n != 1 {
		l.Errorf("tried %d times: %+v", n, l.seen())
	}
	if diff := cmp.Diff([]queue.Kind{queue.Delivered}, l.kinds("bob@far.test")); diff != "" {
		l.Errorf("events (-want +got):\n%s", diff)
	}
	l.empty()
}

const day = 24 * time.Hour

// oneAttemptAtATime gives a slow destination every occasion to be tried again.
func oneAttemptAtATime(l *lab) {
	l.answer(func(d *transport.Delivery) transport.Report {
		time.Sleep(7 * time.Hour)
		return d.All(greylist)
	})
	l.send("bob@far.test")
	l.run()
	for range 50 {
		time.Sleep(time.Hour)
		if _, err := l.q.Retry(l.Context(), queue.Match{All: true}); err != nil {
			l.Fatal(err)
		}
		l.send("carol@far.test")
		l.q.Wake()
	}
	if n := len(l.seen()); n < 10 {
		l.Errorf("only %d attempts: the case shows nothing", n)
	}
	l.answer(always(ok))
	l.sleep(2 * day)
}

func writtenBefore(l *lab) {
	var during queue.Entry
	l.answer(func(d *transport.Delivery) transport.Report {
		during = l.only()
		return d.All(ok)
	})
	l.send("bob@far.test")
	l.run()
	synctest.Wait()
	r := during.Recipients[0]
	if r.State != queue.Active || r.Attempts != 1 || r.Due.Sub(l.start) < 5*time.Minute {
		l.Errorf("during its first attempt the recipient is %v with %d attempts, due after %v",
			r.State, r.Attempts, r.Due.Sub(l.start))
	}
}

func together(l *lab) {
	l.send("a@far.test", "b@far.test", "c@near.test", "d@far.test", "e@far.test")
	l.run()
	synctest.Wait()
	var got []string
	for _, n := range l.seen() {
		got = append(got, fmt.Sprint(n.Recipients))
	}
	slices.Sort(got)
	want := []string{"[a@far.test b@far.test d@far.test]", "[c@near.test]", "[e@far.test]"}
	if diff := cmp.Diff(want, got); diff != "" {
		l.Errorf("deliveries (-want +got):\n%s", diff)
	}
	l.empty()
}

func apart(l *lab) {
	m := message("alice@site.test", "a@far.test", "b@far.test", "c@far.test")
	m.Envelope.Recipients[1].ReversePath = "srs0=x@panel.test"
	var got []string
	l.answer(func(d *transport.Delivery) transport.Report {
		l.mu.Lock()
		defer l.mu.Unlock()
		got = append(got, fmt.Sprint(d.ReversePath(), len(d.Envelope.Recipients)))
		return d.All(ok)
	})
	l.enqueue(m, "\r\n")
	l.run()
	synctest.Wait()
	slices.Sort(got)
	want := []string{"alice@site.test1", "alice@site.test1", "srs0=x@panel.test1"}
	if diff := cmp.Diff(want, got); diff != "" {
		l.Errorf("deliveries (-want +got):\n%s", diff)
	}
}

func concurrency(l *lab) {
	now, most := map[string]int{}, map[string]int{}
	l.answer(func(d *transport.Delivery) transport.Report {
		l.mu.Lock()
		now[d.Label]++
		most[d.Label] = max(most[d.Label], now[d.Label])
		l.mu.Unlock()
		time.Sleep(time.Minute)
		l.mu.Lock()
		now[d.Label]--
		l.mu.Unlock()
		return d.All(ok)
	})
	for i := range 10 {
		l.send(fmt.Sprintf("u%d@far.test", i))
		l.send(fmt.Sprintf("u%d@near.test", i))
	}
	l.run()
	l.sleep(5*time.Minute + time.Second)
	if diff := cmp.Diff(map[string]int{"/far.test": 2, "/near.test": 2}, most); diff != "" {
		l.Errorf("deliveries at once (-want +got):\n%s", diff)
	}
	l.empty() // ten in each lane, two at a time, a minute each
}

// turns has one site with a backlog and another that sends one message.
func turns(l *lab) {
	l.answer(func(d *transport.Delivery) transport.Report {
		time.Sleep(time.Second)
		return d.All(ok)
	})
	for i := range 300 {
		l.send(fmt.Sprintf("u%d@far.test", i))
	}
	l.run()
	l.sleep(10*time.Second + time.Millisecond)
	m := message("eve@two.test", "late@far.test")
	m.Origin.Site = "two"
	l.enqueue(m, "\r\n")
	at := len(l.seen())
	l.sleep(300 * time.Second)
	place := slices.IndexFunc(l.seen(), func(n try) bool { return n.Recipients[0] == "late@far.test" })
	if place < 0 || place-at > 8 {
		l.Errorf("the other site's message went out %d deliveries after it came", place-at)
	}
}

func stopsInTime(l *lab) {
	l.answer(func(d *transport.Delivery) transport.Report {
		time.Sleep(time.Second)
		return d.All(ok)
	})
	for i := range 100 {
		l.send(fmt.Sprintf("u%d@far.test", i))
	}
	l.run()
	l.sleep(500 * time.Millisecond)
	l.stop()
	began := len(l.seen())
	if began == 0 || began == 100 {
		l.Fatalf("%d of 100 deliveries had begun: the case shows nothing", began)
	}
	left := l.entries(queue.Match{All: true})
	if len(left) != 100-began {
		l.Errorf("%d messages left after %d of 100 were delivered", len(left), began)
	}
	for _, e := range left {
		if r := e.Recipients[0]; r.State != queue.Waiting || r.Attempts != 0 || !r.Due.Equal(e.Arrived) {
			l.Fatalf("what was not begun is %v with %d attempts, due %v", r.State, r.Attempts, r.Due)
		}
	}
	l.run()
	l.sleep(10 * time.Second)
	l.empty()
	if n := len(l.seen()); n != 100 {
		l.Errorf("%d deliveries of 100 messages", n)
	}
}
