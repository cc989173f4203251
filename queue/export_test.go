package queue

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Sabotage plants a defect in q, for suites that must find it.
func Sabotage(q *Queue, defect string) {
	s := q.store.(*engine)
	switch defect {
	case "lost settle":
		q.store = lostSettle{s}
	case "lease ignored":
		q.store = &leaseIgnored{engine: s}
	case "bounce outside the settle transaction":
		q.store = bounceOutside{s}
	case "acknowledged before it is stored":
		q.store = earlyAck{s}
	case "attempt written after it was made":
		q.store = lateClaim{s}
	case "newcomers wait for what was claimed":
		q.store = noNewcomers{s}
	case "priorities are lost":
		q.store = noPriorities{s}
	case "what is claimed together is tried in reverse":
		q.store = reversed{s}
	case "a claim forgets what is due later":
		q.store = forgetful{s}
	case "leases are not renewed":
		q.store = noExtend{s}
	case "settlements take an hour":
		q.store = slowSettle{s}
	case "the disk is full for a moment":
		s.pragma(`PRAGMA max_page_count = 1`) // of this connection; as many as there are
	case "recipients end twice":
		q.store = endsTwice{s}
	case "an event is passed over":
		q.store = passedOver{s}
	case "what is deleted stays in the file":
		s.pragma(`PRAGMA secure_delete = OFF`)
	case "the answer to a claim is lost":
		q.store = &lostAnswer{engine: s}
	}
}

// pragma changes the connection that writes.
func (e *engine) pragma(statement string) {
	_ = e.writer.do(context.Background(), &op{class: classPeek, peek: func(t txn) error {
		return e.writer.tx.discard(statement)
	}})
}

// endsTwice tells once more of what was settled at last.
type endsTwice struct{ *engine }

func (s endsTwice) settle(ctx context.Context, x *settlement) error {
	if err := s.engine.settle(ctx, x); err != nil || !x.allFinal() {
		return err
	}
	return s.writer.do(ctx, &op{class: classOther, apply: func(txn) ([]Event, error) { return x.events(nil), nil }})
}

// passedOver leaves out the last event of a page, as a cursor off by one would.
type passedOver struct{ *engine }

func (s passedOver) events(ctx context.Context, t Trail, after int64) (page []Event, next int64, more bool, err error) {
	page, next, more, err = s.engine.events(ctx, t, after)
	return page[:max(0, len(page)-1)], next, more, err
}

// lostSettle says that it settled, and did not.
type lostSettle struct{ *engine }

func (lostSettle) settle(context.Context, *settlement) error { return nil }

// slowSettle is a disk that stalls when outcomes are to be written.
type slowSettle struct{ *engine }

func (s slowSettle) settle(ctx context.Context, x *settlement) error {
	time.Sleep(time.Hour)
	return s.engine.settle(ctx, x)
}

// leaseIgnored claims what somebody is working on, once an hour.
type leaseIgnored struct {
	*engine
	last int64
}

func (s *leaseIgnored) claim(ctx context.Context, c claim) ([]*attempt, error) {
	if c.now-s.last < time.Hour.Microseconds() {
		return s.engine.claim(ctx, c)
	}
	s.last = c.now
	err := s.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		_, err := t.exec(`UPDATE panelmail_recipient SET state = 0, token = NULL, lease = NULL, due = ? WHERE state = 1`, c.now)
		return nil, err
	}})
	if err != nil {
		return nil, err
	}
	return s.engine.claim(ctx, c)
}

// bounceOutside stores reports in a commit of their own, a moment later.
type bounceOutside struct{ *engine }

func (s bounceOutside) settle(ctx context.Context, x *settlement) error {
	reports := x.reports
	x.reports = nil
	if err := s.engine.settle(ctx, x); err != nil {
		return err
	}
	time.Sleep(time.Second)
	for _, r := range reports {
		if err := s.enqueue(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// earlyAck stores messages a moment after it has said so.
type earlyAck struct{ *engine }

func (s earlyAck) enqueue(ctx context.Context, r *record) error {
	own := *r
	own.body = slices.Clone(r.body)
	go func() {
		time.Sleep(time.Second)
		_ = s.engine.enqueue(ctx, &own)
	}()
	return nil
}

// lateClaim leaves the due time and the count of attempts to the settlement.
type lateClaim struct{ *engine }

func (s lateClaim) claim(ctx context.Context, c claim) ([]*attempt, error) {
	got, err := s.engine.claim(ctx, c)
	if err != nil {
		return nil, err
	}
	return got, s.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		_, err := t.exec(`UPDATE panelmail_recipient SET attempts = 0, first = NULL, due = ? WHERE state = 1 AND attempts = 1`, c.now)
		return nil, err
	}})
}

// reversed hands out what a claim brings with the latest first.
type reversed struct{ *engine }

func (s reversed) claim(ctx context.Context, c claim) ([]*attempt, error) {
	got, err := s.engine.claim(ctx, c)
	slices.Reverse(got)
	return got, err
}

// forgetful takes a lane of which nothing is due any more for one in which nothing
// waits.
type forgetful struct{ *engine }

func (s forgetful) claim(ctx context.Context, c claim) ([]*attempt, error) {
	got, err := s.engine.claim(ctx, c)
	if err != nil {
		return nil, err
	}
	return got, s.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		for _, w := range c.wants {
			if _, err := t.exec(`UPDATE panelmail_lane SET due = NULL WHERE id = ? AND due > ?`, w.lane, c.now); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}})
}

// noExtend fails to renew leases, as a disk that fills up would.
type noExtend struct{ *engine }

func (noExtend) extend(context.Context, []int64, int64) error { return ErrFull }

// lostAnswer reports an error of the first claim that got something, though it
// is on the disk: nothing less can be said of a COMMIT that failed.
type lostAnswer struct {
	*engine
	lost bool
}

func (s *lostAnswer) claim(ctx context.Context, c claim) ([]*attempt, error) {
	got, err := s.engine.claim(ctx, c)
	if len(got) > 0 && !s.lost {
		s.lost = true
		return nil, errors.New("disk I/O error")
	}
	return got, err
}

// noNewcomers claims nothing beyond what is claimed ahead.
type noNewcomers struct{ *engine }

func (s noNewcomers) claim(ctx context.Context, c claim) ([]*attempt, error) {
	for i := range c.wants {
		c.wants[i].flows = nil
	}
	return s.engine.claim(ctx, c)
}

// noPriorities stores all mail alike.
type noPriorities struct{ *engine }

func (s noPriorities) enqueue(ctx context.Context, r *record) error {
	r.priority = Normal
	return s.engine.enqueue(ctx, r)
}

// SiteTables are the tables whose rows go with a site.
func SiteTables() []string { return siteTables[:] }
