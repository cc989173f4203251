package queuetest

import (
	"context"
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var roomCases = []testCase{
	{name: "ATransportWithRoomForOneGetsOneAtATime", run: roomForOne},
	{name: "AFullLaneIsAskedAgainWhenADeliveryEnds", run: fullUntilEnd},
	{name: "AFullLaneIsAskedAgainThoughNothingEnds", run: fullForAWhile},
	{name: "LanesThatShareRoomAllGetSome", run: sharedRoom},
	{name: "WhatIsHeldBeforeItsTurnIsNotDelivered", options: queue.Options{Concurrency: 1}, run: recalled},
	{name: "APanicOfTheUsersFunctionsStopsNoMail", options: queue.Options{Label: ill}, run: panicking},
}

// roomy is a transport that says how much room there is.
type roomy struct {
	transport.Func
	room func(label string) int
}

func (r roomy) Room(label string) transport.Room { return transport.Room{Free: r.room(label)} }

// ill is a label function with a defect.
func ill(context.Context, transport.Query) string { panic("a defect in Label") }

// panicking has everything panic that the user gives, but for the transport.
func panicking(l *lab) {
	l.answer(inTurn(refused, ok))
	l.mu.Lock()
	l.onTell = func(queue.Event) { panic("a defect in Observe") }
	l.mu.Unlock()
	l.send("bob@far.test")
	if label := l.only().Recipients[0].Lane; label != "/far.test" {
		l.Errorf("filed under %s", label)
	}
	l.runWith(func(string) int { panic("a defect in Room") })
	l.sleep(time.Minute)
	if n := len(l.seen()); n != 2 {
		l.Errorf("%d deliveries, want that of the message and that of the report", n)
	}
	l.empty()
}

// runWith starts delivering with a say on room.
func (l *lab) runWith(room func(label string) int) {
	ctx, cancel := context.WithCancel(l.Context())
	l.cancel, l.ended = cancel, make(chan error, 1)
	go func() { l.ended <- l.q.Run(ctx, roomy{l.deliver, room}) }()
}

func roomForOne(l *lab) {
	busy, most := 0, 0
	l.answer(func(d *transport.Delivery) transport.Report {
		l.mu.Lock()
		busy++
		most = max(most, busy)
		l.mu.Unlock()
		time.Sleep(time.Minute)
		l.mu.Lock()
		busy--
		l.mu.Unlock()
		return d.All(ok)
	})
	for i := range 20 {
		l.send(fmt.Sprintf("u%d@far.test", i))
	}
	l.runWith(func(string) int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return 1 - busy
	})
	l.sleep(20*time.Minute + time.Second)
	if most != 1 {
		l.Errorf("%d deliveries at once", most)
	}
	l.empty()
}

// fullUntilEnd has one destination behind two labels.
func fullUntilEnd(l *lab) {
	busy := 0
	l.answer(func(d *transport.Delivery) transport.Report {
		l.mu.Lock()
		busy++
		l.mu.Unlock()
		time.Sleep(time.Hour)
		l.mu.Lock()
		busy--
		l.mu.Unlock()
		return d.All(ok)
	})
	l.runWith(func(string) int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return 1 - busy
	})
	l.send("a@one.test")
	l.sleep(time.Minute)
	l.send("b@two.test")
	l.sleep(time.Hour)
	var after []time.Duration
	for _, n := range l.seen() {
		after = append(after, n.After)
	}
	if diff := cmp.Diff([]time.Duration{0, time.Hour}, after); diff != "" {
		l.Errorf("deliveries (-want +got):\n%s", diff)
	}
	l.sleep(time.Hour)
}

func sharedRoom(l *lab) {
	busy := 0
	l.answer(func(d *transport.Delivery) transport.Report {
		l.mu.Lock()
		busy++
		l.mu.Unlock()
		time.Sleep(time.Second)
		l.mu.Lock()
		busy--
		l.mu.Unlock()
		return d.All(ok)
	})
	for i := range 10 {
		for lane := range 5 {
			l.send(fmt.Sprintf("u%d@d%d.test", i, lane))
		}
	}
	l.runWith(func(string) int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return 2 - busy
	})
	l.sleep(2 * time.Minute)
	l.empty()
}

func fullForAWhile(l *lab) {
	l.runWith(func(string) int {
		if time.Since(l.start) < time.Minute {
			return 0
		}
		return 1
	})
	l.send("a@one.test")
	l.sleep(2 * time.Minute)
	if tries := l.seen(); len(tries) != 1 || tries[0].Attempt != 1 || tries[0].After > time.Minute+2*time.Second {
		l.Errorf("tries: %+v", tries)
	}
}

// recalled holds mail that was claimed and waits for its turn.
func recalled(l *lab) {
	l.answer(func(d *transport.Delivery) transport.Report {
		time.Sleep(time.Hour)
		return d.All(ok)
	})
	for i := range 4 {
		l.send(fmt.Sprintf("u%d@far.test", i))
	}
	l.run()
	l.sleep(time.Minute)
	l.count(4)(l.q.Hold(l.Context(), queue.Match{All: true}))
	l.sleep(time.Minute)
	for i, e := range l.entries(queue.Match{All: true}) {
		if r := e.Recipients[0]; r.State != queue.OnHold || i > 0 && r.Attempts != 0 {
			l.Errorf("message %d is %+v", i, r)
		}
	}
	l.sleep(10 * time.Hour)
	if n := len(l.seen()); n != 1 {
		l.Errorf("%d deliveries", n)
	}
	l.count(3)(l.q.Release(l.Context(), queue.Match{All: true}))
	l.sleep(10 * time.Hour)
	l.empty()
}
