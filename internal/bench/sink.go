package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// destinations are the sinks of a run and what arrived at them.
type destinations struct {
	sinks   []*interop.Sink
	release chan struct{} // closed to let held connections go

	mu      sync.Mutex
	arrived []int // how often, by message
	missing int
	repeats int
	last    time.Time     // of the last first arrival
	all     chan struct{} // closed when nothing is missing
}

// openDestinations starts as many sinks as the workload has destinations, each
// on an address of its own so that no server takes two for one.
func openDestinations(w workload) (*destinations, error) {
	d := &destinations{
		release: make(chan struct{}),
		arrived: make([]int, w.Messages),
		missing: w.Messages,
		all:     make(chan struct{}),
	}
	for i := range w.Destinations {
		s := &interop.Sink{
			Addr:     fmt.Sprintf("127.1.%d.%d:0", i/250, i%250+1),
			Forget:   true,
			Discard:  true,
			Received: func(m interop.Message) { d.received(m, w.Size) },
		}
		if w.Held {
			s.Answer = func(verb, _ string) string {
				if verb == "" {
					<-d.release
				}
				return ""
			}
		}
		if err := s.Start(); err != nil {
			d.close()
			return nil, err
		}
		d.sinks = append(d.sinks, s)
	}
	return d, nil
}

func (d *destinations) addrs() []string {
	var addrs []string
	for _, s := range d.sinks {
		addrs = append(addrs, s.Addr)
	}
	return addrs
}

func (d *destinations) close() {
	close(d.release)
	for _, s := range d.sinks {
		s.Close()
	}
}

// received notes one arrival. A message that became smaller on its way counts
// as missing.
func (d *destinations) received(m interop.Message, size int) {
	local, _, _ := strings.Cut(m.To()[0], "@")
	n, err := strconv.Atoi(strings.TrimPrefix(local, "u"))
	if err != nil || n < 0 || n >= len(d.arrived) || m.Size < size {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.arrived[n]++
	if d.arrived[n] > 1 {
		d.repeats++
		return
	}
	d.last = time.Now()
	if d.missing--; d.missing == 0 {
		close(d.all)
	}
}

// count returns what is missing and what came again so far, and when the last
// new message came.
func (d *destinations) count() (missing, repeats int, last time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.missing, d.repeats, d.last
}
