package transport

import "sync"

// maxLabels is how many labels a generation of them has.
const maxLabels = 4096

// lanes counts the deliveries under way against their limits, and remembers
// what the labels used lately stood for. Its zero value is ready for use.
type lanes struct {
	mu   sync.Mutex
	busy map[load]int

	// Labels are remembered in two generations. When the young one is full it
	// becomes the old one, and the old one is forgotten.
	young, old map[string]laneLimit
}

// A laneLimit is what a label stands for.
type laneLimit struct {
	load  load
	limit int
}

// admit takes a place in a lane if there is one. release gives it back and must
// be called once. A limit of zero admits everything. Admitted or not, the label
// is known by this lane from now on.
func (l *lanes) admit(label string, what load, limit int) (release func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remember(label, laneLimit{what, limit})
	if limit > 0 && l.busy[what] >= limit {
		return nil, false
	}
	if l.busy == nil {
		l.busy = make(map[load]int)
	}
	l.busy[what]++
	return func() { l.release(what) }, true
}

func (l *lanes) release(what load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[what]--; l.busy[what] == 0 {
		delete(l.busy, what)
	}
}

// room is how many more deliveries the lane of a label admits.
func (l *lanes) room(label string, unknown int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.young[label]
	if !ok {
		if at, ok = l.old[label]; !ok {
			return unknown
		}
		l.remember(label, at)
	}
	if at.limit == 0 {
		return unknown
	}
	return at.limit - l.busy[at.load]
}

// remember puts a label into the young generation.
func (l *lanes) remember(label string, at laneLimit) {
	if _, known := l.young[label]; !known && len(l.young) >= maxLabels {
		l.old, l.young = l.young, nil
	}
	if l.young == nil {
		l.young = make(map[string]laneLimit)
	}
	l.young[label] = at
}
