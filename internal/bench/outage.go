package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// An outage is what the sink of a destination sees of a server while it turns
// everybody away, and after.
type outage struct {
	mu      sync.Mutex
	over    bool
	connect []time.Time // tried before it was over
	under   int         // transactions under way
	peak    int         // of under
}

// answer turns connections away while it lasts, and counts transactions after.
func (o *outage) answer(verb, _ string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case verb == "" && !o.over:
		o.connect = append(o.connect, time.Now())
		return "421 4.3.2 Back in a minute"
	case verb == "MAIL":
		o.under++
		o.peak = max(o.peak, o.under)
	case verb == ".":
		o.under--
	}
	return ""
}

// most is how many transactions there were at once.
func (o *outage) most() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.peak
}

// end ends it and returns how many connections there were, and the percentage
// of them in the busiest second.
func (o *outage) end() (connections int, busiest float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	most := 0
	for i, from := range o.connect {
		until, _ := slices.BinarySearchFunc(o.connect[i:], from.Add(time.Second), time.Time.Compare)
		most = max(most, until)
	}
	if len(o.connect) == 0 {
		return 0, 0
	}
	return len(o.connect), 100 * float64(most) / float64(len(o.connect))
}

// afterOutage drains a queue for one destination that turns everybody away for
// some time at first, or for none.
func afterOutage(length, backoff time.Duration) func(context.Context, *bench, workload) (figures, error) {
	return func(ctx context.Context, b *bench, w workload) (figures, error) {
		dir, err := os.MkdirTemp(b.dir, "outage")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		d := &destinations{size: w.Size}
		d.expect(w.Messages)
		o := &outage{}
		sink := &interop.Sink{Addr: "127.1.0.1:0", Forget: true, Discard: true, Received: d.received, Answer: o.answer}
		if err := sink.Start(); err != nil {
			return nil, err
		}
		d.sinks = []*interop.Sink{sink}
		defer d.close()
		s, err := b.stock(ctx, dir, d.addrs(), w.Messages, w.Size, func(i int) letter {
			return letter{to: fmt.Sprintf("u%d@%s", i, domain(0))}
		})
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, w.timeout)
		defer cancel()
		p := s.server(fmt.Sprintf("queue.backoff_min = %q", backoff), fmt.Sprintf("queue.backoff_max = %q", 3*backoff))
		if length == 0 {
			o.end()
		}
		if err := p.Start(ctx); err != nil {
			return nil, err
		}
		f := figures{}
		if length > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(length):
			}
			n, busiest := o.end()
			f[dials], f[burst] = float64(n), busiest
		}
		back := time.Now()
		d.drained(ctx)
		_, first, _ := d.came()
		f[waited], f[endRate], f[peak] = first.Sub(back).Seconds(), d.rate(), float64(o.most())
		d.tally(f)
		return f, standing(p).end(nil)
	}
}

// outageWorkload is G11 in real time. Concurrency has its default limit. The
// share of the busiest second is shown and has no goal: where a dead destination
// costs a handful of connections, each second with one in it has a large share.
func outageWorkload(length time.Duration) workload {
	backoff := length / 6
	const steady, after = "steady", "outage"
	return workload{
		Name: "G11", Text: fmt.Sprintf("a queue for one destination, drained at once and after the destination answered 421 for %v; backoff %v to %v", length, backoff, 3*backoff),
		Messages: 50_000, Size: 4 * kib, Destinations: 1, Rounds: 1, timeout: 5 * time.Minute,
		goals: []goal{
			{figure: endRate, of: after, relative: true, atLeast: true, value: 0.8, to: []string{steady}},
			{figure: peak, of: after, value: 20},
			{figure: lost, of: after, value: 0},
		},
		cases: []scenario{{steady, afterOutage(0, backoff)}, {after, afterOutage(length, backoff)}},
	}
}
