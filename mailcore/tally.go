package mailcore

import (
	"maps"
	"slices"
	"time"
)

// maxTallied bounds how many keys a tally holds.
const maxTallied = 1 << 16

// A tally counts events by key and forgets them one at a time, each after its
// cost. Of a key it keeps the instant at which all are forgotten. It is not safe
// for concurrent use.
type tally[K comparable] map[K]time.Time

// count is how many events of a key are remembered at now, where each is
// forgotten after cost.
func (t tally[K]) count(key K, cost time.Duration, now time.Time) int {
	debt := t[key].Sub(now)
	if debt <= 0 {
		return 0
	}
	return int((debt + cost - 1) / cost)
}

// add counts an event.
func (t tally[K]) add(key K, cost time.Duration, now time.Time) {
	clear, known := t[key]
	if !known && len(t) >= maxTallied {
		t.shrink(now)
	}
	if clear.Before(now) {
		clear = now
	}
	t[key] = clear.Add(cost)
}

// takeOut forgets an event of a key, if any is remembered.
func (t tally[K]) takeOut(key K, cost time.Duration) {
	if clear, known := t[key]; known {
		t[key] = clear.Add(-cost)
	}
}

// shrink drops what is forgotten and, if that is too little, the quarter that
// would be forgotten first: whoever fills the table with new keys does not drive
// out the old offenders.
func (t tally[K]) shrink(now time.Time) {
	maps.DeleteFunc(t, func(_ K, clear time.Time) bool { return !clear.After(now) })
	if len(t) <= maxTallied*3/4 {
		return
	}
	byTime := slices.SortedFunc(maps.Values(t), time.Time.Compare)
	last := byTime[len(byTime)/4]
	excess := len(t) / 4
	maps.DeleteFunc(t, func(_ K, clear time.Time) bool {
		drop := excess > 0 && !clear.After(last)
		if drop {
			excess--
		}
		return drop
	})
}
