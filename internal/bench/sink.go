package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// destinations are the sinks of a run and what arrived at them.
type destinations struct {
	sinks []*interop.Sink
	size  int                  // octets of content that a message must have at least
	note  func(recipients int) // told of each arrival, if set
	proof string               // what each message has to contain, if set

	mu      sync.Mutex
	release chan struct{} // not nil: new connections wait until it is closed
	arrived []int         // how often, by message
	seen    []int         // by message, how many kills there were at its last arrival
	repeats []int         // by the kill before which the message had arrived, from 0 before the first
	missing int
	first   time.Time     // arrival of all
	last    time.Time     // of the last first arrival
	all     chan struct{} // closed when nothing is missing
}

// openDestinations starts as many sinks as the workload has destinations, each
// on an address of its own so that no server takes two for one.
func openDestinations(w workload) (*destinations, error) {
	d := &destinations{size: w.Size, note: w.arrived}
	d.expect(w.Messages)
	if w.Signed {
		d.proof = "\r\nDKIM-Signature: "
	}
	if w.Held {
		d.hold()
	}
	for i := range w.Destinations {
		s := &interop.Sink{
			Addr:     fmt.Sprintf("127.1.%d.%d:0", i/250, i%250+1),
			Forget:   true,
			Discard:  !w.Signed,
			Received: d.received,
			Answer:   d.greet,
		}
		if err := s.Start(); err != nil {
			d.close()
			return nil, err
		}
		d.sinks = append(d.sinks, s)
	}
	return d, nil
}

// expect forgets what has arrived, and waits for messages 0 to n-1.
func (d *destinations) expect(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.arrived, d.seen, d.repeats = make([]int, n), make([]int, n), []int{0}
	d.missing, d.first, d.last = n, time.Time{}, time.Time{}
	d.all = make(chan struct{})
}

// hold has connections wait for their greeting until letGo.
func (d *destinations) hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.release = make(chan struct{})
}

func (d *destinations) letGo() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.release != nil {
		close(d.release)
		d.release = nil
	}
}

// greet is where connections wait.
func (d *destinations) greet(verb, _ string) string {
	if verb != "" {
		return ""
	}
	d.mu.Lock()
	release := d.release
	d.mu.Unlock()
	if release != nil {
		<-release
	}
	return ""
}

func (d *destinations) addrs() []string {
	var addrs []string
	for _, s := range d.sinks {
		addrs = append(addrs, s.Addr)
	}
	return addrs
}

func (d *destinations) close() {
	d.letGo()
	for _, s := range d.sinks {
		s.Close()
	}
}

// quiet reports whether no connection is open.
func (d *destinations) quiet() bool {
	for _, s := range d.sinks {
		if !s.Quiet() {
			return false
		}
	}
	return true
}

// received notes one arrival. A message that became smaller on its way, or does not
// contain what it has to, counts as missing.
func (d *destinations) received(m interop.Message) {
	local, _, _ := strings.Cut(m.To()[0], "@")
	n, err := strconv.Atoi(strings.TrimPrefix(local, "u"))
	if d.note != nil {
		d.note(len(m.Rcpt))
	}
	whole := m.Size >= d.size && d.proven(m.Raw)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil || n < 0 || n >= len(d.arrived) || !whole {
		return
	}
	d.arrived[n]++
	before := d.seen[n]
	d.seen[n] = len(d.repeats) - 1
	if d.arrived[n] > 1 {
		d.repeats[before]++
		return
	}
	d.last = time.Now()
	if d.first.IsZero() {
		d.first = d.last
	}
	if d.missing--; d.missing == 0 {
		close(d.all)
	}
}

// proven reports whether a message contains what it has to, as if a line ended before it.
func (d *destinations) proven(raw []byte) bool {
	return bytes.HasPrefix(raw, []byte(strings.TrimPrefix(d.proof, "\r\n"))) || bytes.Contains(raw, []byte(d.proof))
}

// killed notes that the server was killed: what comes again later, and had come
// before, is the kill's.
func (d *destinations) killed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.repeats = append(d.repeats, 0)
}

// came is how many messages have arrived so far, and when the first and the
// last new one came.
func (d *destinations) came() (n int, first, last time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.arrived) - d.missing, d.first, d.last
}

// tally adds what is missing and what came again to the figures.
func (d *destinations) tally(f figures) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := 0
	for _, n := range d.repeats {
		all += n
	}
	f[lost], f[twice] = float64(d.missing), float64(all)
	if kills := len(d.repeats) - 1; kills > 0 {
		f[twiceMax] = float64(slices.Max(d.repeats))
	}
}

// drained waits until every message is here, or until time is up.
func (d *destinations) drained(ctx context.Context) {
	select {
	case <-d.all:
	case <-ctx.Done():
	}
}

// rate is how many messages a second came between the first and the last.
func (d *destinations) rate() float64 {
	n, first, last := d.came()
	if n < 2 {
		return 0
	}
	return float64(n-1) / last.Sub(first).Seconds()
}
