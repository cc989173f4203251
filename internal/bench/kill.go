package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// kills is how often the server is killed in one run of P14.
const kills = 10

// killed drains a queue for one destination and kills the server again and
// again meanwhile, at even distances.
func killed(ctx context.Context, b *bench, w workload) (figures, error) {
	dir, err := os.MkdirTemp(b.dir, "killed")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	d, err := openDestinations(w)
	if err != nil {
		return nil, err
	}
	defer d.close()
	s, err := b.stock(ctx, dir, d.addrs(), w.Messages, w.Size, func(i int) letter {
		return letter{to: fmt.Sprintf("u%d@%s", i, domain(0))}
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	// An attempt that a kill interrupted counts as one that failed.
	p := s.server(`queue.backoff_min = "1s"`, `queue.backoff_max = "2s"`)
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	f := figures{}
	for n := range kills {
		err := arrivals(ctx, d, w.Messages*(n+1)/(kills+1))
		if err == nil {
			err = p.Kill()
		}
		for err == nil && !d.quiet() {
			err = pause(ctx)
		}
		if err == nil {
			d.killed()
			err = p.Start(ctx)
		}
		if err != nil {
			return nil, standing(p).end(fmt.Errorf("kill %d: %w", n+1, err))
		}
	}
	d.drained(ctx)
	// Whoever comes twice by a kill is tried again within two seconds.
	select {
	case <-ctx.Done():
	case <-time.After(3 * time.Second):
	}
	d.tally(f)
	return f, standing(p).end(nil)
}

// arrivals waits until n messages have arrived.
func arrivals(ctx context.Context, d *destinations, n int) error {
	for {
		if came, _, _ := d.came(); came >= n {
			return nil
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("waiting for %d arrivals: %w", n, err)
		}
	}
}

// pause waits a moment.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Millisecond):
		return nil
	}
}

// killWorkload is P14.
func killWorkload() workload {
	return workload{
		Name: "P14", Text: fmt.Sprintf("a queue for one destination, drained at concurrency 20, with %d kills", kills),
		Messages: 20_000, Size: 4 * kib, Destinations: 1, Rounds: 3,
		goals: []goal{{figure: twiceMax, value: 64}, {figure: lost, value: 0}},
		cases: []scenario{{ours, killed}},
	}
}
