package transport

import (
	"sync"
	"time"
)

const (
	maxLabels = 4096 // in a generation of them
	maxLanes  = 8192 // in a generation; so are quotas
)

// lanes counts the deliveries under way against their limits, and remembers what
// the destinations are like and what the labels used lately stood for. Its zero
// value is ready for use.
//
// What it remembers is bounded: 4 maxLanes lanes and as many quotas, and what is under
// way. Dead lanes and spent quotas are kept for their time, while there are no more
// than maxLanes of them in a generation; what is forgotten sooner begins anew.
type lanes struct {
	mu        sync.Mutex
	labels    generations[string, bounds]
	windows   generations[load, *window]
	quotas    generations[load, *quota]
	processes map[string]int // deliveries under way by transport
}

// A place is a delivery's share of what is counted.
type place struct {
	lanes  *lanes
	bounds bounds
	window *window // nil: none counts
	quota  *quota  // nil: none counts
}

// admit takes a place if there is room for one more delivery; otherwise it says
// what room there is. Admitted or not, the label stands for these bounds from now
// on. A place must be released once.
func (l *lanes) admit(label string, b bounds, now time.Time) (place, Room) {
	l.lock()
	defer l.mu.Unlock()
	l.labels.put(label, b)
	w, q := l.find(&b, now)
	r := l.within(&b, w, q, now)
	if r.Free < 1 {
		return place{}, r
	}
	p := place{lanes: l, bounds: b}
	if b.windowed() {
		p.window = w
		w.busy++
		l.windows.put(b.lane, w)
	}
	if b.metered() {
		p.quota = q
		q.begin(&b, now)
		l.quotas.put(b.quota, q)
	}
	if b.processes > 0 {
		l.processes[b.quota.transport]++
	}
	return p, r
}

// release gives a place back and takes in what the delivery has found.
func (p *place) release(found finding, reason Reply, now time.Time) {
	l, b := p.lanes, &p.bounds
	l.lock()
	defer l.mu.Unlock()
	if w := p.window; w != nil {
		w.refresh(b, now)
		w.learn(b, found, reason, now)
		if w.busy--; w.busy == 0 {
			w.idle = now
		}
	}
	if p.quota != nil {
		p.quota.end(b, now)
	}
	if b.processes > 0 {
		if l.processes[b.quota.transport]--; l.processes[b.quota.transport] == 0 {
			delete(l.processes, b.quota.transport)
		}
	}
}

// room is what the lane of a label admits. guess says what a label stands for that
// was not seen lately.
func (l *lanes) room(label string, guess func(label string) bounds, now time.Time) Room {
	b, known := l.known(label)
	if !known {
		b = guess(label) // a stranger's code: without the lock
	}
	l.lock()
	defer l.mu.Unlock()
	w, q := l.find(&b, now)
	return l.within(&b, w, q, now)
}

// revive makes the destination of a label alive, as if nothing were known of it.
func (l *lanes) revive(label string, guess func(label string) bounds) {
	b, known := l.known(label)
	if !known {
		b = guess(label)
	}
	l.lock()
	defer l.mu.Unlock()
	if w, ok := l.windows.get(b.lane); ok && b.windowed() && w.dead {
		*w = window{busy: w.busy, size: b.initial, idle: w.idle}
	}
}

func (l *lanes) known(label string) (bounds, bool) {
	l.lock()
	defer l.mu.Unlock()
	return l.labels.get(label)
}

// find returns what counts within the bounds, new if nothing is known of it. The
// lock is held.
func (l *lanes) find(b *bounds, now time.Time) (w *window, q *quota) {
	if b.windowed() {
		var ok bool
		if w, ok = l.windows.get(b.lane); !ok {
			w = &window{size: b.initial, idle: now}
		}
		w.refresh(b, now)
	}
	if b.metered() {
		var ok bool
		if q, ok = l.quotas.get(b.quota); !ok {
			q = &quota{}
		}
	}
	return w, q
}

// within is the room that all bounds leave. The lock is held.
func (l *lanes) within(b *bounds, w *window, q *quota, now time.Time) Room {
	r := Room{Free: everything}
	if b.windowed() {
		r = r.within(w.room().of(b.window))
	}
	if b.metered() {
		r = r.within(q.room(b, now).of(b.total))
	}
	if b.processes > 0 {
		r = r.within(Room{Free: b.processes - l.processes[b.quota.transport], Limiter: b.quota.transport})
	}
	return r
}

// lock locks. The first time it sets how much is remembered.
func (l *lanes) lock() {
	l.mu.Lock()
	if l.processes != nil {
		return
	}
	l.processes = make(map[string]int)
	l.labels.size, l.windows.size, l.quotas.size = maxLabels, maxLanes, maxLanes
	l.windows.keep = func(w *window, kept int) bool {
		return w.busy > 0 || kept < maxLanes && w.lasts(time.Now())
	}
	l.quotas.keep = func(q *quota, kept int) bool {
		return q.busy > 0 || kept < maxLanes && q.lasts(time.Now())
	}
}
