package transport

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// planSecurity decides the credential and the TLS level. Without a network there is
// no use for either.
func (p *Planner) planSecurity(ctx context.Context, q Query, plan *Plan) error {
	if plan.offNetwork() {
		if plan.Definition.stores() {
			plan.TLS = TLSNone
		}
		plan.because("credential", "no network")
		plan.because("tls", "no network")
		return nil
	}
	if err := p.planCredential(ctx, q, plan); err != nil {
		return err
	}
	return p.planTLS(ctx, q, plan)
}

// planCredential decides the credential: that of the next hop as written, else that
// of each element of the list. Elements that differ have none in common, and which
// of them will answer is not known yet.
func (p *Planner) planCredential(ctx context.Context, q Query, plan *Plan) error {
	whole, err := p.askCredential(ctx, q, plan.Nexthop)
	if err != nil {
		return err
	}
	if list := listed(plan.Nexthop); !whole.ok {
		for i, element := range list {
			found, err := p.askCredential(ctx, q, element)
			switch {
			case err != nil:
				return err
			case i == 0:
				whole = found
			case found.credential != whole.credential:
				return &PlanError{Part: "credential", Rule: cmp.Or(found.rule, whole.rule), Err: fmt.Errorf(
					"the next hops %s and %s stand in one list and have different credentials", list[0], element)}
			}
		}
	}
	plan.Credential = whole.credential
	plan.because("credential", cmp.Or(whole.rule, defaultRule))
	return nil
}

// A foundCredential is what the credentials say about one next hop.
type foundCredential struct {
	credential Credential
	rule       string
	ok         bool
}

func (p *Planner) askCredential(ctx context.Context, q Query, nexthop string) (f foundCredential, err error) {
	if p.Credentials == nil {
		return f, nil
	}
	c, rule, ok, err := p.Credentials.Credential(ctx, q, nexthop)
	switch {
	case err != nil:
		return f, &PlanError{Part: "credential", Rule: rule, Err: lookupError{err}}
	case !ok:
		return f, nil
	}
	return foundCredential{c, rule, true}, nil
}

// planTLS decides the TLS policy. A level that is not known is an error, never a
// lower one. A message can ask for delivery whatever the policy says (RFC 8689 section
// 5), but not for a password in clear.
func (p *Planner) planTLS(ctx context.Context, q Query, plan *Plan) error {
	policy, rule := TLSPolicy{Level: cmp.Or(p.DefaultTLS, TLSMay)}, p.name("DefaultTLS", p.DefaultTLS != "")
	if own := plan.Definition.TLS; own != "" {
		policy.Level, rule = own, plan.own()
	}
	policy, rule, err := p.nexthopTLS(ctx, q, plan.Nexthop, policy, rule)
	if err != nil {
		return err
	}
	if strictness(policy.Level) < strictness(TLSEncrypt) && plan.Credential != (Credential{}) {
		rule = fmt.Sprintf("a credential needs encrypt, not %s (%s)", policy.Level, rule)
		policy.Level = TLSEncrypt
	}
	if q.TLSOptional && !q.RequireTLS && strictness(policy.Level) > strictness(TLSMay) && plan.Credential == (Credential{}) {
		rule = fmt.Sprintf("the message says TLS-Required: no, not %s (%s)", policy.Level, rule)
		policy = TLSPolicy{Level: TLSMay}
	}
	policy.Required = q.RequireTLS
	plan.TLS, plan.TLSTerms = policy.Level, policy.TLSTerms
	plan.because("tls", rule)
	return nil
}

// nexthopTLS is the policy for a next hop as written. For a list it is that of the
// element whose policy covers those of the others, for a plan has one policy; an
// element without one has that of the whole list. The MTA-STS policies count if they do
// for one element. What is given holds where there is no policy at all.
func (p *Planner) nexthopTLS(ctx context.Context, q Query, nexthop string, policy TLSPolicy, rule string) (TLSPolicy, string, error) {
	policy.Published = slices.ContainsFunc(elements(nexthop), func(e string) bool { return !strings.HasPrefix(e, "[") })
	whole, wholeRule, err := p.askTLS(ctx, q, nexthop, policy, rule)
	if err != nil {
		return TLSPolicy{}, "", err
	}
	policy, rule = whole, wholeRule
	strictest := ""
	for i, element := range listed(nexthop) {
		one, r, err := p.askTLS(ctx, q, element, whole, wholeRule)
		published := one.Published || i > 0 && policy.Published
		switch {
		case err != nil:
			return TLSPolicy{}, "", err
		case i == 0 || !policy.covers(one) && one.covers(policy):
			policy, rule, strictest = one, r, element
		case !policy.covers(one):
			return TLSPolicy{}, "", &PlanError{Part: "tls", Rule: r, Err: fmt.Errorf(
				"the next hops %s and %s stand in one list, and neither TLS policy covers the other", strictest, element)}
		}
		policy.Published = published
	}
	return policy, rule, nil
}

// askTLS is the policy for one next hop, or what holds without one.
func (p *Planner) askTLS(ctx context.Context, q Query, nexthop string, policy TLSPolicy, rule string) (TLSPolicy, string, error) {
	if p.TLS != nil {
		found, because, ok, err := p.TLS.TLSPolicy(ctx, q, nexthop)
		if err != nil {
			return TLSPolicy{}, "", &PlanError{Part: "tls", Rule: because, Err: lookupError{err}}
		}
		if ok {
			policy, rule = found, because
			policy.Required = false
		}
	}
	if err := policy.Check(); err != nil {
		return TLSPolicy{}, "", &PlanError{Part: "tls", Rule: rule, Err: err}
	}
	return policy, rule, nil
}
