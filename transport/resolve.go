package transport

import (
	"context"
	"strings"
)

// A Host is an address that a delivery tries, and what is published about it.
type Host struct {
	Name string     `json:"name"`
	Addr string     `json:"address"`        // with the port
	From string     `json:"from,omitempty"` // the address to connect from; empty: the system's choice
	DANE *TLSAFacts `json:"dane,omitempty"` // if the level of the plan asks for it
	STS  *STSFacts  `json:"sts,omitempty"`  // if the policy of the plan asks for it
}

// Resolve returns the addresses that a delivery by a plan would try now, with the
// facts that its TLS policy goes by, in an order in which it may try them. It asks the
// DNS, and the servers of MTA-STS policies, and connects to no host. The error says why
// there is none.
func (s *SMTP) Resolve(ctx context.Context, plan Plan) (all []Host, err error) {
	hops, err := parseNexthops(plan.Nexthop, s.port())
	if err != nil {
		return nil, err
	}
	for _, hop := range hops {
		hosts, out := s.hosts(ctx, hop, &plan)
		if len(hosts) == 0 {
			err = out.Reply
			continue // another of the list may have some
		}
		sts := s.policyOf(ctx, hop, &plan)
		for _, h := range hosts {
			found := Host{Name: strings.TrimSuffix(h.name, "."), Addr: h.where(), STS: sts}
			if local, _ := plan.Source.Local(h.addr.Addr()); local.IsValid() {
				found.From = local.String()
			}
			if s.TLSA != nil && (plan.TLS == TLSDANE || plan.TLS == TLSDANEOnly) {
				facts := s.TLSA.TLSA(ctx, h.name, h.addr.Port())
				found.DANE = &facts
			}
			all = append(all, found)
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	return nil, err
}

// policyOf is the MTA-STS policy that a plan asks for; nil if it does not.
func (s *SMTP) policyOf(ctx context.Context, h nexthop, plan *Plan) *STSFacts {
	if s.STS == nil || !plan.TLSTerms.Published || h.fixed || plan.TLS == TLSNone {
		return nil
	}
	facts := s.STS.STS(ctx, h.name)
	return &facts
}
