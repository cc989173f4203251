package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// deliver makes one attempt and settles it.
func (s *scheduler) deliver(ctx context.Context, a *attempt) {
	report := s.try(ctx, a)
	if kept := s.ended(a, report); !kept {
		s.settle(ctx, a, report, true)
	}
}

// try calls the transport. Its panic is trouble of ours: it defers.
func (s *scheduler) try(ctx context.Context, a *attempt) (report transport.Report) {
	d := &transport.Delivery{
		ID: a.id, Envelope: a.envelope, Origin: a.origin, Attempt: a.rows[0].attempts,
		Arrived: instant(a.arrived), Size: a.size, Label: a.label,
		Open: func(ctx context.Context) (io.ReadCloser, error) { return a.open(ctx, s.q.store) },
	}
	defer func() {
		if p := recover(); p != nil {
			s.q.o.Load().Log.ErrorContext(ctx, "delivery panicked", "id", a.id, "panic", p, "stack", string(debug.Stack()))
			report = d.All(transport.Outcome{Reply: transport.Replyf(451, "4.3.0", "internal error"), Local: true})
		}
	}()
	ctx, end := s.leased(ctx, a)
	defer end()
	return s.t.Deliver(ctx, d)
}

// open returns the content: what is in memory, or else what is stored.
func (a *attempt) open(ctx context.Context, s store) (io.ReadCloser, error) {
	if a.content != nil {
		return io.NopCloser(bytes.NewReader(a.content)), nil
	}
	return openContent(ctx, s, a.message)
}

func throttled(report transport.Report, n int) bool {
	for i := range n {
		if o := report.At(i); o.NotTried() && !o.Uncertain {
			return true
		}
	}
	return false
}

// handBack settles an attempt that was claimed and not begun.
func (s *scheduler) handBack(a *attempt) { s.settle(s.grace, a, nil, false) }

// settle records the outcome of an attempt. It tries until it succeeds, or until
// Run has to end: then the lease stays, and the next Run finds an attempt
// without an outcome.
func (s *scheduler) settle(ctx context.Context, a *attempt, report transport.Report, begun bool) {
	due, parked := never, int64(0)
	defer func() { s.settled(a, begun, due, parked) }()
	failed := false
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		x, err := s.settleOnce(a, report, begun)
		if err == nil {
			due, parked = x.due(), x.parked
			if failed {
				s.reread() // what failed may be on the disk, with a report
			}
			if a.size > chunkSize {
				s.q.sweep(ctx)
			}
			return
		}
		s.q.o.Load().Log.ErrorContext(ctx, "outcome not recorded", "id", a.id, "error", err)
		failed = true
		if pause(ctx, wait) != nil {
			return
		}
	}
}

// settleOnce judges what is known now. If a person changes something meanwhile it
// judges once more.
func (s *scheduler) settleOnce(a *attempt, report transport.Report, begun bool) (done *settlement, err error) {
	ctx := context.Background() // what was done must be written, whoever gave up
	for range settleTries {
		if open(report, len(a.rows)) {
			if err := s.q.store.refresh(ctx, a); err != nil {
				return nil, err
			}
		}
		j := s.q.judge(micros(time.Now()), a)
		s.mu.Lock()
		j.stopping = s.stopping || !begun
		s.mu.Unlock()
		settlement := j.settle(a, report)
		if settlement.parked != 0 {
			settlement.parked = max(settlement.parked, j.now+a.rest.Microseconds())
		}
		if err := s.q.reportTo(ctx, settlement); errors.Is(err, ErrNotFound) {
			settlement.reports, settlement.warning = nil, nil // removed meanwhile: nobody is told
		} else if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		if err = s.q.settle(ctx, settlement); !errors.Is(err, errChanged) {
			return settlement, err
		}
	}
	return nil, err
}

// settleTries is how often a settlement is made anew in one go.
const settleTries = 3

// open reports whether some outcome depends on more than the report: on the
// message's clock, or on what a person wants.
func open(report transport.Report, n int) bool {
	for i := range n {
		if o := report.At(i); o.Held() || !o.Delivered() && !o.Failed() {
			return true
		}
	}
	return false
}
