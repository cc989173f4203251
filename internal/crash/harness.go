package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// A Server is a program that takes mail at an address and delivers it to the
// sink, with its state in the same place after each start. interop.Process
// is one.
type Server interface {
	Start(context.Context) error // returns when it takes mail
	Kill() error                 // SIGKILL; returns when the process is gone
	Stop() error
}

// A Harness is one series of kills. All fields but Leased are required.
type Harness struct {
	Server Server
	Addr   string        // where the server takes mail
	Sink   *interop.Sink // where it delivers to; not started yet, Run does

	Kills      int
	Acked      int           // how many acknowledgements to see at least
	Submitters int           // connections that submit at once
	Drain      time.Duration // how long nothing may arrive before the rest is lost
	Seed       uint64

	// Leased counts the deliveries whose outcome is not on disk. It is asked
	// after each kill. If nil, repeats are counted and not judged.
	Leased func(context.Context) (int, error)

	books *ledger
	next  atomic.Int64
}

// Run does it all and returns what it saw. An error says that the harness could
// not do its work, not that the server failed.
func (h *Harness) Run(ctx context.Context) (Result, error) {
	h.books = newLedger()
	h.Sink.Forget = true
	h.Sink.Received = func(m interop.Message) {
		if id, ok := identify(m.To()[0]); ok {
			h.books.arrive(id, intact(h.Seed, id, m.Content()))
		}
	}
	if err := h.Sink.Start(); err != nil {
		return Result{}, err
	}
	defer h.Sink.Close()
	if err := h.Server.Start(ctx); err != nil {
		return Result{}, err
	}
	leased, err := h.torment(ctx)
	if err == nil {
		err = h.drain(ctx)
	}
	if err = errors.Join(err, h.Server.Stop()); err != nil {
		return Result{}, err
	}
	r := h.books.result()
	r.Seed, r.Leased = h.Seed, leased
	return r, nil
}

// torment kills the server under load until both numbers are reached.
func (h *Harness) torment(ctx context.Context) (leased []int, err error) {
	load, stop := context.WithCancel(ctx)
	var submitters sync.WaitGroup
	for range h.Submitters {
		submitters.Go(func() { h.submit(load) })
	}
	defer submitters.Wait()
	defer stop()
	r := rand.New(rand.NewPCG(h.Seed, 0))
	for kill := range h.Kills {
		share := h.Acked * (kill + 1) / h.Kills
		if err := h.await(ctx, func(acked, _ int) bool { return acked >= share }); err != nil {
			return leased, fmt.Errorf("before kill %d: %w", kill+1, err)
		}
		time.Sleep(time.Duration(r.IntN(int(100 * time.Millisecond)))) // any moment is as good as another
		n, err := h.kill(ctx)
		if err != nil {
			return leased, fmt.Errorf("kill %d: %w", kill+1, err)
		}
		if h.Leased != nil {
			leased = append(leased, n)
		}
	}
	return leased, nil
}

// kill ends the server, closes the books of the epoch when the sink has read
// what was under way to it, and starts the server again.
func (h *Harness) kill(ctx context.Context) (leased int, err error) {
	if err := h.Server.Kill(); err != nil {
		return 0, err
	}
	for !h.Sink.Quiet() {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		time.Sleep(time.Millisecond)
	}
	h.books.killed()
	if h.Leased != nil {
		if leased, err = h.Leased(ctx); err != nil {
			return 0, err
		}
	}
	return leased, h.Server.Start(ctx)
}

// submit hands in one message after the other; a broken connection is made
// anew. A message without a reply is never handed in again, so that whatever
// arrives twice was sent twice by the server.
func (h *Harness) submit(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := interop.NewSubmitter(ctx, h.Addr)
		if err != nil {
			time.Sleep(5 * time.Millisecond) // the server is away
			continue
		}
		for ctx.Err() == nil {
			id := int(h.next.Add(1) - 1)
			_, err := c.Send("crash@submitter.crash.test", []string{recipient(id)}, interop.Stuffed(content(h.Seed, id)))
			if err != nil {
				break
			}
			h.books.ack(id)
		}
		c.Close()
	}
}

// drain waits until all that was acknowledged has arrived, or nothing more
// does.
func (h *Harness) drain(ctx context.Context) error {
	for {
		_, missing, changed := h.books.progress()
		if missing == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(h.Drain):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stuck is how long the server may do nothing under load.
const stuck = 30 * time.Second

// await waits until the books are as wanted.
func (h *Harness) await(ctx context.Context, wanted func(acked, missing int) bool) error {
	for {
		acked, missing, changed := h.books.progress()
		if wanted(acked, missing) {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(stuck):
			return fmt.Errorf("nothing happened for %v; %d acknowledged, %d of them missing", stuck, acked, missing)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
