package queue

import (
	"testing"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// TestALaneClaimsItsPartOfMemoryAtOnce asks how much a lane that has so much ready
// may claim, in memory of 3,200 attempts that holds so many lanes.
func TestALaneClaimsItsPartOfMemoryAtOnce(t *testing.T) {
	for _, c := range []struct {
		name              string
		lanes, ready, due int
		budget            int
		want              int
	}{
		{"alone: all that it may have ahead", 1, 0, 0, 3200, 24},
		{"one of 200 has 16", 200, 0, 0, 3200, 16},
		{"and no more while it has a good part of that", 200, 5, 0, 3200, 0},
		{"but then all of it", 200, 4, 0, 3200, 12},
		{"so has one of 50 with 150 that are due", 50, 0, 150, 3200, 16},
		{"one of 3,000 has a few, not one", 3000, 0, 0, 3200, 4},
		{"one of more than are known too", 1, 0, 1 << 31, 3200, 4},
		{"out of the reserve comes one", 1000, 0, 0, 100, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScheduler(openInternal(t), transport.Func(nil))
			for id := range int64(c.lanes) {
				s.lane(id, "/"+time.Duration(id).String())
			}
			l := s.lanes[0]
			l.limit, l.more[1] = 4, true
			for range c.ready {
				l.ready.add(&attempt{class: 1})
			}
			if got := s.share(l, c.budget, c.due); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}
