package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatIsLeftForLaterHasLimits(t *testing.T) {
	for _, c := range []struct {
		name                string
		message, size, left int64
		want                bool
	}{
		{"old and small", 1, 100, 0, true},
		{"as old as need be", 6000 - leftoverAge, 100, 0, true},
		{"younger", 6000 - leftoverAge + 1, 100, 0, false},
		{"as large as may be", 1, leftoverSize, 0, true},
		{"larger", 1, leftoverSize + 1, 0, false},
		{"hardly room for it", 1, 100, leftoverMost - 1, true},
		{"no room", 1, 100, leftoverMost, false},
	} {
		var l leftovers
		l.newest.Store(6000)
		l.octets.Store(c.left)
		if got := l.takes(&attempt{message: c.message, size: c.size}); got != c.want {
			t.Errorf("%s: left %v, want %v", c.name, got, c.want)
		}
	}
}

// TestWhatIsLeftIsGatheredUntilItIsMuch has more come each second.
func TestWhatIsLeftIsGatheredUntilItIsMuch(t *testing.T) {
	for left, want := range map[int64]time.Duration{
		0:                      clearLatest,
		leftoverMost/2 - 31:    32 * time.Second,
		leftoverMost / 2:       0,
		leftoverMost/2 - 1<<20: clearLatest,
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l := leftovers{some: make(chan struct{}, 1)}
			l.octets.Store(left)
			signal(l.some)
			go func() {
				for pause(ctx, time.Second) == nil {
					l.octets.Add(1)
				}
			}()
			begun := time.Now()
			if !l.gather(ctx) || time.Since(begun) != want {
				t.Errorf("%d octets at first: gathered for %v, want %v", left, time.Since(begun), want)
			}
		})
	}
}
