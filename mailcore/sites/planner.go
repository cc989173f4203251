package sites

import (
	"context"
	"strings"

	"github.com/panelmail/panelmail/transport"
)

// Snapshot answers what a planner asks its tables.
var (
	_ transport.Router       = (*Snapshot)(nil)
	_ transport.Sourcer      = (*Snapshot)(nil)
	_ transport.SmartHoster  = (*Snapshot)(nil)
	_ transport.Credentialer = (*Snapshot)(nil)
	_ transport.TLSPolicer   = (*Snapshot)(nil)
)

// Sites answers it with the settings in force.
var (
	_ transport.Router       = (*Sites)(nil)
	_ transport.Sourcer      = (*Sites)(nil)
	_ transport.SmartHoster  = (*Sites)(nil)
	_ transport.Credentialer = (*Sites)(nil)
	_ transport.TLSPolicer   = (*Sites)(nil)
)

// responsible is the site that answers for a query: the origin's, or for the
// panel itself that of the sender's domain. Nobody answers for what came over
// SMTP without a site: a reverse-path is what a stranger says, and must not open
// the sources, smart hosts and credentials of whom it names. For a copy that is
// forwarded under a reverse-path of our making the site of its domain answers.
func (s *Snapshot) responsible(q transport.Query, l senderLookup) string {
	if q.Rewritten {
		return s.domains[l.domain].Site
	}
	if q.Origin.Site != "" || q.Origin.Via == transport.ViaSMTP {
		return q.Origin.Site
	}
	return s.domains[l.domain].Site
}

// visible reports whether mail of a site may use a row about a domain; "" is for
// rows about none. A row about a domain of another site never counts, even when
// its key fits the sender: forwarded mail keeps the reverse-path of its author,
// who may be hosted here as well. Rows for a whole site need no such test: they
// are looked up by the name of the site that answers for the mail.
func (s *Snapshot) visible(domain, site string) bool {
	of := s.domains[domain].Site
	return of == "" || of == site
}

// keys are the keys to search a sender table by, most specific first.
func (l senderLookup) keys(site string) [5]string {
	return [...]string{l.whole, l.base, l.at, site, keyDefault}
}

// Route implements [transport.Router].
func (s *Snapshot) Route(_ context.Context, q transport.Query) (transport.Route, string, bool, error) {
	recipient := q.Recipient
	if folded, _, err := foldAddress(recipient); err == nil {
		recipient = folded
	}
	r, rule, ok := s.routes.Rule(recipient)
	return r, rule, ok, nil
}

// OwnRoute is the entry of the transport map for an address, the address without
// its extension, or its domain by name: not those for parent domains or for
// everything. Such an entry goes before the mailboxes of a domain.
func (s *Snapshot) OwnRoute(recipient string) (r transport.Route, rule string, ok bool) {
	folded, _, err := foldAddress(recipient)
	if err != nil {
		return r, "", false
	}
	r, rule, ok = s.routes.Rule(folded)
	pattern := strings.TrimPrefix(rule, routeRule)
	if !ok || pattern == "*" || strings.HasPrefix(pattern, ".") {
		return transport.Route{}, "", false
	}
	return r, rule, true
}

// SmartHost implements [transport.SmartHoster].
func (s *Snapshot) SmartHost(_ context.Context, q transport.Query) (nexthop, rule string, ok bool, err error) {
	row, ok := s.smartHost(q)
	if !ok {
		return "", "", false, nil
	}
	return row.nexthop, "smarthost: " + row.key, true, nil
}

func (s *Snapshot) smartHost(q transport.Query) (smartHostRow, bool) {
	l := lookupSender(q.Sender)
	site := s.responsible(q, l)
	for _, key := range l.keys(site) {
		row, ok := s.smartHosts[key]
		switch {
		case !ok || !s.visible(row.domain, site):
			continue
		case row.nexthop == keepDefault:
			row, ok = s.smartHosts[keyDefault]
		}
		return row, ok
	}
	return smartHostRow{}, false
}

