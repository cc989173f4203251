package transport

import (
	"strings"
	"sync"
)

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

// room is how many more deliveries the lane of a label admits. guess is what a
// label stands for that was not seen lately.
func (l *lanes) room(label string, guess laneLimit) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.young[label]
	if !ok {
		at, ok = l.old[label]
		if ok {
			l.remember(label, at)
		} else {
			at = guess
		}
	}
	if at.limit == 0 {
		return guess.limit
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

// guess tells what a label most likely stands for: the lane of its source to the
// destination of its next hop, with the planner's own limit.
func (p *Planner) guess(label string) laneLimit {
	at := laneLimit{load{key: label}, p.limit()}
	source, nexthop, _ := strings.Cut(label, "/")
	if p.Destination != nil {
		if key := p.Destination(nexthop); key != "" {
			at.load.key = source + "/" + key
		}
	}
	return at
}
