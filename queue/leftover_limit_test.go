package queue

import "testing"

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
