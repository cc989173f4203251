package mailcore

import (
	"context"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// recipient decides whether mail for a forward-path is taken, and returns the
// recipient to store. relay says that the submitter may send to anybody; a
// stranger may send only to what we are responsible for (RFC 5321 section 3.6.2).
//
// Whether we may relay comes before whether the user exists, so that a stranger
// learns nothing about foreign addresses.
func (s *desk) recipient(ctx context.Context, to string, relay bool) (transport.Recipient, error) {
	if !strings.Contains(to, "@") {
		if !relay && !strings.EqualFold(to, "postmaster") {
			return transport.Recipient{}, relayDenied(to)
		}
		to += "@" + s.config.Hostname
	}
	a, err := address.Parse(to)
	if err != nil {
		return transport.Recipient{}, transport.Replyf(501, "5.1.3", "Bad recipient address syntax")
	}
	key := a.Fold()
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return transport.Recipient{}, lookupFailure(to, err)
	}
	domain, ours := settings.Domain(key.Domain)
	local := key.Domain == s.config.Hostname
	if !relay && (!ours && !local || a.Routed()) {
		return transport.Recipient{}, relayDenied(to)
	}
	if local && s.config.Postmaster != "" && isRole(key.Local) {
		return transport.Recipient{Address: s.config.Postmaster, ORcpt: "rfc822;" + a.String()}, nil
	}
	route, known, err := s.destination(ctx, a, local)
	if err != nil {
		return transport.Recipient{}, lookupFailure(to, err)
	}
	if (local || ours && domain.Class != sites.Relay) && !known {
		return transport.Recipient{}, transport.Replyf(550, "5.1.1",
			"<%s>: Recipient address rejected: User unknown in %s table", to, tableOf(local, domain.Class))
	}
	if !relay && route.Transport == "error" {
		// A report to a stranger's forged sender would be backscatter.
		return transport.Recipient{}, transport.Replyf(550, "5.1.1", "<%s>: Recipient address rejected: %s", to, route.Nexthop)
	}
	return transport.Recipient{Address: a.String()}, nil
}

// destination looks up where mail for an address goes, and reports whether the
// transport map knows it, or the address is one that we always answer for.
func (s *desk) destination(ctx context.Context, a address.Address, local bool) (transport.Route, bool, error) {
	r, _, ok, err := s.sites.Route(ctx, transport.Query{Recipient: a.String()})
	return r, ok || local && isRole(a.Fold().Local), err
}

func tableOf(local bool, class sites.Class) string {
	switch {
	case local:
		return "local recipient"
	case class == sites.Alias:
		return "virtual alias"
	default:
		return "virtual mailbox"
	}
}

func relayDenied(to string) error {
	return transport.Replyf(554, "5.7.1", "<%s>: Relay access denied", to)
}

// isRole reports whether a local part at our own host name is one that a person
// must read (RFC 5321 section 4.5.1, RFC 2142).
func isRole(local string) bool {
	switch local {
	case "postmaster", "root", "mailer-daemon", "abuse":
		return true
	}
	return false
}

// route is where mail goes: the transport map first, then what we do with mail
// for our own host name, which has no mailboxes.
func (s *desk) route(ctx context.Context, q transport.Query) (r transport.Route, rule string, ok bool, err error) {
	if r, rule, ok, err = s.sites.Route(ctx, q); ok || err != nil {
		return r, rule, ok, err
	}
	a, err := address.Parse(q.Recipient)
	if err != nil || a.Fold().Domain != s.config.Hostname {
		return transport.Route{}, "", false, nil
	}
	if isRole(a.Fold().Local) {
		return transport.Route{Transport: "hold", Nexthop: "no Postmaster is configured"}, "mail for the host itself", true, nil
	}
	return transport.Route{Transport: "error", Nexthop: "5.1.1 User unknown in local recipient table"}, "mail for the host itself", true, nil
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
		return transport.Replyf(550, "5.7.1", "site %q is unknown", site)
	case known.Suspended:
		return suspended(site)
	case sender != "" && !settings.SiteOwns(site, sender):
		return transport.Replyf(553, "5.7.1", "<%s>: Sender address rejected: not owned by site %s", sender, site)
	}
	return nil
}

func suspended(site string) error {
	return transport.Replyf(550, "5.7.1", "site %s is suspended: it may not send", site)
}

// lookupFailure defers what a table could not answer.
func lookupFailure(subject string, err error) error {
	return fmt.Errorf("%w: %w", transport.Replyf(451, "4.3.0", "<%s>: Temporary lookup failure", subject), err)
}
