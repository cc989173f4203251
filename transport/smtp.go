package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
)

// SMTP is the [Transport] with the base "smtp": it delivers to the hosts of the
// plan's next hop (RFC 5321 section 5), from the plan's source, at the plan's TLS
// level.
//
// The hosts of a next hop are tried by preference, equals in random order: at most
// five addresses, and two that got past the greeting. A recipient that is refused for
// now is offered to the next host; one that is refused for good, or taken, is
// settled. A greeting of class 5 is a refusal for now.
//
// Mail leaves from the address of the plan's source or not at all, and a TLS level is
// never lowered. A password is sent over TLS alone. Mail for a domain whose
// exchanger we are ourselves, or whose exchangers have addresses of private networks
// only, is not sent there. An address literal that is the domain of a recipient counts
// as such an exchanger, for anybody can write one.
//
// Connections are kept for five seconds, and for up to a hundred messages in five
// minutes, for mail with the same source, host, TLS level and credential. Recipients
// that a transaction has no room for, by the limits the host declares (RFC 9422) or by
// its word that there are too many, go in the next. An interrupted delivery is
// reported as not tried, unless a peer has spoken or may have taken the message.
//
// The fields must not change while the SMTP is in use. Its methods may be called from
// many goroutines at once. Call Close at the end.
type SMTP struct {
	// Hostname is our name: in EHLO unless the source has one, and among mail
	// exchangers. Required.
	Hostname string

	// Network opens the connections; if nil, [System].
	Network Network

	// Resolver finds the hosts; if nil, a [DNS] with the servers of the system.
	Resolver Resolver

	// Port is where SMTP servers listen; if zero, 25. A next hop can name
	// another; on 465 TLS comes before the greeting, whatever the level.
	Port uint16

	// Listeners returns the addresses and ports of our own listeners, no
	// wildcards among them (see [ListenerAddrs]). A mail exchanger there, or a
	// next hop in brackets, is ourselves. If nil, none is known.
	Listeners func() []netip.AddrPort

	// AllowPrivate allows mail exchangers that the DNS finds at private,
	// loopback and such addresses, and recipients at literals of them. Next
	// hops in brackets and smart hosts may have them anyway.
	AllowPrivate bool

	// TLSConfig is cloned for each handshake; what is about the certificate of the
	// host is set by the level, but for RootCAs, which are trusted instead of those
	// of the system. If it names no least version and the plan neither: TLS 1.2, and
	// 1.0 where mail may go in clear, for what is older is better than that.
	TLSConfig *tls.Config

	// TLSA finds the records that the levels dane and dane-only go by. If nil,
	// there is no DNSSEC: dane is may, and dane-only defers.
	TLSA TLSAFinder

	// STS finds the MTA-STS policy of a next-hop domain. If nil, none is asked for.
	STS STSFinder

	// Tally counts what becomes of TLS; if nil, nobody does.
	Tally *TLSTally

	// Tokens gets access tokens for credentials without a password of their own.
	// If nil, their mail waits.
	Tokens Tokener

	// Timeouts for the steps of the dialogue. The timeouts of a plan's
	// definition come before these.
	Timeouts Timeouts

	// Log gets what a person should look at, trouble with our own content and
	// configuration, and each handshake. If nil, nobody does.
	Log *slog.Logger

	store    *LMTP // whose dialogue this is; nil: it is SMTP
	pool     pool
	logins   logins
	fallback DNS
	warned   sync.Once // that there is no DANE
}

// Close ends the connections that are kept. Deliveries after it work, but keep none.
func (s *SMTP) Close() error {
	s.pool.close()
	return nil
}

// Deliver implements [Transport].
func (s *SMTP) Deliver(ctx context.Context, d *Delivery) Report {
	p := &pass{s: s, d: d, report: make(Report, len(d.Envelope.Recipients))}
	for i := range d.Envelope.Recipients {
		p.left = append(p.left, i)
	}
	hops, o := s.prepare(d)
	if o.Reply.Code != 0 {
		return d.All(o)
	}
	for _, h := range hops {
		if p.over(ctx) {
			break
		}
		p.nexthop(ctx, h)
	}
	p.interrupted(ctx)
	return p.report
}

// prepare reads the plan. An outcome with a reply says what is wrong with it.
func (s *SMTP) prepare(d *Delivery) ([]nexthop, Outcome) {
	local := func(o Outcome) ([]nexthop, Outcome) {
		o.Local = true
		return nil, o
	}
	if err := (TLSPolicy{d.Plan.TLS, d.Plan.TLSTerms}).Check(); err != nil {
		return local(Outcome{Reply: misconfigured("%v", err).reply})
	}
	if s.helo(&d.Plan) == "" {
		return local(deferral("4.3.5", "no name to say in EHLO is configured"))
	}
	hops, err := s.nexthops(&d.Plan)
	if err != nil {
		return local(deferral("4.3.5", "%v", err))
	}
	return hops, Outcome{}
}

// A pass is one attempt: the recipients that are left, from host to host.
type pass struct {
	s      *SMTP
	d      *Delivery
	left   []int // indexes of recipients that are not settled
	report Report

	// While a host is asked, left are those it has refused for now, and:
	now   []int // those of the present transaction
	later []int // those whom the next ones are for

	// What is known of the next hop that is tried now.
	nexthopNow nexthop
	sts        STSFacts
	records    map[endpoint]TLSAFacts
	demands    []demanded
}

