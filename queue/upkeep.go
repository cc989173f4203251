package queue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/panelmail/panelmail/transport"
)

const (
	outsidePoll = 20 * time.Millisecond  // while EnqueueTx is in use
	outsideTail = 5 * time.Second        // how long it counts as in use
	outsideLate = time.Minute            // how long after that a commit may still come
	tidyPause   = 100 * time.Millisecond // between two steps
	starved     = 15 * time.Minute       // how long before now a lane counts as parked for mail that was out of time then
	sweepLimit  = 500                    // recipients in parked lanes looked at in one go

	// sweepPause is how long mail that expired may wait to be found, and sweepBack
	// for how long it is looked for: each time it may be claimed by a probe of its
	// dead lane. The pause is out of step with those of destinations, which are
	// mostly 5 minutes.
	sweepPause = 7 * time.Minute
	sweepBack  = time.Hour
)

// renew extends the leases of what is claimed, in good time. What still has a
// lease that ran out is nobody's: a claim that failed, and yet was on the disk.
func (s *scheduler) renew(ctx context.Context) {
	for pause(ctx, leaseTime/2) == nil {
		if err := s.extend(ctx); err != nil {
			if ctx.Err() == nil {
				s.q.o.Load().Log.ErrorContext(ctx, "leases not renewed", "error", err)
			}
			continue // among those that ran out may be ours
		}
		now := micros(time.Now())
		if err := s.q.rescue(ctx, now, now); err != nil {
			if ctx.Err() == nil {
				s.q.o.Load().Log.ErrorContext(ctx, "leases that ran out not ended", "error", err)
			}
			continue
		}
		s.reread()
	}
}

// extend extends the leases of the attempts in memory.
func (s *scheduler) extend(ctx context.Context) error {
	s.mu.Lock()
	tokens := slices.Collect(maps.Keys(s.tokens))
	s.mu.Unlock()
	if len(tokens) == 0 {
		return nil
	}
	until := time.Now().Add(leaseTime)
	if err := s.q.store.extend(ctx, tokens, micros(until)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tokens {
		if a := s.tokens[t]; a != nil {
			a.lease = micros(until)
			if a.stop != nil {
				a.stop.Reset(time.Until(until))
			}
		}
	}
	return nil
}

// leased returns a context that ends with the attempt's lease, so that no attempt
// outlives it: whoever finds the lease at its end may begin another.
func (s *scheduler) leased(ctx context.Context, a *attempt) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	a.stop = time.AfterFunc(time.Until(instant(a.lease)), cancel)
	return ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		a.stop.Stop()
		a.stop = nil
		cancel()
	}
}

// recall hands back what was claimed ahead, and was then held or removed, or whose
// site was renamed. What was begun goes on.
func (s *scheduler) recall(ctx context.Context) {
	if !s.q.changed.Swap(false) {
		return
	}
	tokens := s.reconsider()
	if len(tokens) == 0 {
		return
	}
	held, err := s.q.store.holding(ctx, tokens)
	if err != nil {
		s.q.changed.Store(true)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		for _, a := range l.ready.remove(func(a *attempt) bool {
			h := held[a.token]
			return h.recipients < len(a.rows) || h.site != a.origin.Site
		}) {
			s.live.Go(func() { s.handBack(a) })
		}
	}
}

// reconsider forgets what is known of lanes but for the work in them, because the
// schedule may say something else by now: that a person wants a lane tried. It
// returns the tokens of what is claimed and not begun.
func (s *scheduler) reconsider() (tokens []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale, s.greet = true, true
	for _, l := range s.lanes {
		l.full, l.until = false, time.Time{}
		l.more = [priorities]bool{}
		for class := range l.ready.classes {
			for _, t := range l.ready.classes[class].turns {
				for _, a := range t.attempts {
					tokens = append(tokens, a.token)
				}
			}
		}
		s.forget(l)
	}
	return tokens
}

// tidyEvery is how long a lane or a large body may stay in the store though nobody
// needs it.
const tidyEvery = 10 * time.Minute

// tidy removes lanes that are empty, so that the schedule and what is counted by
// lane cost what waits, not what ever did; and what was left of large bodies, whose
// recipients came to their end without an attempt.
func (s *scheduler) tidy(ctx context.Context) {
	for from := int64(0); ; {
		d := tidyEvery
		if from != 0 {
			d = tidyPause
		}
		if pause(ctx, d) != nil {
			return
		}
		if from == 0 {
			s.q.sweep(ctx)
		}
		next, err := s.q.store.tidy(ctx, micros(time.Now()), from)
		if err != nil && ctx.Err() == nil {
			s.q.o.Load().Log.ErrorContext(ctx, "empty lanes not removed", "error", err)
		}
		from = next
	}
}

