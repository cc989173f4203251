package transport

import "testing"

func TestLanesThatAreEmptyTakeNoMemory(t *testing.T) {
	var l lanes
	var leave []func()
	for _, key := range []string{"a", "a", "b"} {
		release, ok := l.admit(key, load{key: key}, 2)
		if !ok {
			t.Fatalf("%s is full", key)
		}
		leave = append(leave, release)
	}
	if len(l.busy) != 2 {
		t.Errorf("%d lanes are busy, want 2", len(l.busy))
	}
	for _, release := range leave {
		release()
	}
	if len(l.busy) != 0 {
		t.Errorf("%d lanes are left of none", len(l.busy))
	}
}
