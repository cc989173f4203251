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
		{time.Minute, true, 16 * time.Second},
		{time.Minute, true, 30 * time.Second},
		{time.Minute, true, 30 * time.Second},
		{time.Minute, false, 0},
		{0, true, time.Second},
	} {
		now = now.Add(c.pass)
		if got := r.after(1, now, c.handedBack); got != c.want {
			t.Errorf("delivery %d: a rest of %v, want %v", i, got, c.want)
		}
	}
	if len(r) != 1 {
		t.Errorf("%d lanes remembered of one", len(r))
	}
}

func TestLanesThatRestNoMoreAreForgotten(t *testing.T) {
	r, now := rests{}, time.Unix(0, 0)
	for lane := range int64(10 * restLanes) {
		r.after(lane, now, true)
		now = now.Add(restMax / 100)
	}
	if len(r) > restLanes {
		t.Errorf("%d lanes remembered, few of which rest", len(r))
	}
}
