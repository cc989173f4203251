package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A carousel is a queue of constant length: for each message that is delivered
// another one is handed in, in the lane whose turn it is.
type carousel struct {
	q       *queue.Queue
	lanes   int
	text    []byte
	next    atomic.Int64  // number of the next message
	credit  chan struct{} // deliveries that may go ahead of the messages in their place
	empty   chan struct{} // places of messages that were delivered
	settled atomic.Int64
}

const (
	// ahead is how much shorter the queue may be meanwhile.
	ahead = 256

	// atOnce is how many deliveries go on in a lane. What is claimed for them
	// leaves most of the mail of a lane waiting, in the short queue too: in both
	// new mail is filed behind a backlog, and what is delivered is claimed from
	// its head.
	atOnce = 4
)

// carousel fills the queue, or returns the one filled before.
func (b *bench) carousel(ctx context.Context, rows, lanes, size int) (*carousel, error) {
	name := fmt.Sprintf("carousel%d-%d", rows, lanes)
	return keep(b, name, func() (_ *carousel, err error) {
		c := &carousel{lanes: lanes, text: content(size), credit: make(chan struct{}, ahead), empty: make(chan struct{}, ahead)}
		for range ahead {
			c.credit <- struct{}{}
		}
		if c.q, err = queue.Open(ctx, filepath.Join(b.dir, name, "queue.db"), queue.Options{Observe: c.observe, Concurrency: atOnce}); err != nil {
			return nil, err
		}
		if err := enqueue(ctx, c.q, rows, size, c.letter); err != nil {
			return nil, errors.Join(err, c.q.Close())
		}
		c.next.Store(int64(rows))
		return c, nil
	})
}

func (c *carousel) Close() error { return c.q.Close() }

func (c *carousel) letter(i int) letter {
	return letter{site: "site", to: fmt.Sprintf("u%d@%s", i, domain(i%c.lanes))}
}

// observe notes what was settled. There are as many places as credits, so it
// does not block.
func (c *carousel) observe(events []queue.Event) {
	for _, e := range events {
		if e.Kind == queue.Delivered {
			c.settled.Add(1)
			c.empty <- struct{}{}
		}
	}
}

// deliver is the transport: it does nothing, as often as it may.
func (c *carousel) deliver(ctx context.Context, d *transport.Delivery) transport.Report {
	select {
	case <-c.credit:
		return d.All(transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "Ok")})
	case <-ctx.Done():
		return d.All(transport.Outcome{})
	}
}

// refill puts messages into empty places until ctx is done.
func (c *carousel) refill(ctx context.Context) error {
	for {
		select {
		case <-c.empty:
		case <-ctx.Done():
			return nil
		}
		if err := enqueueOne(context.WithoutCancel(ctx), c.q, c.letter(int(c.next.Add(1)-1)), c.text); err != nil {
			return err
		}
		c.credit <- struct{}{}
	}
}

// turn measures what n messages cost, after as many that bring the caches into the
// state in which they stay.
func (c *carousel) turn(ctx context.Context, n int) (f figures, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	g.Go(func() error { return c.q.Run(ctx, transport.Func(c.deliver)) })
	for range producers {
		g.Go(func() error {
			defer cancel() // one that fails ends it all
			return c.refill(ctx)
		})
	}
	defer func() {
		cancel()
		err = errors.Join(g.Wait(), err)
	}()
	if err := c.await(ctx, n); err != nil {
		return nil, err
	}
	start, used, before := time.Now(), processTime(), c.settled.Load()
	in, out := transferred()
	if err := c.await(ctx, n); err != nil {
		return nil, err
	}
	messages := float64(c.settled.Load() - before)
	inNow, outNow := transferred()
	f = figures{
		wall:      time.Since(start).Seconds() * 1000 / messages,
		cpu:       (processTime() - used).Seconds() * 1000 / messages,
		readIn:    (inNow - in) / kib / messages,
		writtenTo: (outNow - out) / kib / messages,
	}
	return f, c.backlog(ctx)
}

// backlog is an error if there is a lane in which nobody waits: its mail would have
// been claimed as it was stored.
func (c *carousel) backlog(ctx context.Context) error {
	s, err := c.q.Stats(ctx)
	if err != nil {
		return err
	}
	waits := 0
	for _, l := range s.Lanes {
		if l.Waiting > 0 {
			waits++
		}
	}
	if waits < c.lanes {
		return fmt.Errorf("mail waits in %d lanes of %d", waits, c.lanes)
	}
	return nil
}

// await returns when n more messages are settled.
func (c *carousel) await(ctx context.Context, n int) error {
	for until := c.settled.Load() + int64(n); c.settled.Load() < until; {
		select {
		case <-ctx.Done():
			return errors.New("too slow, or a message was refused")
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// processTime is the processor time that this process has used.
func processTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// transferred is how many octets this process has read and written, from and to
// files or what the kernel remembers of them.
func transferred() (in, out float64) {
	read := func(name string) float64 {
		n, _ := strconv.ParseFloat(field("/proc/self/io", name), 64) // 0 where it is not to be read
		return n
	}
	return read("rchar"), read("wchar")
}

// costs measures a queue of rows messages in a number of lanes; both follow from
// how many the workload has.
func costs(shape func(messages int) (rows, lanes int)) func(context.Context, *bench, workload) (figures, error) {
	return func(ctx context.Context, b *bench, w workload) (figures, error) {
		rows, lanes := shape(w.Messages)
		c, err := b.carousel(ctx, rows, lanes, w.Size)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, w.timeout)
		defer cancel()
		return c.turn(ctx, min(max(w.Messages/50, 200), 20_000))
	}
}

// growthWorkload is P12.
func growthWorkload() workload {
	const small, large = "short", "long"
	return workload{
		Name: "P12", Text: "enqueue behind the backlog of a lane, claim from its head and settle, in a queue of 1,000 messages in 10 lanes and in a long one in 1,000 lanes",
		Messages: 1_000_000, Size: 4 * kib,
		goals: []goal{
			{figure: cpu, of: large, relative: true, value: 1.3, to: []string{small}},
			{figure: wall, of: large, relative: true, value: 1.3, to: []string{small}},
		},
		cases: []scenario{
			{small, costs(func(int) (rows, lanes int) { return 1000, 10 })},
			{large, costs(func(messages int) (rows, lanes int) { return messages, min(max(messages/100, 10), 1000) })},
		},
	}
}
