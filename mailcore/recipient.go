package mailcore

import (
	"context"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// recipient decides whether mail of a draft for a forward-path is taken, and
// returns the recipients to store: those that its aliases lead to, or itself.
// relay says that the submitter may send to anybody; a stranger may send only to
// what we are responsible for (RFC 5321 section 3.6.2).
//
// Whether we may relay comes before whether the user exists, so that a stranger
// learns nothing about foreign addresses.
func (s *desk) recipient(ctx context.Context, d *draft, to string, relay bool) (acceptance, error) {
	if !strings.Contains(to, "@") {
		switch {
		case strings.EqualFold(to, "postmaster"):
			to += "@" + s.config.Hostname
		case relay:
			to += "@" + s.config.Origin
		default:
			return acceptance{}, relayDenied(to)
		}
	}
	a, err := address.Parse(to)
	if err != nil || a.Dashed() && !relay { // a program that delivers might take it for an option
		return acceptance{}, transport.Replyf(501, "5.1.3", "Bad recipient address syntax")
	}
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return acceptance{}, lookupFailure(to, err)
	}
	away := s.placeOf(settings, a.Fold().Domain) == elsewhere
	routed := a.Routed() && !isRewritten(a.Local) // which may have the author's in it
	if !relay && away || routed && !(relay && away) {
		return acceptance{}, relayDenied(to)
	}
	if d, ours := settings.Domain(a.Fold().Domain); ours {
		if site, _ := settings.Site(d.Site); site.Removing {
			return acceptance{}, transport.Replyf(450, "4.3.2", "<%s>: Recipient address rejected: the domain is being removed", to)
		}
	}
	x := &expansion{
		desk: s, settings: settings, draft: d, relay: relay, to: to, original: a, forwarder: d.forwarder,
		taken: map[address.Address]bool{}, path: map[address.Address]bool{}, seen: map[address.Address]bool{},
	}
	if err := x.expand(ctx, a); err != nil {
		return acceptance{}, err
	}
	if len(x.recipients) == 0 {
		return acceptance{}, x.refusal
	}
	return x.acceptance, nil
}

// A place is where an address is, seen from here: what we do with mail for its
// domain.
type place int

const (
	elsewhere place = iota
	atHost          // the host's own names: aliases and roles, and what a site that has the name keeps there
	hosted
	aliased
	relayed
)

// table is the name that Postfix has for who is known there.
func (p place) table() string {
	switch p {
	case atHost:
		return "local recipient"
	case aliased:
		return "virtual alias"
	case relayed:
		return "relay recipient"
	}
	return "virtual mailbox"
}

// placeOf says where a folded domain is. Our host name is the host's own even if
// a site has it; the origin and the domain of rewritten addresses are unless a site
// has them.
func (s *desk) placeOf(settings *sites.Snapshot, domain string) place {
	d, ours := settings.Domain(domain)
	switch {
	case domain == s.config.Hostname, !ours && (domain == s.config.Origin || domain == s.config.Forwarding.Domain):
		return atHost
	case !ours:
		return elsewhere
	case d.Class == sites.Relay:
		return relayed
	case d.Class == sites.Alias:
		return aliased
	}
	return hosted
}

func relayDenied(to string) error {
	return transport.Replyf(554, "5.7.1", "<%s>: Relay access denied", to)
}

// answered is what RCPT says to a recipient whose mail would be returned or deferred
// by its route, as in Postfix: with the text of the route, 550 or 450, and by its
// status or X.1.1. It is nil for any other, and where nobody waits for an answer to
// RCPT, who gets a bounce then.
//
// Where an alias leads to is not the forward-path that is answered, except to a
// stranger, if all there would be is a bounce: it would go to a forged sender.
func (x *expansion) answered(ctx context.Context, a address.Address, mailbox *sites.Mailbox) (refusal, err error) {
	behind := a != x.original
	if behind && x.relay || x.draft.origin.Via != transport.ViaSMTP {
		return nil, nil
	}
	r, err := x.route(ctx, a, mailbox)
	if err != nil {
		return nil, lookupFailure(x.to, err)
	}
	reply, ok := x.desk.planner.Refusal(ctx, r)
	if !ok || behind && reply.Code/100 == 4 {
		return nil, nil
	}
	reply.Text = fmt.Sprintf("<%s>: Recipient address rejected: %s", x.to, reply.Text)
	return reply, nil
}

// route is where the mail of a recipient goes, as [desk.route] has it, of an address
// that was looked up already.
func (x *expansion) route(ctx context.Context, a address.Address, mailbox *sites.Mailbox) (r transport.Route, err error) {
	if mailbox == nil {
		r, _, _, err = x.settings.Route(ctx, transport.Query{Recipient: a.String()})
		return r, err
	}
	if r, _, ok := x.settings.OwnRoute(a.String()); ok {
		return r, nil
	}
	return transport.ParseRoute(mailbox.Deliver)
}

// siteMaySend reports, as a reply, why a site may not use a reverse-path. The
// panel itself, site "", may use any.
func (s *desk) siteMaySend(ctx context.Context, site, sender string) error {
	if site == "" {
		return nil
	}
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return lookupFailure(sender, err)
	}
	known, ok := settings.Site(site)
	switch {
	case !ok:
		return unknownSite(site)
	case known.Suspended:
		return suspended(site)
	case sender != "" && !settings.SiteOwns(site, sender):
		return transport.Replyf(553, "5.7.1", "<%s>: Sender address rejected: not owned by site %s", sender, site)
	}
	return nil
}

func unknownSite(site string) error {
	return transport.Replyf(550, "5.7.1", "site %q is unknown", site)
}

func suspended(site string) error {
	return transport.Replyf(550, "5.7.1", "site %s is suspended: it may not send", site)
}

// lookupFailure defers what a table could not answer.
func lookupFailure(subject string, err error) error {
	return fmt.Errorf("%w: %w", transport.Replyf(451, "4.3.0", "<%s>: Temporary lookup failure", subject), err)
}
