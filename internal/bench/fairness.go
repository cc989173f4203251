package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A contest is a queue with two long lanes: one that is a single site's, and one
// that ten sites share. The transport takes a few milliseconds and always
// succeeds in the lane that is open; in the other it waits.
type contest struct {
	q     *queue.Queue
	lanes [2]begun
	open  atomic.Pointer[begun]
}

// begun watches the deliveries of a lane.
type begun struct {
	n     atomic.Int64
	size  int64      // messages there were at first
	probe chan int64 // the number of a probe's
}

const (
	contestSites = 10
	probeSite    = "probe"
	deliveryTime = 5 * time.Millisecond
)

// contest fills the queue, or returns the one filled before.
func (b *bench) contest(ctx context.Context, w workload) (*contest, error) {
	return keep(b, fmt.Sprintf("contest%d", w.Messages), func() (*contest, error) {
		q, err := queue.Open(ctx, filepath.Join(b.dir, fmt.Sprintf("contest%d", w.Messages), "queue.db"), queue.Options{
			Label: (&transport.Planner{}).Label,
		})
		if err != nil {
			return nil, err
		}
		err = enqueue(ctx, q, w.Messages, w.Size, func(i int) letter {
			if i%10 == 0 {
				return letter{site: fmt.Sprintf("s%d", i/10%contestSites), to: fmt.Sprintf("u%d@%s", i, domain(1))}
			}
			return letter{site: "big", to: fmt.Sprintf("u%d@%s", i, domain(0))}
		})
		if err != nil {
			return nil, errors.Join(err, q.Close())
		}
		c := &contest{q: q}
		tenth := int64(w.Messages / 10)
		for i, size := range []int64{int64(w.Messages) - tenth, tenth} {
			c.lanes[i].size, c.lanes[i].probe = size, make(chan int64, 1)
		}
		return c, nil
	})
}

func (c *contest) Close() error { return c.q.Close() }

// deliver is the transport.
func (c *contest) deliver(ctx context.Context, d *transport.Delivery) transport.Report {
	to := d.Envelope.Recipients[0].Address
	lane := &c.lanes[0]
	if strings.HasSuffix(to, "@"+domain(1)) {
		lane = &c.lanes[1]
	}
	if lane != c.open.Load() {
		<-ctx.Done()
		return d.All(transport.Outcome{})
	}
	n := lane.n.Add(1)
	if d.Origin.Site == probeSite {
		lane.probe <- n
	}
	time.Sleep(deliveryTime/2 + rand.N(deliveryTime)) // not all at once: those have no order
	return d.All(transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "Ok")})
}

// contend has a site with nothing in the queue send one message after another
// into a lane, and counts how many deliveries of the lane begin from the moment
// that a message is stored until its own has, which is counted too.
func contend(lane int) func(context.Context, *bench, workload) (figures, error) {
	return func(ctx context.Context, b *bench, w workload) (figures, error) {
		c, err := b.contest(ctx, w)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, w.timeout)
		defer cancel()
		c.open.Store(&c.lanes[lane])
		x := &transport.Dispatcher{Transports: map[string]transport.Transport{"smtp": transport.Func(c.deliver)}}
		ended := make(chan error, 1)
		go func() { ended <- c.q.Run(ctx, x) }()
		behind, err := c.probes(ctx, &c.lanes[lane], domain(lane), min(max(w.Messages/10_000, 3), 100))
		cancel()
		if err = errors.Join(err, <-ended); err != nil {
			return nil, err
		}
		return figures{behind50: spreadOf(behind).Median, behindMax: slices.Max(behind)}, nil
	}
}

// probes sends n messages through a lane that is under way.
func (c *contest) probes(ctx context.Context, l *begun, domain string, n int) ([]float64, error) {
	for start := l.n.Load(); l.n.Load() < start+int64(n); {
		select {
		case <-ctx.Done():
			return nil, errors.New("nothing is delivered")
		case <-time.After(deliveryTime):
		}
	}
	text := content(512)
	var behind []float64
	for range n {
		if err := enqueueOne(ctx, c.q, letter{site: probeSite, to: "probe@" + domain}, text); err != nil {
			return nil, err
		}
		stored := l.n.Load()
		select {
		case own := <-l.probe:
			behind = append(behind, float64(max(1, own-stored)))
		case <-ctx.Done():
			return nil, errors.New("a probe was not delivered")
		}
	}
	if l.n.Load() >= l.size {
		return nil, errors.New("the lane ran dry")
	}
	return behind, nil
}

// fairnessWorkload is P11. The bound is one delivery more than there are sites
// with mail in the lane, the one that waits among them.
func fairnessWorkload() workload {
	const one, ten = "one site", "ten sites"
	return workload{
		Name: "P11", Text: "a site's single message in a lane with nine tenths of the queue, all of one site; in a lane with a tenth, of ten sites",
		Messages: 1_000_000, Size: 512, Rounds: 3,
		goals: []goal{
			{figure: behindMax, of: one, value: 2 + 1},
			{figure: behindMax, of: ten, value: contestSites + 1 + 1},
		},
		cases: []scenario{{one, contend(0)}, {ten, contend(1)}},
	}
}
