package transport

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// defaultRule is the rule of a part that no table decided.
const defaultRule = "default"

const (
	defaultLimit   = 20 // deliveries at once in a lane
	defaultInitial = 5  // deliveries at once that a lane begins with
)

// A Planner decides how mail leaves. It is a pure function of its parts: it asks
// no network and no clock, and what asks it, delivery or a person, gets the same
// answer. All fields are optional, and none may change while it is in use.
//
// Where to is decided in this order: Routes, which asks the recipient; the next
// hop written in Defaults or Default; SmartHosts, which asks the sender; SmartHost;
// the recipient domain. A route with a transport and no next hop resets to the
// recipient domain, past every smart host; a route with a next hop alone keeps
// the transport (transport(5)).
//
// Where from is decided by Sources alone. No route changes it.
type Planner struct {
	// Hostname completes recipients without a domain, and is where the null
	// recipient is mailer-daemon; if empty, such recipients cannot be planned.
	Hostname string

	// Transports are the transports that routes may name; if nil, those of
	// [Builtin]. A route that names another defers the recipient.
	Transports Definitions

	// Named knows more transports, and is asked before Transports is; if nil, nobody
	// is.
	Named Definer

	// Routes is the transport map; if nil, there is none.
	Routes Router

	// Defaults says by which transport the mail of a sender goes when Routes
	// does not, and to which next hop. Unlike Routes, an empty next hop leaves
	// the smart host in force (sender_dependent_default_transport_maps of
	// Postfix). If nil, Default does.
	Defaults Router

	// Default is the transport of mail that no table knows, with a next hop or
	// without; if zero, smtp.
	Default Route

	// SmartHosts names a smart host by sender; if nil, or if it has nothing to
	// say, SmartHost is used.
	SmartHosts SmartHoster

	// SmartHost is the next hop of all mail that has no other, in Postfix
	// syntax; if empty, mail goes to the recipient domain.
	SmartHost string

	// Sources says where mail leaves from; if nil, the system's choice.
	Sources Sourcer

	// Credentials finds the credential for a next hop; if nil, none is used.
	// With a credential the TLS level is encrypt at least. The elements of a
	// list must have the same, or the recipient is deferred.
	Credentials Credentialer

	// TLS finds the TLS policy of a next hop; if nil, or if it has nothing to
	// say, DefaultTLS holds. In a list the policy of one
	// element must cover those of the others, as verify covers encrypt and
	// encrypt covers may, and then holds for all; or the recipient is deferred.
	TLS TLSPolicer

	// DefaultTLS is the level without a policy; if empty, may.
	DefaultTLS TLSLevel

	// Names is what the settings are called that became the fields of this planner,
	// by field: what a plan gives as the rule of a part that no table decided. If
	// there is no entry, "Planner." and the field.
	Names map[string]string

	// Limit is how many deliveries go in one lane at once, by transports
	// without a limit of their own; if zero, 20.
	Limit int

	// InitialConcurrency is how many deliveries at once a lane begins with, before
	// anything is known of its destination; if zero, 5. It is cut down to the limit.
	InitialConcurrency int

	// Destination maps a next hop to the key of its destination, so that
	// domains behind one set of exchangers share a lane. It must not block. If
	// nil, or if it returns "", a next hop is a destination by itself: in lower
	// case, otherwise as written.
	Destination func(nexthop string) string
}

// A PlanError says which part of a plan could not be made, and which rule asked
// for it.
type PlanError struct {
	Part string // as in [Because]
	Rule string // empty if there was none
	Err  error
}

// Error is part: problem (rule).
func (e *PlanError) Error() string {
	if e.Rule == "" {
		return fmt.Sprintf("%s: %v", e.Part, e.Err)
	}
	return fmt.Sprintf("%s: %v (%s)", e.Part, e.Err, e.Rule)
}

// Unwrap returns Err.
func (e *PlanError) Unwrap() error { return e.Err }

// Plan plans the delivery to one recipient. An error is a [*PlanError]; unless
// it wraps a [Reply] of class 5 it means that the recipient is to be deferred.
func (p *Planner) Plan(ctx context.Context, q Query) (Plan, error) {
	domain, err := p.complete(&q)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Because: make([]Because, 0, parts)}
	if err := p.planWhere(ctx, q, domain, &plan); err != nil {
		return Plan{}, err
	}
	if err := p.planSource(ctx, q, &plan); err != nil {
		return Plan{}, err
	}
	q.BySender = plan.BySender
	if err := p.planSecurity(ctx, q, &plan); err != nil {
		return Plan{}, err
	}
	p.planLimits(&plan)
	return plan, nil
}

