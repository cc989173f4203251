package mailcore

import (
	"context"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/transport"
)

// route is where mail goes. An entry of the transport map for the address or its
// domain by name decides; then the mailbox; then the other entries, which must
// not send the mail of our own domains away; then what we do with mail for the
// host itself, whose roles have no mailboxes. An alias domain has no entries: what
// is left of its mail when aliases were followed has no user.
func (s *desk) route(ctx context.Context, q transport.Query) (r transport.Route, rule string, ok bool, err error) {
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return r, "", false, err
	}
	a, err := address.Parse(q.Recipient)
	if err != nil {
		return settings.Route(ctx, q)
	}
	p := s.placeOf(settings, a.Fold().Domain)
	if p == hosted || p == aliased || p == atHost {
		if r, rule, ok = settings.OwnRoute(q.Recipient); ok && p != aliased {
			return r, rule, true, nil
		}
		if r, rule, ok, err = s.mailboxRoute(ctx, a, p); ok || err != nil {
			return r, rule, ok, err
		}
	}
	if r, rule, ok, err = settings.Route(ctx, q); ok || err != nil || p != atHost {
		return r, rule, ok, err
	}
	if isRole(a.Fold().Local) {
		return transport.Route{Transport: "hold", Nexthop: "no Postmaster is configured"}, "mail for the host itself", true, nil
	}
	return unknownUser(p), "mail for the host itself", true, nil
}

// senderRoute is by which transport the mail of a sender goes, to where mail of ours
// does not end and is not passed on.
func (s *desk) senderRoute(ctx context.Context, q transport.Query) (r transport.Route, rule string, ok bool, err error) {
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return r, "", false, err
	}
	if a, err := address.Parse(q.Recipient); err == nil {
		switch s.placeOf(settings, a.Fold().Domain) {
		case atHost, aliased, relayed:
			return r, "", false, nil
		case hosted:
			if _, _, own := settings.OwnRoute(q.Recipient); own {
				return r, "", false, nil
			}
		}
	}
	return settings.SenderRoute(ctx, q)
}

// mailboxRoute is where the mail of a mailbox goes. Mail that is in the queue for
// an address which has none any more is returned, for to its exchanger means to
// us; but a hosted domain without any mailbox is one that only sends through us.
func (s *desk) mailboxRoute(ctx context.Context, a address.Address, p place) (r transport.Route, rule string, ok bool, err error) {
	match, err := s.sites.Find(ctx, a.String(), false)
	switch {
	case err != nil:
		return r, "", false, err
	case match.Mailbox != nil:
		r, err = transport.ParseRoute(match.Mailbox.Deliver)
		return r, "mailbox: " + match.Mailbox.Address, true, err
	case p == atHost:
		return r, "", false, nil // roles need no mailbox
	case p == aliased || match.Found() || match.Mailboxes:
		return unknownUser(p), "domain: " + a.Fold().Domain, true, nil
	}
	return r, "", false, nil
}

func unknownUser(p place) transport.Route {
	return transport.Route{Transport: "error", Nexthop: "5.1.1 User unknown in " + p.table() + " table"}
}
