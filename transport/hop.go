package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// A Hop is one element of the next hop of a plan: whom a delivery connects to.
type Hop struct {
	Name string     `json:"name"`             // in A-labels and lower case; of an address its text
	Addr netip.Addr `json:"address,omitzero"` // if the element is an address
	MX   bool       `json:"mx,omitempty"`     // the mail exchangers of Name, not Name itself
}

// Hops are the elements of the next hop, in its order. A plan by a transport that
// is not over SMTP has none.
func (p *Plan) Hops() ([]Hop, error) {
	if p.Definition.Base != baseSMTP {
		return nil, nil
	}
	hops, err := parseNexthops(p.Nexthop, 0)
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	all := make([]Hop, len(hops))
	for i, h := range hops {
		all[i] = Hop{Name: strings.ToLower(h.name), Addr: h.addr, MX: !h.fixed}
	}
	return all, nil
}

// LookupFailed reports whether a table could not answer, so that nothing is known of
// what the plan would have been.
func (e *PlanError) LookupFailed() bool {
	var failed lookupError
	return errors.As(e.Err, &failed)
}
