package mailcore

import (
	"context"
	"errors"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/srs"
	"github.com/panelmail/panelmail/transport"
)

// isRewritten reports whether a local-part is that of a reverse-path which SRS made,
// here or elsewhere.
func isRewritten(local string) bool {
	_, rewritten := srs.CutTag(local)
	return rewritten
}

// forwarder is the domain in which the reverse-path of what leaves from an address of
// ours is: its own, or our host name for the host itself, whose origin may have its
// mail elsewhere.
func (s *desk) forwarder(a address.Address, p place) string {
	switch {
	case s.config.Forwarding.Domain != "":
		return s.config.Forwarding.Domain
	case p == atHost:
		return s.config.Hostname
	}
	return a.Fold().Domain
}

// reversePath is the one that a copy for an address leaves under; "" is that of the
// message. It is another if an alias sends mail of another host on to a third. All
// copies that one domain sends on leave under the same.
func (x *expansion) reversePath(ctx context.Context, to address.Address) (string, error) {
	d := x.draft
	if x.forwarder == "" || d.envelope.ReversePath == "" || x.desk.placeOf(x.settings, to.Fold().Domain) != elsewhere {
		return "", nil
	}
	if known, ok := d.reversePaths[x.forwarder]; ok {
		return known, nil
	}
	from, err := address.Parse(d.envelope.ReversePath)
	if err != nil || from.Domain == "" || x.desk.sendsFor(x.settings, from.Fold().Domain) {
		return "", nil
	}
	rewritten, err := x.desk.rewrite(ctx, d.envelope.ReversePath, x.forwarder)
	if err != nil {
		return "", lookupFailure(x.to, err)
	}
	if d.reversePaths == nil {
		d.reversePaths = map[string]string{}
	}
	d.reversePaths[x.forwarder] = rewritten
	return rewritten, nil
}

// sendsFor reports whether SPF of a folded domain has our addresses. That of one that
// we only pass mail on for has those of the hosts behind us, which send by themselves.
func (s *desk) sendsFor(settings *sites.Snapshot, domain string) bool {
	p := s.placeOf(settings, domain)
	return p != elsewhere && p != relayed
}

// rewrite makes the reverse-path in a domain of ours for what a sender wrote.
func (s *desk) rewrite(ctx context.Context, sender, domain string) (string, error) {
	ring, err := s.secrets.Rewriter(ctx, domain)
	if err != nil {
		return "", err
	}
	rewritten, err := ring.Forward(sender)
	if errors.Is(err, srs.ErrTooLong) || errors.Is(err, srs.ErrMalformed) {
		// No address can carry the sender: a person of ours gets the bounces.
		return "postmaster@" + domain, nil
	}
	return rewritten, err
}

// reverse follows a rewritten address in a domain of ours to whom it stands for. That
// may be anybody: where mail for it is relayed to was decided when it was made.
//
// A domain that we only pass mail on for may have a host that rewrites as well. What
// we did not make is an ordinary address there.
func (x *expansion) reverse(ctx context.Context, a address.Address, p place) error {
	forwarding, watch, client := &x.desk.config.Forwarding, x.desk.rewritten, x.desk.guesser(x.draft)
	if watch.isGuessing(forwarding.WrongAddresses, client) {
		return transport.Replyf(450, "4.7.1", "<%s>: Recipient address rejected: too many unknown addresses, try later", x.to)
	}
	original, err := x.author(ctx, a)
	switch {
	case errors.Is(err, srs.ErrHash) && p == relayed && !a.Routed():
		return x.lookUp(ctx, a, p)
	case errors.Is(err, srs.ErrHash), errors.Is(err, srs.ErrExpired):
		watch.guessed(forwarding.WrongAddresses, client)
		x.leaveOut(a, x.unknownUser(p))
		return nil
	case err != nil:
		return lookupFailure(x.to, err)
	case x.draft.envelope.ReversePath != "" && !forwarding.AnySender:
		x.leaveOut(a, transport.Replyf(550, "5.7.1", "<%s>: Recipient address rejected: only bounces are taken", x.to))
		return nil
	}
	key := authorKeyOf(original)
	if !watch.hasRoom(forwarding.BouncesPerDay, key, x.draft.authors, x.authors) {
		return tooManyBounces(x.to)
	}
	x.authors = append(x.authors, key)
	defer x.sendOnFrom(a, p)()
	return x.expand(ctx, original)
}

// author is the address that a rewritten one stands for, whatever domain such ones are
// made in now.
func (x *expansion) author(ctx context.Context, a address.Address) (address.Address, error) {
	ring, err := x.desk.secrets.Rewriter(ctx, a.Fold().Domain)
	if err != nil {
		return address.Address{}, err
	}
	original, err := ring.Reverse(a.String())
	if err != nil {
		return address.Address{}, err
	}
	return address.Parse(original)
}

// sendOnFrom has what leaves now leave under reverse-paths of an address of ours,
// until the function it returns is called.
func (x *expansion) sendOnFrom(a address.Address, p place) (back func()) {
	was := x.forwarder
	x.forwarder = x.desk.forwarder(a, p)
	return func() { x.forwarder = was }
}
