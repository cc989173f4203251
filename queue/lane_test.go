package queue

import (
	"testing"
	"time"
)

// TestALaneLearnsItsLimit has deliveries begun long ago, which the transport has
// counted, and some begun just now, of which that is not known.
func TestALaneLearnsItsLimit(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name                   string
		limit, busy, justBegun int
		room                   int
		want                   int
	}{
		{"idle: what the transport says", 5, 0, 0, 3, 3},
		{"idle and no room", 5, 0, 0, 0, 0},
		{"less than none is none", 5, 0, 0, -2, 0},
		{"never more than the queue's own limit", 5, 0, 0, 100, 20},
		{"the only one may not be counted yet", 1, 1, 1, 1, 1},
		{"the only one is counted, and there is more", 1, 1, 0, 1, 2},
		{"a window that grew", 5, 4, 1, 16, 19},
		{"a window that shrank", 20, 10, 0, 0, 10},
		{"others took the room", 20, 10, 10, 2, 12},
		{"as known", 20, 19, 5, 1, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &lane{limit: c.limit, busy: c.busy, doubt: c.busy}
			for i := range c.busy {
				at := now.Add(-time.Minute)
				if i >= c.busy-c.justBegun {
					at = now
				}
				l.begun = append(l.begun, at)
			}
			l.learn(now, c.room, 20)
			if l.limit != c.want {
				t.Errorf("limit %d, want %d", l.limit, c.want)
			}
		})
	}
}
