package queue

import (
	"context"
	"errors"
	"time"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/internal/dsn"
	"github.com/panelmail/panelmail/transport"
)

// reportTo adds to a settlement what the sender is told: one report about all
// that failed, one about what is delayed, and, on request, one about what was
// delivered and one about what went on to a host that cannot report it (RFC 3461
// section 5.2). They are composed here, before the transaction, and stored in
// it.
//
// The null reverse-path is told nothing (RFC 5321 section 4.5.5): a failed
// report ends with an event. Nor is an address that cannot be written to.
func (q *Queue) reportTo(ctx context.Context, s *settlement) error {
	a := s.attempt
	if _, err := address.Parse(a.envelope.ReversePath); err != nil {
		return nil
	}
	var failed, delayed, relayed, delivered []int
	for i := range s.rulings {
		notify := a.envelope.Recipients[i].Notify
		switch r := &s.rulings[i]; {
		case r.state == Dead && notify.Failure():
			failed = append(failed, i)
		case r.state == Done && notify.Success() && r.outcome.Mailbox:
			delivered = append(delivered, i)
		case r.state == Done && notify.Success() && !r.outcome.PassedOn:
			relayed = append(relayed, i)
		case r.state == Waiting && !r.untried && notify.Delay() && a.clock.warn != 0 && s.now >= a.clock.warn:
			delayed = append(delayed, i)
		}
	}
	for _, final := range []struct {
		kind  dsn.Kind
		about []int
	}{{dsn.Failed, failed}, {dsn.Delivered, delivered}, {dsn.Relayed, relayed}} {
		if len(final.about) == 0 {
			continue
		}
		r, err := q.compose(ctx, s, final.kind, final.about)
		if err != nil {
			return err
		}
		s.reports = append(s.reports, r)
		for _, i := range final.about {
			s.rulings[i].event.Report = r.id
		}
	}
	if len(delayed) > 0 {
		r, err := q.compose(ctx, s, dsn.Delayed, delayed)
		if err != nil {
			return err
		}
		s.warning = r
	}
	return nil
}

// compose makes the message of a report (RFC 3464). It belongs to the site that
// caused it.
func (q *Queue) compose(ctx context.Context, s *settlement, kind dsn.Kind, about []int) (*record, error) {
	a, now := s.attempt, instant(s.now)
	d := dsn.Report{
		Kind: kind, ID: NewID(now), Host: q.o.Load().Hostname, Time: now.In(time.Local),
		To:      a.envelope.ReversePath,
		QueueID: a.id, ReversePath: a.envelope.ReversePath, EnvID: a.envelope.EnvID,
		Arrived: instant(a.arrived).In(time.Local), UTF8: a.envelope.SMTPUTF8,
		HeadersOnly: a.envelope.Ret == transport.RetHdrs || a.envelope.RequireTLS, // RFC 8689 section 5
	}
	for _, i := range about {
		if kind == dsn.Delayed {
			d.RetryUntil = later(d.RetryUntil, instant(s.rulings[i].until).In(time.Local))
		}
		d.Recipients = append(d.Recipients, reported(&a.envelope.Recipients[i], &a.rows[i], &s.rulings[i].outcome, now))
	}
	text, err := q.composeText(ctx, a, d)
	if err != nil {
		return nil, err
	}
	return q.reportRecord(ctx, a, d, text, s.now), nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// composeText returns the original with the report, if it can be read. If it
// cannot, the sender is told all the same; but of a message that was removed
// nobody is told, and the error is [ErrNotFound].
func (q *Queue) composeText(ctx context.Context, a *attempt, d dsn.Report) ([]byte, error) {
	content, err := openContent(ctx, q.store, a.message)
	if err == nil {
		defer func() { _ = content.Close() }()
		d.Content = content
		var text []byte
		if text, err = dsn.Compose(d); err == nil {
			return text, nil
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if _, gone := q.store.clock(ctx, a.message); errors.Is(gone, ErrNotFound) {
		return nil, gone
	}
	q.o.Load().Log.ErrorContext(ctx, "report made without the message it is about", "id", a.id, "error", err)
	d.Content = nil
	return dsn.Compose(d)
}

func reported(p *transport.Recipient, w *row, o *transport.Outcome, now time.Time) dsn.Recipient {
	r := dsn.Recipient{
		Address: p.Address, Original: p.ORcpt,
		Status: o.Reply.Status(), Diagnostic: o.Reply.Error(),
		RemoteMTA: o.Host, RemoteAddr: o.Addr,
	}
	if w.attempts > 0 {
		r.LastAttempt = now.In(time.Local)
	}
	return r
}

// reportRecord wraps a report for the store: from the null reverse-path, for the
// site whose message it is about.
func (q *Queue) reportRecord(ctx context.Context, a *attempt, d dsn.Report, text []byte, now int64) *record {
	r := &record{
		id: d.ID,
		envelope: transport.Envelope{
			Recipients: []transport.Recipient{{Address: d.To}},
			SMTPUTF8:   d.NeedsUTF8(),
			Body:       bodyType(text),
		},
		origin:  transport.Origin{Site: a.origin.Site, Via: transport.ViaBounce, UID: -1},
		arrived: now,
		due:     now,
		expires: q.clock("", 0, now).expires,
		size:    int64(len(text)),
		body:    text,
	}
	r.labels = []string{q.o.Load().Label(ctx, transport.QueryFor(r.id, &r.envelope, &r.envelope.Recipients[0], r.origin))}
	q.sign(ctx, r)
	return r
}

func bodyType(text []byte) transport.Body {
	for _, c := range text {
		if c >= 0x80 {
			return transport.Body8BitMIME
		}
	}
	return transport.Body7Bit
}