// An endpoint is a host by name, and a port: what TLSA records are about.
type endpoint struct {
	host string
	port uint16
}

// A demanded is what was found to be demanded of a host, of which a next hop has few; an outcome with a reply says
// that it cannot be had.
type demanded struct {
	host    host
	demand  demand
	outcome Outcome
}

// over reports whether there is nothing left to do, or no time to do it.
func (p *pass) over(ctx context.Context) bool { return len(p.left) == 0 || ctx.Err() != nil }

// nexthop tries the hosts of one next hop.
func (p *pass) nexthop(ctx context.Context, h nexthop) {
	hosts, o := p.s.hosts(ctx, h, &p.d.Plan)
	if len(hosts) == 0 {
		p.unfound(ctx, h, o)
		return
	}
	if p.policy(ctx, h); p.sts.Pending {
		p.undecided()
		return
	}
	sessions := 0
	for _, x := range p.known(ctx, hosts) {
		if p.over(ctx) || sessions == maxSessions {
			return
		}
		if p.host(ctx, x) {
			sessions++
		}
	}
}

// undecided hands back those of whom nothing is known: what the hosts of this next hop
// have to prove is being found out, and no worker waits for that.
func (p *pass) undecided() {
	for _, i := range p.left {
		if p.report[i].NotTried() {
			p.report[i] = Outcome{RetryAfter: stsWait}
		}
	}
}

// unfound notes that a next hop has no hosts. The name of a smart host is our own
// affair: mail waits until it is set right.
func (p *pass) unfound(ctx context.Context, h nexthop, o Outcome) {
	if ctx.Err() != nil {
		return
	}
	if p.d.Plan.SmartHost && o.Failed() {
		p.s.log().LogAttrs(ctx, slog.LevelWarn, "smart host configuration problem",
			slog.String("nexthop", h.String()), slog.String("reply", o.Reply.Error()))
		o = deferral("4.3.5", "smart host configuration problem: %s", o.Reply.Text)
		o.Local = true
	}
	for _, i := range p.left {
		p.note(i, o)
	}
}

// note notes why a recipient is not settled by a host. What a peer said tells more
// than that another could not be reached. Where one host had a session, the trouble
// of the others is not the destination's. A failure without a transaction is one only
// where all hosts agree: another may work later.
func (p *pass) note(i int, o Outcome) {
	was := &p.report[i]
	switch {
	case o.Failed() && was.Deferred():
	case was.Host == "":
		*was = o
	case o.Host != "", was.Failed() && o.Deferred():
		o.Destination = o.Destination && was.Destination
		*was = o
	}
}

// settleAll settles all that a host was to be offered, for this attempt at least.
func (p *pass) settleAll(o Outcome) {
	for _, some := range [][]int{p.now, p.later} {
		for _, i := range some {
			p.report[i] = o
		}
	}
	p.now, p.later = nil, nil
}

// interrupted reports those whom nobody has answered before the context was cancelled
// as not tried. Time that ran out is another matter: the hosts took it.
func (p *pass) interrupted(ctx context.Context) {
	if ctx.Err() == nil {
		return
	}
	for _, i := range p.left {
		cancelled := errors.Is(ctx.Err(), context.Canceled)
		switch o := p.report[i]; {
		case o.Host != "" && !o.Failed():
		case cancelled:
			p.report[i] = Outcome{}
		case o.NotTried(), o.Failed(): // hosts are left that might have taken it
			p.report[i] = deferral("4.4.2", "the delivery took too long")
		}
	}
}

// known puts a host with a kept session in front of those of the same preference.
func (p *pass) known(ctx context.Context, hosts []host) []host {
	for i, x := range hosts {
		if x.preference != hosts[0].preference {
			break
		}
		need, no := p.demand(ctx, x)
		if no.Reply.Code == 0 && p.s.pool.has(p.s.key(&p.d.Plan, x, need.key)) {
			return slices.Insert(slices.Delete(hosts, i, i+1), 0, x)
		}
	}
	return hosts
}

func (s *SMTP) key(plan *Plan, x host, need demandKey) sessionKey {
	return sessionKey{
		source: plan.Source, host: x.name, addr: x.addr, tls: need,
		credential: plan.Credential.conceal(), helo: s.helo(plan), socket: x.socket,
	}
}

func (s *SMTP) helo(plan *Plan) string {
	return cmp.Or(plan.Source.HELO, plan.HELO, s.Hostname)
}

// roots are the certificates that are trusted; nil: those of the system.
func (s *SMTP) roots() *x509.CertPool {
	if s.TLSConfig == nil {
		return nil
	}
	return s.TLSConfig.RootCAs
}

func (s *SMTP) port() uint16 {
	if s.Port == 0 {
		return 25
	}
	return s.Port
}

func (s *SMTP) network() Network {
	if s.Network == nil {
		return System{}
	}
	return s.Network
}

func (s *SMTP) resolver() Resolver {
	if s.Resolver == nil {
		return &s.fallback
	}
	return s.Resolver
}

func (s *SMTP) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}
