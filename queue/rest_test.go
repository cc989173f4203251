package queue

import (
	"testing"
	"time"
)

func TestALaneRestsLongerWhileItHandsBackWhatItGets(t *testing.T) {
	r, now := rests{}, time.Unix(0, 0)
	for i, c := range []struct {
		pass       time.Duration // since the last delivery ended
		handedBack bool
		want       time.Duration
	}{
		{0, true, time.Second},
		{time.Second, true, 2 * time.Second},
		{2 * time.Second, true, 4 * time.Second},
		{time.Second, true, 3 * time.Second}, // begun before the rest
		{time.Minute, true, 8 * time.Second},
		{time.Minute, true, 15 * time.Second},
		{time.Minute, true, 15 * time.Second},
		{time.Minute, false, 0},
		{0, true, time.Second},
	} {
		now = now.Add(c.pass)
		if got := r.after(1, now, c.handedBack, 0); got != c.want {
			t.Errorf("delivery %d: a rest of %v, want %v", i, got, c.want)
		}
	}
	if got := r.after(2, now, true, 0.5); got != time.Second+time.Second/2 {
		t.Errorf("by chance a rest of %v", got)
	}
	if len(r) != 2 {
		t.Errorf("%d lanes remembered of two", len(r))
	}
}

func TestLanesThatRestNoMoreAreForgotten(t *testing.T) {
	r, now := rests{}, time.Unix(0, 0)
	for lane := range int64(10 * restLanes) {
		r.after(lane, now, true, 0)
		now = now.Add(restMax / 100)
	}
	if len(r) > restLanes {
		t.Errorf("%d lanes remembered, few of which rest", len(r))
	}
}
