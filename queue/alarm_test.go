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
