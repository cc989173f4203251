package mailcore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// An Egress is one way that mail of a domain leaves: from a source of ours, or by a
// smart host, whose addresses the receivers see then.
type Egress struct {
	Source transport.Source `json:"source,omitzero"` // of ours; zero if Relay is set, or if the system chooses
	Relay  *transport.Hop   `json:"relay,omitempty"` // nil: the source connects to the hosts of the recipients
	Rule   string           `json:"rule"`            // that made it so, as in [transport.Because]
}

// Egress lists the ways by which the planner sends mail with a reverse-path in a domain,
// under the settings in force: each source and each member of a pool, and each smart
// host, once. It is what an SPF record of the domain has to let pass.
//
// A domain that sources say in HELO has their addresses too: mail with the null
// reverse-path is judged by that name (RFC 7208 section 2.4).
//
// The next hop of a row of the transport map is taken for a host of the recipients'
// own, unless the row is for all domains or for all below one, a credential goes with
// it, or it is known as a smart host of a provider. A smart host on this machine is
// the machine itself. Mail that cannot be planned leaves by no way.
//
// Each kind of sender is planned with each kind of recipient that the tables tell
// apart, some microseconds each.
func (s *Server) Egress(ctx context.Context, domain string) ([]Egress, error) {
	x, err := s.current().exits(ctx)
	if err != nil {
		return nil, err
	}
	return x.of(ctx, domain)
}

// exits are what the ways out of domains are worked out from, read once for however many
// domains.
type exits struct {
	desk       *desk
	settings   *sites.Snapshot
	recipients []sites.RecipientKind
	sources    []sites.Source
}

func (s *desk) exits(ctx context.Context) (*exits, error) {
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return nil, err
	}
	sources, err := s.sites.ListSources(ctx)
	if err != nil {
		return nil, err
	}
	return &exits{s, settings, settings.Recipients(), sources}, nil
}

// of is [Server.Egress] of a domain.
func (x *exits) of(ctx context.Context, domain string) ([]Egress, error) {
	g := &gathering{exits: x, seen: map[string]bool{}}
	for _, q := range x.settings.Senders(domain) {
		for _, r := range x.recipients {
			if err := g.ask(ctx, q, r); err != nil {
				return nil, fmt.Errorf("mailcore: egress of %s: %w", domain, err)
			}
		}
	}
	g.greeters(domain)
	return g.found, nil
}

// A gathering collects ways out.
type gathering struct {
	*exits
	seen  map[string]bool
	found []Egress
}

// ask adds the ways by which mail of a kind of sender to a kind of recipient leaves.
func (g *gathering) ask(ctx context.Context, q transport.Query, r sites.RecipientKind) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.Recipient = r.Address
	plan, err := g.desk.planner.Plan(ctx, q)
	var problem *transport.PlanError
	switch {
	case errors.As(err, &problem) && !problem.LookupFailed():
		return nil
	case err != nil:
		return err
	}
	hops, err := plan.Hops()
	if err != nil || len(hops) == 0 {
		return nil // it is stored or answered here, or can go nowhere
	}
	if !g.relays(&plan, r, hops) {
		return g.pool(q, &plan)
	}
	for _, h := range hops {
		if h.Addr.IsLoopback() || h.Name == "localhost" {
			g.add(Egress{Rule: plan.Rule("nexthop")})
			continue
		}
		g.add(Egress{Relay: &h, Rule: plan.Rule("nexthop")})
	}
	return nil
}

// relays reports whether the next hop passes the mail on to the recipients' hosts.
func (g *gathering) relays(plan *transport.Plan, r sites.RecipientKind, hops []transport.Hop) bool {
	switch {
	case plan.Direct:
		return false
	case plan.BySender, r.Many, plan.Credential != (transport.Credential{}):
		return true
	}
	return slices.ContainsFunc(hops, func(h transport.Hop) bool {
		_, known := g.desk.service(h.Name)
		return known
	})
}

// pool adds all sources that mail of a kind of sender may have.
func (g *gathering) pool(q transport.Query, plan *transport.Plan) error {
	q.Recipient = ""
	pool, err := g.settings.Pool(q)
	if err != nil {
		return err
	}
	rule := plan.Rule("source")
	if len(pool) == 0 {
		pool = []transport.Source{{}}
	} else {
		rule = "source: " + pool[0].Name
	}
	for _, src := range pool {
		g.add(Egress{Source: src, Rule: rule})
	}
	return nil
}

// greeters adds the sources that say a domain in HELO.
func (g *gathering) greeters(domain string) {
	if strings.EqualFold(domain, g.desk.config.Hostname) {
		g.add(Egress{Rule: "Config.Hostname"})
	}
	for _, src := range g.sources {
		if g.desk.greeting(src.HELO) == strings.ToLower(domain) {
			g.add(Egress{Rule: "source: " + src.Key, Source: transport.Source{
				Name: src.Key, IPv4: src.IPv4, IPv6: src.IPv6, HELO: src.HELO, Prefer: src.Prefer,
			}})
		}
	}
}

// add notes a way out that is not there yet. The rule of the first is kept.
func (g *gathering) add(e Egress) {
	key := "source " + e.Source.Key()
	if e.Relay != nil {
		key = fmt.Sprintf("relay %s %t", e.Relay.Name, e.Relay.MX)
	}
	if !g.seen[key] {
		g.seen[key] = true
		g.found = append(g.found, e)
	}
}
