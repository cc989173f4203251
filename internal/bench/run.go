package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// A bench holds what is common to all runs.
type bench struct {
	dir        string        // below it each run has its own directory
	timeout    time.Duration // for one run
	pipelining bool
}

// run starts a target afresh, gives it the workload once, and stops it.
func (b *bench) run(ctx context.Context, t target, w workload) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, t.name)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	d, err := openDestinations(w)
	if err != nil {
		return nil, err
	}
	defer d.close()
	server, err := t.start(ctx, scene{dir: dir, nextHops: d.addrs(), size: w.Size, held: w.Held})
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", t.name, err)
	}
	f, err := b.measure(ctx, server, d, w)
	if err != nil {
		err = fmt.Errorf("%s, %s: %w\nend of its log: %s", t.name, w.Name, err, tail(server.log(), 2000))
	}
	if serr := server.stop(); err == nil && serr != nil {
		err = fmt.Errorf("stopping %s: %w", t.name, serr)
	}
	return f, err
}

// measure submits the workload, waits for its arrival, and reads the meters.
func (b *bench) measure(ctx context.Context, server running, d *destinations, w workload) (figures, error) {
	l := load{workload: w, pipelining: b.pipelining}
	defer l.disconnect()
	if err := l.connect(ctx, server.addr); err != nil {
		return nil, err
	}
	m, err := openMeter(server.pid, w)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	took, err := l.send()
	f := figures{acceptRate: float64(w.Messages) / took.Seconds()}
	if err == nil && !w.Held {
		arrival(ctx, d, start, f)
	}
	m.close(w, f)
	var all []time.Duration
	for _, s := range l.latencies {
		all = append(all, s...)
	}
	f[latency50], f[latency99] = quantile(all, 0.5), quantile(all, 0.99)
	return f, err
}

// arrival waits until every message is at its destination, or until time is up
// and the rest counts as lost.
func arrival(ctx context.Context, d *destinations, start time.Time, f figures) {
	select {
	case <-d.all:
	case <-ctx.Done():
	}
	missing, repeats, last := d.count()
	if n := len(d.arrived) - missing; n > 0 {
		f[endRate] = float64(n) / last.Sub(start).Seconds()
	}
	f[lost], f[twice] = float64(missing), float64(repeats)
}

// A meter watches the processes of a server.
type meter struct {
	pid    int
	before interop.Usage
	stop   chan struct{}
	done   sync.WaitGroup
	peak   interop.Usage
}

// openMeter notes what the processes have used so far and begins to look at
// their memory: often where little mail makes that cheap, else once a second.
func openMeter(pid int, w workload) (*meter, error) {
	m := &meter{pid: pid, stop: make(chan struct{})}
	if pid == 0 {
		return m, nil
	}
	var err error
	if m.before, err = interop.MeasureTree(pid); err != nil {
		return nil, err
	}
	every := time.Second
	if w.Messages < 100 {
		every = 50 * time.Millisecond
	}
	m.done.Go(func() {
		for {
			select {
			case <-m.stop:
				return
			case <-time.After(every):
				m.look()
			}
		}
	})
	return m, nil
}

// look notes the memory in use.
func (m *meter) look() interop.Usage {
	u, err := interop.MeasureTree(m.pid)
	if err != nil {
		return m.peak
	}
	m.peak.PSS, m.peak.RSS = max(m.peak.PSS, u.PSS), max(m.peak.RSS, u.RSS)
	return u
}

// close lets the server finish its book-keeping and adds what was used.
func (m *meter) close(w workload, f figures) {
	if m.pid == 0 {
		return
	}
	time.Sleep(300 * time.Millisecond)
	close(m.stop)
	m.done.Wait()
	u := m.look()
	f[cpu] = (u.CPU - m.before.CPU).Seconds() * 1000 / float64(w.Messages)
	f[pss] = float64(m.peak.PSS) / (1 << 20)
	f[rss] = float64(m.peak.RSS) / (1 << 20)
}

// tail is the end of a text.
func tail(s string, n int) string {
	return s[max(0, len(s)-n):]
}
