package queuetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var fairCases = []testCase{
	{name: "SlowLanesLeaveAWorkerForAnother", run: slowLanes},
	{name: "SlowLanesOfOneLeaveAWorkerForAnother", options: queue.Options{Concurrency: 1}, run: slowLanesOfOne},
	{name: "DestinationsThatDoNotAnswerNeverHoldAllWorkers", run: blackHoles},
	{name: "LanesBehindAFullDestinationTryLessAndLess", run: oneDestination},
	{name: "LanesThatWereInEachOthersWayDoNotMeetAgain", run: collisions},
	{name: "ASiteThatMailsManyDomainsKeepsNobodyWaiting", run: bulkMail},
}

// slowLanes has more than memory may hold wait in lanes that do not move.
func slowLanes(l *lab) { beside(l, 9, 130) }

func slowLanesOfOne(l *lab) { beside(l, 180, 6) }

// beside has lanes with as many messages each, and deliveries of ten minutes.
// Mail to another lane must not wait for any of them.
func beside(l *lab, lanes, messages int) {
	l.answer(func(d *transport.Delivery) transport.Report {
		if strings.HasPrefix(d.Envelope.Recipients[0].Address, "slow") {
			time.Sleep(10 * time.Minute)
		}
		return d.All(ok)
	})
	for lane := range lanes {
		for range messages {
			l.send(fmt.Sprintf("slow@d%d.test", lane))
		}
	}
	l.run()
	l.sleep(time.Minute)
	id := l.send("bob@far.test")
	l.sleep(time.Second)
	for _, n := range l.seen() {
		if n.ID == id {
			return
		}
	}
	l.Errorf("a message waits for %d slow lanes, %d deliveries under way", lanes, len(l.seen()))
}

// blackHoles has twenty destinations that do not answer, each with more mail than
// it may have deliveries, and one that does.
func blackHoles(l *lab) {
	l.answer(func(d *transport.Delivery) transport.Report {
		if strings.HasPrefix(d.Envelope.Recipients[0].Address, "slow") {
			time.Sleep(10 * time.Minute)
		}
		time.Sleep(100 * time.Millisecond)
		return d.All(ok)
	})
	for i := range 600 {
		l.send(fmt.Sprintf("slow@d%d.test", i%20))
	}
	l.run()
	l.sleep(time.Minute)
	before := len(l.seen())
	for range 200 {
		l.send("bob@far.test")
	}
	l.sleep(6 * time.Second)
	if n := len(l.seen()) - before; n < 200 {
		l.Errorf("%d of 200 were delivered beside destinations that do not answer", n)
	}
}

// bulkMail has a site's mail fill many lanes, and another site send one message.
func bulkMail(l *lab) {
	l.answer(func(d *transport.Delivery) transport.Report {
		time.Sleep(time.Second)
		return d.All(ok)
	})
	const lanes = 100
	for range 30 {
		for lane := range lanes {
			l.send(fmt.Sprintf("u@d%d.test", lane))
		}
	}
	l.run()
	l.sleep(2*time.Second + time.Second/2)
	before := len(l.seen())
	m := message("carol@two.test", "bob@far.test")
	m.Origin.Site = "two"
	id := l.enqueue(m, "x\r\n")
	l.sleep(time.Minute)
	for i, n := range l.seen() {
		if n.ID == id && i-before > 5*lanes {
			l.Errorf("a site's only message waited for %d of another's", i-before)
		}
	}
	l.empty()
}

// oneDestination has a destination with one place behind many labels, and a
// transport that cannot tell that they are one.
func oneDestination(l *lab) {
	busy, calls := false, 0
	l.answer(func(d *transport.Delivery) transport.Report {
		l.mu.Lock()
		calls++
		if busy {
			l.mu.Unlock()
			return nil
		}
		busy = true
		l.mu.Unlock()
		time.Sleep(5 * time.Minute)
		l.mu.Lock()
		busy = false
		l.mu.Unlock()
		return d.All(ok)
	})
	const lanes = 20
	for lane := range lanes {
		l.send(fmt.Sprintf("u@d%d.test", lane))
	}
	l.runWith(func(string) int { return 20 })
	l.sleep(5 * time.Minute)
	l.mu.Lock()
	if most := lanes * (5 + 20); calls > most {
		l.Errorf("%d deliveries were begun in five minutes, want at most %d", calls, most)
	}
	l.mu.Unlock()
	l.sleep(lanes * (5*time.Minute + 10*time.Second))
	l.empty()
}

// collisions has lanes of one fast destination, which tells of its one place, all
// begin at once.
func collisions(l *lab) {
	busy := 0
	l.answer(func(d *transport.Delivery) transport.Report {
		l.mu.Lock()
		if busy > 0 {
			l.mu.Unlock()
			return nil
		}
		busy++
		l.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		l.mu.Lock()
		busy--
		l.mu.Unlock()
		return d.All(ok)
	})
	for i := range 200 {
		l.send(fmt.Sprintf("u@d%d.test", i%10))
	}
	l.runWith(func(string) int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return 1 - busy
	})
	l.sleep(time.Minute)
	l.empty()
}
