package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// A bench holds what is common to all runs. It is for one goroutine.
type bench struct {
	dir        string // below it each run has its own directory
	pipelining bool

	binary string // the example server, once it is needed
	shelf  shelf  // what is prepared once for several runs
}

// program is the example server, built when it is first asked for.
func (b *bench) program(ctx context.Context) (_ string, err error) {
	if b.binary == "" {
		b.binary, err = interop.BuildStandalone(ctx, b.dir)
	}
	return b.binary, err
}

// scenario is what happens to a target in each round.
func (t target) scenario() scenario {
	return scenario{name: t.name, run: func(ctx context.Context, b *bench, w workload) (figures, error) {
		return b.run(ctx, t, w)
	}}
}

// run starts a target afresh, gives it the workload once, and stops it.
func (b *bench) run(ctx context.Context, t target, w workload) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
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
		return nil, fmt.Errorf("starting: %w", err)
	}
	f, err := b.measure(ctx, server, d, w)
	return f, server.end(err)
}

// end stops the server. To the error of a measurement it adds what the server
// has to say.
func (r running) end(err error) error {
	if err != nil {
		err = fmt.Errorf("%w\nend of the server's log: %s", err, tail(r.log(), 2000))
	}
	if serr := r.stop(); err == nil && serr != nil {
		err = fmt.Errorf("stopping: %w", serr)
	}
	return err
}

// measure submits the workload, waits for its arrival, and reads the meters.
func (b *bench) measure(ctx context.Context, server running, d *destinations, w workload) (figures, error) {
	l := load{workload: w, pipelining: b.pipelining}
	defer l.disconnect()
	if err := l.connect(ctx, server.addr); err != nil {
		return nil, err
	}
	m, err := openMeter(server.pids, often(w))
	if err != nil {
		return nil, err
	}
	start := time.Now()
	took, err := l.send()
	f := figures{acceptRate: float64(w.Messages) / took.Seconds()}
	if err == nil && !w.Held {
		arrival(ctx, d, start, f)
	}
	m.close(w.Messages, f)
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
	d.drained(ctx)
	if n, _, last := d.came(); n > 0 {
		f[endRate] = float64(n) / last.Sub(start).Seconds()
	}
	d.tally(f)
}

// A meter watches the processes of a server.
type meter struct {
	pids   []int
	before interop.Usage
	stop   chan struct{}
	done   sync.WaitGroup
	peak   interop.Usage
}

// often is how often a meter looks at memory: where a second is most of a run,
// more than once in it.
func often(w workload) time.Duration {
	if w.Messages < 100 {
		return 50 * time.Millisecond
	}
	return time.Second
}

// openMeter notes what the processes have used so far and begins to look at
// their memory.
func openMeter(pids []int, every time.Duration) (*meter, error) {
	m := &meter{pids: pids, stop: make(chan struct{})}
	if len(pids) == 0 {
		return m, nil
	}
	var err error
	if m.before, err = m.read(); err != nil {
		return nil, err
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

// read is what all processes together use now.
func (m *meter) read() (all interop.Usage, err error) {
	for _, pid := range m.pids {
		u, err := interop.MeasureTree(pid)
		if err != nil {
			return all, err
		}
		all.CPU, all.PSS, all.RSS = all.CPU+u.CPU, all.PSS+u.PSS, all.RSS+u.RSS
	}
	return all, nil
}

// look notes the memory in use.
func (m *meter) look() interop.Usage {
	u, err := m.read()
	if err != nil {
		return m.peak
	}
	m.peak.PSS, m.peak.RSS = max(m.peak.PSS, u.PSS), max(m.peak.RSS, u.RSS)
	return u
}

// close lets the server finish its book-keeping and adds what was used for a
// number of messages.
func (m *meter) close(messages int, f figures) {
	if len(m.pids) == 0 {
		return
	}
	time.Sleep(300 * time.Millisecond)
	close(m.stop)
	m.done.Wait()
	u := m.look()
	f[cpu] = (u.CPU - m.before.CPU).Seconds() * 1000 / float64(messages)
	f[pss] = float64(m.peak.PSS) / (1 << 20)
	f[rss] = float64(m.peak.RSS) / (1 << 20)
}

// tail is the end of a text.
func tail(s string, n int) string {
	return s[max(0, len(s)-n):]
}