// watch looks whether somebody else has changed the file: often for a while after
// EnqueueTx was used, seldom otherwise.
func (s *scheduler) watch(ctx context.Context) {
	var last time.Time // use of EnqueueTx
	for {
		d := lookEvery(s.q.o.Load().Poll, time.Since(last))
		t := time.NewTimer(d)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-s.q.outside:
			t.Stop()
			last = time.Now()
			continue
		case <-t.C:
		}
		if changed, err := s.q.store.foreign(ctx); err == nil && changed {
			s.q.changed.Store(true)
			s.q.news.tell()
			s.notify()
		}
	}
}

// lookEvery is the time between two looks, by the setting and the time since
// EnqueueTx was used: the caller commits when it likes, and may not call Wake.
func lookEvery(poll, sinceUse time.Duration) time.Duration {
	switch {
	case sinceUse < outsideTail:
		return outsidePoll
	case sinceUse < outsideTail+outsideLate && (poll < 0 || poll > time.Second):
		return time.Second
	case poll >= 0:
		return poll
	}
	return time.Duration(never) // until EnqueueTx is used
}

// expire fails mail whose time is over in lanes that are parked, where no attempt
// would ever find out, and what gets no turn in a lane that is parked but for
// moments. Everywhere else that happens after an attempt. Its sender is not
// warned before: what only waits for room is not delayed by anybody's refusal.
func (s *scheduler) expire(ctx context.Context) {
	for after := int64(0); ; {
		now := micros(time.Now())
		after = min(after, now) // the clock may have been set back
		if err := errors.Join(s.q.setBack(ctx), s.q.expireParked(ctx, after, now)); err != nil {
			if ctx.Err() != nil {
				return
			}
			s.q.o.Load().Log.ErrorContext(ctx, "expiry failed", "error", err)
			if pause(ctx, time.Minute) != nil {
				return
			}
			continue
		}
		after = now - sweepBack.Microseconds() // what was not parked a moment ago may be now
		next, err := s.q.store.nextOverdue(ctx, now)
		if err != nil {
			next = now + time.Minute.Microseconds()
		}
		d := time.Duration(min(max(next-micros(time.Now()), time.Second.Microseconds()), sweepPause.Microseconds())) * time.Microsecond
		if pause(ctx, d) != nil {
			return
		}
	}
}

func (q *Queue) expireParked(ctx context.Context, after, until int64) error {
	for from := (expiring{at: after, place: place{message: never}}); ; {
		page, err := q.store.overdue(ctx, from, until, until-starved.Microseconds(), sweepLimit)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := q.endAll(ctx, page, Expired); err != nil {
			return err
		}
		from = expiring{page[len(page)-1].clock.expires, lastPlace(page)}
	}
}

// endAtOnce is how many attempts endAll ends together: they share commits.
const endAtOnce = 50

// endAll is end for many.
func (q *Queue) endAll(ctx context.Context, all []*attempt, kind Kind) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(endAtOnce)
	for _, a := range all {
		group.Go(func() error { return q.end(ctx, a, kind) })
	}
	return group.Wait()
}

// end fails recipients that are not being tried, because they have expired or
// were given up, with a report to the sender. It leaves alone those of which that
// is no longer true.
func (q *Queue) end(ctx context.Context, a *attempt, kind Kind) error {
	err := q.endTogether(ctx, a, kind)
	if !errors.Is(err, errChanged) {
		return err
	}
	for i := range a.rows {
		one := *a
		one.rows = a.rows[i : i+1]
		one.envelope.Recipients = a.envelope.Recipients[i : i+1]
		if err := q.endTogether(ctx, &one, kind); err != nil && !errors.Is(err, errChanged) {
			return err
		}
	}
	return nil
}

// endTogether fails all recipients of a, or none.
func (q *Queue) endTogether(ctx context.Context, a *attempt, kind Kind) error {
	report := make(transport.Report, len(a.rows))
	for i := range a.rows {
		report[i] = transport.Outcome{Reply: a.rows[i].lastReply(), Host: a.rows[i].host, Final: true}
	}
	s := q.judge(micros(time.Now()), a).settle(a, report)
	s.expired = kind == Expired
	for i := range s.rulings {
		s.rulings[i].event.Kind = kind
	}
	if err := q.reportTo(ctx, s); errors.Is(err, ErrNotFound) {
		return nil // removed meanwhile
	} else if err != nil {
		return err
	}
	return q.settle(ctx, s)
}