// Credential implements [transport.Credentialer]. In order: what the sender's
// own smart host brings, the credential of the sender, what the default smart
// host brings, the credential of the next hop. The credential of a sender goes
// only to its smart host and to what [transport.Query.BySender] says is on its
// side: neither to the exchangers of whatever domain the mail is for, nor to where a
// mailbox or a route of that sends it, alone or in a list, which may be another
// site's. Whoever asks without that gets no credential of a sender.
func (s *Snapshot) Credential(_ context.Context, q transport.Query, nexthop string) (transport.Credential, string, bool, error) {
	nexthop = strings.ToLower(nexthop)
	host, _ := s.smartHost(q)
	brings := host.key != "" && host.authenticates(nexthop)
	if brings && host.key != keyDefault {
		return host.credential(), "smarthost: " + host.key, true, nil
	}
	if q.BySender || host.nexthop == nexthop {
		l := lookupSender(q.Sender)
		site := s.responsible(q, l)
		for _, key := range [...]string{l.whole, l.base, l.at} {
			if row, ok := s.credentials[key]; ok && s.visible(row.domain, site) {
				return row.credential(), "credential: " + key, true, nil
			}
		}
	}
	if brings {
		return host.credential(), "smarthost: " + host.key, true, nil
	}
	for _, key := range transport.CredentialKeys("", nexthop) {
		if row, ok := s.credentials[key]; ok {
			return row.credential(), "credential: " + key, true, nil
		}
	}
	return transport.Credential{}, "", false, nil
}

// TLSPolicy implements [transport.TLSPolicer].
// Any policy of the site that answers for the mail goes before those for everybody.
func (s *Snapshot) TLSPolicy(_ context.Context, q transport.Query, nexthop string) (transport.TLSPolicy, string, bool, error) {
	keys := append(transport.TLSKeys(nexthop), anyNexthop)
	if site := s.responsible(q, lookupSender(q.Sender)); site != "" {
		for _, key := range keys {
			if p, ok := s.tls[tlsRowKey{site, key}]; ok {
				return p, "tls: " + key + " of site " + site, true, nil
			}
		}
	}
	for _, key := range keys {
		if p, ok := s.tls[tlsRowKey{"", key}]; ok {
			return p, "tls: " + key, true, nil
		}
	}
	return transport.TLSPolicy{}, "", false, nil
}

// Route implements [transport.Router].
func (s *Sites) Route(ctx context.Context, q transport.Query) (r transport.Route, rule string, ok bool, err error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return r, "", false, err
	}
	return snap.Route(ctx, q)
}

// SenderRoute is [Snapshot.SenderRoute] with the settings in force.
func (s *Sites) SenderRoute(ctx context.Context, q transport.Query) (r transport.Route, rule string, ok bool, err error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return r, "", false, err
	}
	return snap.SenderRoute(ctx, q)
}

// Source implements [transport.Sourcer].
func (s *Sites) Source(ctx context.Context, q transport.Query) (src transport.Source, rule string, ok bool, err error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return src, "", false, err
	}
	return snap.Source(ctx, q)
}

// SmartHost implements [transport.SmartHoster].
func (s *Sites) SmartHost(ctx context.Context, q transport.Query) (nexthop, rule string, ok bool, err error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return "", "", false, err
	}
	return snap.SmartHost(ctx, q)
}

// Credential implements [transport.Credentialer].
func (s *Sites) Credential(ctx context.Context, q transport.Query, nexthop string) (c transport.Credential, rule string, ok bool, err error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return c, "", false, err
	}
	return snap.Credential(ctx, q, nexthop)
}

// TLSPolicy implements [transport.TLSPolicer].
func (s *Sites) TLSPolicy(ctx context.Context, q transport.Query, nexthop string) (p transport.TLSPolicy, rule string, ok bool, err error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return p, "", false, err
	}
	return snap.TLSPolicy(ctx, q, nexthop)
}
