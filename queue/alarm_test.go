package queue

import (
	"testing"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// TestWorkThatBecomesDueWhileMemoryIsFullDoesNotSpin has the schedule say that
// there is work when nothing more can be taken from it.
func TestWorkThatBecomesDueWhileMemoryIsFullDoesNotSpin(t *testing.T) {
	q := openInternal(t)
	s := newScheduler(q, transport.Func(nil))
	s.claimed = claimFactor * q.o.Load().Workers
	s.stale, s.next = false, micros(time.Now())
	if wants, _, _ := s.wants(t.Context()); len(wants) > 0 {
		t.Errorf("wants %+v", wants)
	}
	if wait := s.alarm() - micros(time.Now()); wait < (untriedPause/2).Microseconds() || !s.stale {
		t.Errorf("looks again in %d microseconds, and it is %t that it will read then", wait, s.stale)
	}
}

// TestALaneThatIsNotAskedDoesNotSpin has a lane in line that is as full as the
// transport once said, and no worker that could begin anything.
func TestALaneThatIsNotAskedDoesNotSpin(t *testing.T) {
	q := openInternal(t)
	s := newScheduler(q, transport.Func(nil))
	s.admit, s.stale = roomy{}, false
	for id := range int64(2) { // one alone is in no line
		l := &lane{id: id, limit: 1, busy: 1, latest: time.Now().Add(-time.Hour)}
		l.line.shares = true
		l.ready.add(&attempt{})
		s.lanes[id] = l
	}
	for running, spins := range map[int]bool{q.o.Load().Workers: false, 0: true} {
		s.running = running
		asked := len(s.toAsk(time.Now(), false, maxAsked)) > 0
		if now := s.alarm() <= micros(time.Now()); now != spins || asked != spins {
			t.Errorf("with %d workers busy: it looks at once: %t, lanes are asked: %t", running, now, asked)
		}
	}
}

type roomy struct{}

func (roomy) Room(string) transport.Room { return transport.Room{Free: 1} }
