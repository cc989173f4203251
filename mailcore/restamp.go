package mailcore

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/transport"
)

// restampAge is for how long after its arrival a copy leaves under the rewritten
// reverse-path that it got then. One that is tried again at a greylisting host in that
// time has to come from the same sender.
const restampAge = 24 * time.Hour

// deliver has one of the outlets make an attempt, under a reverse-path to which
// bounces will still come.
func (s *desk) deliver(ctx context.Context, base string, d *transport.Delivery) transport.Report {
	fresh, err := s.restamp(ctx, d)
	switch {
	case ctx.Err() != nil:
		return d.All(transport.Outcome{})
	case err != nil:
		s.config.Log.LogAttrs(ctx, slog.LevelError, "sender not rewritten", slog.String("id", d.ID), slog.Any("error", err))
		return d.All(transport.Outcome{Reply: transport.Replyf(451, "4.3.0", "sender rewriting unavailable"), Local: true})
	}
	return s.outlets[base].Deliver(ctx, fresh)
}

// restamp returns d, or where it is of a message that has waited, d with a new one in
// the place of a reverse-path that we have rewritten: made of the same sender, in the
// same domain, today.
func (s *desk) restamp(ctx context.Context, d *transport.Delivery) (*transport.Delivery, error) {
	if len(d.Envelope.Recipients) == 0 || time.Since(d.Arrived) < restampAge {
		return d, nil
	}
	stored, err := address.Parse(d.Envelope.Recipients[0].ReversePath) // which all have
	if err != nil || !isRewritten(stored.Local) {
		return d, nil
	}
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return nil, err
	}
	domain := stored.Fold().Domain
	if s.placeOf(settings, domain) == elsewhere { // it gets no bounces, whoever made it
		return d, nil
	}
	rewritten, err := s.rewrite(ctx, d.Envelope.ReversePath, domain)
	if err != nil {
		return nil, err
	}
	fresh := *d
	fresh.Envelope.Recipients = slices.Clone(d.Envelope.Recipients)
	for i := range fresh.Envelope.Recipients {
		fresh.Envelope.Recipients[i].ReversePath = rewritten
	}
	return &fresh, nil
}
