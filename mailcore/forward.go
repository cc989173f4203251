package mailcore

import (
	"context"
	"errors"
	"fmt"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/transport"
)

// Forward sends a message that was received on to other recipients, as the aliases of
// [sites.Sites] do: for filters of users, vacation programs and the like. The
// ReversePath is that of the message as it was received, and belongs to whom it
// belongs to; copies for other hosts leave under one that [Forwarding] makes of it, and
// our own reports go to the original one. Site is who forwards.
//
// Of the content nothing changes but what changes on every way through a server: it
// gets a Received field, loses Return-Path, and line ends become CRLF. So a DKIM
// signature of the author stays valid. A message that has gone round too often
// (RFC 5321 section 6.3) is refused.
//
// All else is as with [Server.Submit].
func (s *Server) Forward(ctx context.Context, m Message) (id string, err error) {
	desk := s.current()
	d, err := desk.forwardDraft(ctx, m)
	if err != nil {
		return "", fmt.Errorf("mailcore: forward: %w", err)
	}
	if id, err = desk.store(ctx, d, desk.bounded(m.Content)); err != nil {
		return "", fmt.Errorf("mailcore: forward: %w", err)
	}
	return id, nil
}

// forwardDraft checks the envelope of a message that is sent on.
func (s *desk) forwardDraft(ctx context.Context, m Message) (*draft, error) {
	d, problems := draftOf(&m, transport.ViaForward)
	d.request.fingerprint = fmt.Appendf(d.request.fingerprint, " sent on for %q", m.ReceivedFor)
	if err := s.siteMaySend(ctx, m.Site, ""); err != nil {
		return nil, errors.Join(append(problems, err)...)
	}
	received, err := s.receivedFor(ctx, &m)
	if err != nil {
		return nil, errors.Join(append(problems, err)...)
	}
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return nil, lookupFailure(m.ReversePath, err)
	}
	d.forwarder = s.forwarder(received, s.placeOf(settings, received.Fold().Domain))
	orcpt := ""
	if m.ReceivedFor != "" {
		orcpt = originalRecipient(received)
	}
	problems = append(problems, s.address(ctx, d, &m, orcpt)...)
	d.first = m.ReceivedFor // and not where it goes on to
	return d, errors.Join(problems...)
}

// receivedFor is the address that a message which is sent on was received for; if
// nobody said, one without a local-part. The error is a reply.
func (s *desk) receivedFor(ctx context.Context, m *Message) (address.Address, error) {
	if m.ReceivedFor == "" {
		domains, err := s.sites.ListDomains(ctx, m.Site)
		switch {
		case err != nil:
			return address.Address{}, lookupFailure(m.ReversePath, err)
		case m.Site == "" || len(domains) == 0:
			return address.Address{Domain: s.config.Hostname}, nil
		}
		return address.Address{Domain: domains[0].Name}, nil
	}
	a, err := address.Parse(m.ReceivedFor)
	if err != nil {
		return a, transport.Replyf(501, "5.1.3", "received for %q: %v", m.ReceivedFor, err)
	}
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return a, lookupFailure(m.ReceivedFor, err)
	}
	foreign := s.placeOf(settings, a.Fold().Domain) == elsewhere
	if foreign || m.Site != "" && !settings.SiteOwns(m.Site, m.ReceivedFor) {
		return a, transport.Replyf(553, "5.7.1", "<%s>: an address of site %q was to receive it", m.ReceivedFor, m.Site)
	}
	return a, nil
}
