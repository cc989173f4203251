package crash

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A ledger is the harness's memory. Its methods may be called at once.
type ledger struct {
	mu      sync.Mutex
	kills   int
	acked   map[int]bool
	missing int         // acknowledged and not arrived
	seen    map[int]int // message to number of kills at its last arrival
	altered []int
	repeats []int // by kill
	strange int   // repeats without a kill
	changed chan struct{}
}

func newLedger() *ledger {
	return &ledger{acked: map[int]bool{}, seen: map[int]int{}, changed: make(chan struct{})}
}

// ack notes that the server took responsibility for a message.
func (l *ledger) ack(id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[id] = true
	if _, ok := l.seen[id]; !ok {
		l.missing++
	}
	l.notify()
}

// arrive notes that a message reached the sink.
func (l *ledger) arrive(id int, intact bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !intact {
		l.altered = append(l.altered, id)
		return
	}
	before, again := l.seen[id]
	l.seen[id] = l.kills
	switch {
	case again && before == l.kills:
		l.strange++
	case again:
		l.repeats[before]++ // the first kill after the arrival before
	case l.acked[id]:
		l.missing--
	}
	l.notify()
}

// killed begins a new epoch.
func (l *ledger) killed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kills++
	l.repeats = append(l.repeats, 0)
}

// notify wakes those who wait for a change.
func (l *ledger) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// progress is how much was acknowledged, how much of that has not arrived yet,
// and a channel that is closed when either changes.
func (l *ledger) progress() (acked, missing int, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked), l.missing, l.changed
}

// result closes the books.
func (l *ledger) result() Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Result{
		Kills:   l.kills,
		Acked:   len(l.acked),
		Lost:    l.lost(),
		Altered: l.altered,
		Repeats: l.repeats,
		Strange: l.strange,
	}
}

// lost are the messages acknowledged and not arrived, by number.
func (l *ledger) lost() []int {
	var lost []int
	for id := range l.acked {
		if _, ok := l.seen[id]; !ok {
			lost = append(lost, id)
		}
	}
	slices.Sort(lost)
	return lost
}

// A Result is what the kills did.
type Result struct {
	Seed    uint64 `json:"seed"`
	Kills   int    `json:"kills"`
	Acked   int    `json:"acked"`
	Lost    []int  `json:"lost"`    // messages by number
	Altered []int  `json:"altered"` // likewise; cut short or changed
	Repeats []int  `json:"repeats"` // by kill
	Strange int    `json:"strange"` // repeats without a kill between
	Leased  []int  `json:"leased"`  // deliveries without an outcome on disk, by kill
}

// Problems are all ways in which the server broke its word: anything lost or
// altered, and more repeats than deliveries in flight.
func (r Result) Problems() []string {
	var p []string
	if n := len(r.Lost); n > 0 {
		p = append(p, fmt.Sprintf("%d of %d acknowledged messages lost: %v", n, r.Acked, r.Lost[:min(n, 10)]))
	}
	if n := len(r.Altered); n > 0 {
		p = append(p, fmt.Sprintf("%d messages arrived altered: %v", n, r.Altered[:min(n, 10)]))
	}
	if r.Strange > 0 {
		p = append(p, fmt.Sprintf("%d messages came again without a kill", r.Strange))
	}
	for i, n := range r.Repeats {
		if i < len(r.Leased) && n > r.Leased[i] {
			p = append(p, fmt.Sprintf("kill %d: %d repeats, %d deliveries in flight", i+1, n, r.Leased[i]))
		}
	}
	return p
}

// String is the result on one line.
func (r Result) String() string {
	total := 0
	for _, n := range r.Repeats {
		total += n
	}
	return fmt.Sprintf("seed=%d kills=%d acked=%d lost=%d altered=%d repeats=%d strange=%d repeats_by_kill=%s in_flight_by_kill=%s",
		r.Seed, r.Kills, r.Acked, len(r.Lost), len(r.Altered), total, r.Strange, joined(r.Repeats), joined(r.Leased))
}

func joined(n []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(n), " ", ","), "[]")
}
