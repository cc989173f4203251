package mailcore

import (
	"context"

	"github.com/panelmail/panelmail/transport"
)

// Probe talks to a host as deliveries for a query do: from the source of its sender,
// under that HELO name. It sends no mail and no password; see [transport.SMTP.Probe].
// next is a next hop in Postfix syntax. rule is the one behind the source.
func (s *Server) Probe(ctx context.Context, next string, q transport.Query) (all []transport.Probe, rule string, err error) {
	q.Recipient = ""
	source, rule, ok, err := s.sites.Source(ctx, q)
	if err != nil {
		return nil, "", err
	}
	if !ok {
		rule = "default"
	}
	all, err = s.current().smtp.Probe(ctx, next, source)
	return all, rule, err
}

// Resolve returns the addresses that a delivery by a plan would try now, with what is
// published about them: see [transport.SMTP.Resolve].
func (s *Server) Resolve(ctx context.Context, plan transport.Plan) ([]transport.Host, error) {
	return s.current().smtp.Resolve(ctx, plan)
}
