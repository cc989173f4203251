package mailcore

import (
	"context"
	"net/netip"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/internal/restrict"
	"github.com/panelmail/panelmail/transport"
)

// A gate asks the restriction lists about one client. It remembers what the DNS said, so
// a connection has one; it is for one goroutine.
type gate struct {
	desk    *desk
	session restrict.Session
	client  restrict.Request // what holds for the whole connection

	// pipelined says whether there is more from the client that it should not have
	// sent yet, before the content (data) or before a recipient is answered. It may
	// be nil.
	pipelined func(data bool) bool
}

func (s *desk) newGate(client netip.Addr, trusted bool) *gate {
	return &gate{
		desk:   s,
		client: restrict.Request{Client: client, Trusted: trusted},
		session: restrict.Session{
			Resolver: s.dns,
			Desk:     s,
			Hasty:    s.hasty,
			Note: func(list restrict.Stage, text string) {
				s.config.Log.Info("restrictions", "client", client.String(), "list", list.String(), "note", text)
			},
		},
	}
}

// request is what a draft wants now.
func (g *gate) request(d *draft, data bool) restrict.Request {
	q := g.client
	q.HELO, q.Login, q.Sender = d.origin.HELO, d.origin.Login, d.envelope.ReversePath
	q.Pipelined = g.pipelined != nil && g.pipelined(data)
	return q
}

// rcpt decides about a recipient. relay says that a table of the relay list permits to
// send to it even if it is not ours. The error is a reply.
func (g *gate) rcpt(ctx context.Context, d *draft, to string) (relay bool, err error) {
	if strings.EqualFold(to, "postmaster") {
		return false, nil // RFC 5321 section 4.5.1
	}
	q := g.request(d, false)
	if q.Recipient = to; !strings.Contains(to, "@") && d.ours {
		q.Recipient = to + "@" + g.desk.config.Origin
	}
	a, err := address.Parse(to)
	q.Rewritten = isRewritten(a.Local)
	v := g.desk.policy.AtRcpt(ctx, &g.session, q)
	if err := refusal(v); err != nil {
		return false, err
	}
	return v.Relay && err == nil && !a.Routed(), nil
}

// data decides about a message whose recipients are complete. The error is a reply.
func (g *gate) data(ctx context.Context, d *draft) error {
	return refusal(g.desk.policy.AtData(ctx, &g.session, g.request(d, true)))
}

// refusal is a verdict as an error.
func refusal(v restrict.Verdict) error {
	if v.Reply.Code == 0 {
		return nil
	}
	return transport.Replyf(v.Reply.Code, v.Reply.Status, "%s", v.Reply.Text)
}

// Ours implements restrict.Desk.
func (s *desk) Ours(ctx context.Context, domain string) (bool, error) {
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return false, err
	}
	return s.placeOf(settings, domain) != elsewhere, nil
}

// maxQuestions is how many look-ups for restrictions run at once in the whole server.
const maxQuestions = 200

// clientDNS is a resolver for restrictions, with a bound on how much is asked at once.
type clientDNS struct {
	resolver transport.Resolver
	slots    chan struct{}
}

// bound runs a look-up when there is room for it.
func bound[T any](ctx context.Context, d clientDNS, ask func() (T, error)) (found T, err error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
		return ask()
	case <-ctx.Done():
		return found, ctx.Err()
	}
}

// MX implements restrict.Resolver.
func (d clientDNS) MX(ctx context.Context, domain string) (hosts []string, err error) {
	all, err := bound(ctx, d, func() ([]transport.MX, error) { return d.resolver.MX(ctx, domain) })
	for _, mx := range all {
		hosts = append(hosts, mx.Host)
	}
	return hosts, err
}

// Addrs implements restrict.Resolver.
func (d clientDNS) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	return bound(ctx, d, func() ([]netip.Addr, error) { return d.resolver.Addrs(ctx, host) })
}

// IPv4 implements restrict.Resolver.
func (d clientDNS) IPv4(ctx context.Context, name string) ([]netip.Addr, error) {
	r, ok := d.resolver.(transport.ClientResolver)
	if !ok {
		return d.Addrs(ctx, name)
	}
	return bound(ctx, d, func() ([]netip.Addr, error) { return r.IPv4(ctx, name) })
}

// Names implements restrict.Resolver. Nobody has a name if the resolver knows none.
func (d clientDNS) Names(ctx context.Context, addr netip.Addr) ([]string, error) {
	r, ok := d.resolver.(transport.ClientResolver)
	if !ok {
		return nil, nil
	}
	return bound(ctx, d, func() ([]string, error) { return r.Names(ctx, addr) })
}

// Text implements restrict.Resolver.
func (d clientDNS) Text(ctx context.Context, name string) ([]string, error) {
	r, ok := d.resolver.(transport.ClientResolver)
	if !ok {
		return nil, nil
	}
	return bound(ctx, d, func() ([]string, error) { return r.Text(ctx, name) })
}