// Label is what a recipient is filed under in the queue: the key of the source,
// "/", and the name of the next hop. It is cheap and never fails; what cannot be
// planned now is filed under the recipient domain. The label decides nothing:
// the plan made at each attempt does.
func (p *Planner) Label(ctx context.Context, q Query) string {
	domain, err := p.complete(&q)
	if err != nil {
		return "/"
	}
	plan := Plan{Because: make([]Because, 0, parts)}
	if p.planWhere(ctx, q, domain, &plan) != nil || p.planSource(ctx, q, &plan) != nil {
		return "/" + domain
	}
	return plan.Source.Key() + "/" + plan.nexthopKey()
}

// complete adds to the recipient what it lacks, and returns its domain in the form
// in which it is a next hop. That is empty for a bare postmaster, if nothing is
// known to complete it with.
func (p *Planner) complete(q *Query) (domain string, err error) {
	if p.Hostname != "" {
		q.Recipient = cmp.Or(q.Recipient, "mailer-daemon")
		if !strings.Contains(q.Recipient, "@") {
			q.Recipient += "@" + p.Hostname
		}
	}
	a, err := address.Parse(q.Recipient)
	if err != nil {
		return "", &PlanError{Part: "nexthop", Err: Replyf(501, "5.1.3", "Bad recipient address syntax: %v", err)}
	}
	return a.Fold().Domain, nil
}

// planWhere decides the transport and the next hop.
func (p *Planner) planWhere(ctx context.Context, q Query, domain string, plan *Plan) error {
	w := where{route: p.Default, transportRule: defaultRule, nexthopRule: defaultRule}
	w.route.Transport = cmp.Or(w.route.Transport, "smtp")
	if err := w.ask(ctx, p.Defaults, q, false); err != nil {
		return err
	}
	if err := w.ask(ctx, p.Routes, q, true); err != nil {
		return err
	}
	definition, ok, err := p.definition(ctx, w.route.Transport)
	if err != nil {
		return &PlanError{Part: "transport", Rule: w.transportRule, Err: lookupError{err}}
	}
	if !ok {
		return &PlanError{Part: "transport", Rule: w.transportRule, Err: unknownTransport(w.route.Transport)}
	}
	if a, ok := answers[definition.Base]; ok {
		w.route.Nexthop = cmp.Or(w.route.Nexthop, a.text)
	}
	if w.route.Nexthop == "" && !w.direct && !definition.stores() {
		if err := p.smartHost(ctx, q, &w); err != nil {
			return err
		}
	}
	if w.route.Nexthop == "" {
		w.route.Nexthop, w.byRecipient, plan.Direct = domain, true, true
	}
	if w.route.Nexthop == "" {
		return &PlanError{Part: "nexthop", Err: fmt.Errorf("%s has no domain", q.Recipient)}
	}
	plan.Transport, plan.Definition = w.route.Transport, definition
	plan.Nexthop, plan.SmartHost = w.route.Nexthop, w.smartHost
	plan.because("transport", w.transportRule)
	plan.because("nexthop", w.nexthopRule)
	plan.BySender = !w.byRecipient
	return nil
}

// where is a decision about transport and next hop in the making.
type where struct {
	route         Route
	direct        bool // an empty next hop is the recipient domain, past smart hosts
	smartHost     bool
	byRecipient   bool // the next hop is the recipient's domain, or what the map says of that
	transportRule string
	nexthopRule   string
}

// ask puts a router's answer over what was decided so far. reset says that an
// empty next hop beside a transport is the recipient domain, which is where the
// transport map and the defaults by sender differ.
func (w *where) ask(ctx context.Context, r Router, q Query, reset bool) error {
	if r == nil {
		return nil
	}
	route, rule, ok, err := r.Route(ctx, q)
	if err != nil {
		return &PlanError{Part: "transport", Rule: rule, Err: lookupError{err}}
	}
	if !ok {
		return nil
	}
	if route.Transport != "" {
		w.route, w.transportRule, w.nexthopRule = Route{Transport: route.Transport}, rule, defaultRule
		w.direct = reset
		if reset {
			w.nexthopRule = rule
		}
	}
	if route.Nexthop != "" {
		w.route.Nexthop, w.nexthopRule, w.byRecipient = route.Nexthop, rule, reset
	}
	return nil
}

// smartHost fills the next hop in if a smart host is to be used.
func (p *Planner) smartHost(ctx context.Context, q Query, w *where) error {
	if p.SmartHosts != nil {
		nexthop, rule, ok, err := p.SmartHosts.SmartHost(ctx, q)
		if err != nil {
			return &PlanError{Part: "nexthop", Rule: rule, Err: lookupError{err}}
		}
		if ok {
			w.route.Nexthop, w.nexthopRule = nexthop, rule
			w.smartHost = nexthop != ""
			return nil
		}
	}
	if p.SmartHost != "" {
		w.route.Nexthop, w.nexthopRule, w.smartHost = p.SmartHost, p.name("SmartHost", true), true
	}
	return nil
}

