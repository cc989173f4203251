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
	{name: "ALaneIsNotAskedBeforeItHasRoom", run: notUntilRoom},
	{name: "AShortPauseEndsOnTime", run: shortPause},
	{name: "ALaneThatDiesHandsBackWhatItWasGiven", run: handedBack},
	{name: "ADeadDestinationStaysDeadWhenRunEnds", run: staysDead},
	{name: "ARetryRevivesADeadDestination", run: revived},
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

// places is how many deliveries a mortal takes at once for a label.
const places = 5

// mortal is a transport that remembers until when destinations are dead, and how
// often it was asked.
type mortal struct {
	l     *lab
	until map[string]time.Time
	asked map[string]int
	busy  map[string]int
}

func (m *mortal) Deliver(ctx context.Context, d *transport.Delivery) transport.Report {
	if m.enter(d.Label) {
		defer m.leave(d.Label)
		return m.l.deliver(ctx, d)
	}
	return nil // where deliveries end and begin in one instant the room is a guess
}

func (m *mortal) enter(label string) bool {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	if m.busy[label] >= places {
		return false
	}
	m.busy[label]++
	return true
}

func (m *mortal) leave(label string) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	m.busy[label]--
}

func (m *mortal) Room(label string) transport.Room {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	m.asked[label]++
	if until := m.until[label]; time.Now().Before(until) {
		return transport.Room{Until: until, Reply: transport.Replyf(451, "4.4.1", "delivery temporarily suspended: nobody is there")}
	}
	return transport.Room{Free: places - m.busy[label]}
}

func (m *mortal) Revive(label string) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	delete(m.until, label)
}

// kill has the destinations of labels dead for a while.
func (m *mortal) kill(d time.Duration, labels ...string) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	for _, label := range labels {
		m.until[label] = time.Now().Add(d)
	}
}

// calls is how often the transport was asked for room for a label.
func (m *mortal) calls(label string) int {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.asked[label]
}

// runMortal starts delivering to destinations that may die.
func (l *lab) runMortal(d time.Duration, labels ...string) *mortal {
	m := &mortal{l: l, until: map[string]time.Time{}, asked: map[string]int{}, busy: map[string]int{}}
	m.kill(d, labels...)
	ctx, cancel := context.WithCancel(l.Context())
	l.cancel, l.ended = cancel, make(chan error, 1)
	go func() { l.ended <- l.q.Run(ctx, m) }()
	return m
}

// notUntilRoom has other mail flow all the time beside a dead destination.
func notUntilRoom(l *lab) {
	l.send("a@one.test")
	m := l.runMortal(10*time.Minute, "/one.test")
	for range 100 {
		l.send("b@two.test", "c@three.test")
		l.sleep(time.Second)
	}
	l.send("d@one.test")
	l.sleep(5 * time.Minute)
	if m.calls("/one.test") > 2 { // for each of its messages
		l.Errorf("asked %d times", m.calls("/one.test"))
	}
	const reason = "451 4.4.1 delivery temporarily suspended: nobody is there"
	for _, e := range l.entries(queue.Match{All: true}) {
		if r := e.Recipients[0]; r.Reason != reason || !r.Parked.Equal(l.start.Add(10*time.Minute)) || r.Attempts != 0 {
			l.Errorf("a recipient is %+v", r)
		}
	}
	s, err := l.q.Stats(l.Context())
	if err != nil || len(s.Lanes) != 1 || s.Lanes[0].Reason != reason || !s.Lanes[0].Parked.Equal(l.start.Add(10*time.Minute)) {
		l.Errorf("lanes %+v, error %v", s.Lanes, err)
	}
	l.sleep(5 * time.Minute)
	for _, n := range l.seen()[200:] {
		if n.After != 10*time.Minute {
			l.Errorf("a delivery after %v", n.After)
		}
	}
	l.empty()
}

func shortPause(l *lab) {
	l.send("a@one.test")
	m := l.runMortal(300*time.Millisecond, "/one.test")
	l.sleep(200 * time.Millisecond)
	for range 20 {
		l.send("b@two.test")
	}
	l.sleep(10 * time.Millisecond)
	if r := l.entries(queue.Match{Domain: "one.test"})[0].Recipients[0]; !r.Parked.IsZero() || m.calls("/one.test") != 1 {
		l.Errorf("asked %d times, recipient %+v", m.calls("/one.test"), r)
	}
	l.sleep(time.Second)
	if n := l.seen()[20]; n.After.Round(time.Millisecond) != 300*time.Millisecond {
		l.Errorf("delivered after %v", n.After)
	}
	l.empty()
}

// handedBack has a destination die with deliveries claimed for it, after ten that
// went well.
func handedBack(l *lab) {
	for i := range 40 {
		l.send(fmt.Sprintf("u%d@one.test", i))
	}
	answer := make(chan struct{})
	l.answer(func(d *transport.Delivery) transport.Report {
		time.Sleep(time.Second)
		if len(l.seen()) <= 10 {
			return d.All(ok)
		}
		<-answer
		return d.All(greylist)
	})
	m := l.runMortal(0)
	l.sleep(10 * time.Second)
	claimed := len(l.entries(queue.Match{State: queue.InState(queue.Active)}))
	m.kill(time.Hour, "/one.test")
	close(answer)
	l.sleep(time.Minute)
	tried, untried := 0, 0
	for _, e := range l.entries(queue.Match{All: true}) {
		r := e.Recipients[0]
		if r.State != queue.Waiting || r.Reason == "" {
			l.Errorf("a recipient is %+v", r)
		}
		if r.Attempts > 0 {
			tried++
		} else {
			untried++
		}
	}
	if sent := len(l.seen()); claimed <= 5 || tried > 5 || untried != 40-sent {
		l.Errorf("%d were claimed, %d delivered to, %d tried in vain, %d not tried", claimed, sent, tried, untried)
	}
	l.answer(always(ok))
	l.sleep(2 * time.Hour)
	l.empty()
}

// staysDead begins a second Run, whose transport knows nothing.
func staysDead(l *lab) {
	l.send("a@one.test")
	l.runMortal(10*time.Minute, "/one.test")
	l.sleep(time.Minute)
	l.stop()
	m := l.runMortal(0)
	l.send("b@one.test")
	l.sleep(8 * time.Minute)
	if m.calls("/one.test") > 1 || len(l.seen()) != 0 { // once for the message, if Run had begun
		l.Errorf("asked %d times, %d deliveries", m.calls("/one.test"), len(l.seen()))
	}
	l.sleep(time.Minute + time.Second)
	l.empty()
}

// revived retries one of two dead destinations.
func revived(l *lab) {
	l.send("a@one.test")
	l.send("b@two.test")
	m := l.runMortal(10*time.Minute, "/one.test", "/two.test")
	l.sleep(time.Minute)
	l.count(1)(l.q.Retry(l.Context(), queue.Match{Domain: "one.test"}))
	l.sleep(time.Second)
	if r := l.only().Recipients[0]; r.Address != "b@two.test" || r.Reason == "" {
		l.Errorf("left is %+v", r)
	}
	m.kill(5*time.Minute, "/one.test")
	l.send("c@one.test")
	l.sleep(time.Minute)
	if n := len(l.entries(queue.Match{All: true})); n != 2 {
		l.Errorf("%d messages wait: revived more than once", n)
	}
	l.sleep(time.Hour)
	l.empty()
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