// planSource decides where from. The recipient is kept from whoever is asked.
func (p *Planner) planSource(ctx context.Context, q Query, plan *Plan) error {
	sourceRule := defaultRule
	if p.Sources != nil {
		q.Recipient = ""
		source, rule, ok, err := p.Sources.Source(ctx, q)
		if err != nil {
			return &PlanError{Part: "source", Rule: rule, Err: lookupError{err}}
		}
		if ok {
			plan.Source, sourceRule = source, rule
		}
	}
	plan.because("source", sourceRule)
	plan.HELO = cmp.Or(plan.Source.HELO, p.Hostname)
	if plan.Source.HELO != "" {
		plan.because("helo", sourceRule)
	} else {
		plan.because("helo", p.name("Hostname", p.Hostname != ""))
	}
	return nil
}

// name is what the rule of a part is called that a field of the planner set.
func (p *Planner) name(field string, set bool) string {
	if !set {
		return defaultRule
	}
	if name := p.Names[field]; name != "" {
		return name
	}
	return "Planner." + field
}

// planLimits fills in what follows from the transport, the source and the next
// hop. A transport that needs no network has no limit but its own.
func (p *Planner) planLimits(plan *Plan) {
	d := &plan.Definition
	attemptsRule, limitRule, scheduleRule := defaultRule, p.name("Limit", p.Limit != 0), defaultRule
	if plan.Attempts = d.Attempts; d.Attempts > 0 {
		attemptsRule = plan.own()
	}
	plan.Limit = p.limit()
	if _, ok := answers[d.Base]; ok {
		plan.Limit, limitRule = 0, "no network"
	}
	if limit := d.limit(); limit > 0 {
		plan.Limit, limitRule = limit, plan.own()
	}
	plan.Initial = min(cmp.Or(d.InitialConcurrency, p.InitialConcurrency, defaultInitial), plan.Limit)
	if plan.Schedule = d.Schedule; d.Schedule != (Schedule{}) {
		scheduleRule = plan.own()
	}
	plan.because("attempts", attemptsRule)
	plan.because("limit", limitRule)
	plan.because("schedule", scheduleRule)
	var laneRule string
	plan.Destination, laneRule = p.destination(plan)
	plan.Lane = plan.Source.Key() + "/" + plan.Destination
	plan.because("lane", laneRule)
}

// destination is the key of the destination, and whence. A smart host is one by
// itself, whatever is behind its name.
func (p *Planner) destination(plan *Plan) (key, rule string) {
	d := &plan.Definition
	if _, ok := answers[d.Base]; !ok && p.Destination != nil && !plan.SmartHost && !d.stores() {
		if key := p.Destination(plan.Nexthop); key != "" {
			return key, "source and mail exchangers"
		}
	}
	return plan.nexthopKey(), "source and next hop"
}

// nexthopKey names the next hop in labels and lanes. Where the next hop is a
// text it is the transport, and so it is for Maildirs, which are on the same disks. A
// store is another destination than the mail exchanger at the same host.
func (p *Plan) nexthopKey() string {
	_, ok := answers[p.Definition.Base]
	switch {
	case ok, p.Definition.Base == baseMaildir:
		return p.Transport + ":"
	case p.Definition.Base == baseLMTP:
		return baseLMTP + ":" + p.Nexthop // of a path the case counts
	}
	return strings.ToLower(p.Nexthop)
}

func (p *Planner) limit() int { return cmp.Or(p.Limit, defaultLimit) }

func (p *Planner) definition(ctx context.Context, name string) (Definition, bool, error) {
	if p.Named != nil {
		if d, ok, err := p.Named.Definition(ctx, name); ok || err != nil {
			return d, ok, err
		}
	}
	definitions := p.Transports
	if definitions == nil {
		definitions = builtin
	}
	d, ok := definitions[name]
	return d, ok, nil
}

// own is the rule of a part that the definition of the transport decides.
func (p *Plan) own() string { return "transport " + p.Transport }

func (p *Plan) because(part, rule string) {
	p.Because = append(p.Because, Because{Part: part, Rule: rule})
}

func unknownTransport(name string) error { return fmt.Errorf("unknown transport %q", name) }

// A lookupError is the failure of a table. Its text is for the log alone.
type lookupError struct{ error }

func (e lookupError) Unwrap() error { return e.error }
