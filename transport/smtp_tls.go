package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/panelmail/panelmail/internal/smtpclient"
)

// A TLSSession says how a delivery was protected on its way to the host. The zero
// TLSSession says that it went in clear.
type TLSSession struct {
	Version string // TLSv1.3; empty: in clear
	Cipher  string // the suite, by its IANA name
	Trust   Trust
}

// String is the session as in logs.
func (t TLSSession) String() string {
	if t == (TLSSession{}) {
		return ""
	}
	return fmt.Sprintf("%s %s with cipher %s", t.Trust, t.Version, t.Cipher)
}

// sessionOf describes a handshake.
func sessionOf(state *tls.ConnectionState, trust Trust) TLSSession {
	version := map[uint16]string{
		tls.VersionTLS10: "TLSv1", tls.VersionTLS11: "TLSv1.1", tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3",
	}[state.Version]
	return TLSSession{Version: version, Cipher: tls.CipherSuiteName(state.CipherSuite), Trust: trust}
}

// demand is what the plan demands of a host, now. It asks for what is published about
// the host if that counts.
func (p *pass) demand(ctx context.Context, h host) (demand, Outcome) {
	for i := range p.demands {
		if known := &p.demands[i]; known.host == h {
			return known.demand, known.outcome
		}
	}
	d, out := p.demandNow(ctx, h)
	p.demands = append(p.demands, demanded{h, d, out})
	return d, out
}

func (p *pass) demandNow(ctx context.Context, h host) (demand, Outcome) {
	if h.socket != "" {
		return demand{}, Outcome{} // nobody else is on the way
	}
	c := &candidate{nexthop: p.nexthopNow, host: h.name, port: h.addr.Port()}
	c.facts = Facts{MXSecure: h.secure, STS: p.sts}
	if plan := &p.d.Plan; plan.TLS == TLSDANE || plan.TLS == TLSDANEOnly {
		c.facts.TLSA = p.tlsa(ctx, h)
		if plan.TLS == TLSDANE && c.facts.TLSA.Status == DNSSECUnknown {
			p.s.warned.Do(func() { p.s.log().Warn("TLS level dane is may: there is no resolver whose validation is trusted") })
		}
	}
	d, no := p.d.Plan.demand(c, p.d.Envelope.RequireTLS)
	if no == nil {
		return d, Outcome{}
	}
	if no.kind != "" {
		p.s.Tally.failure(d.policy, no.kind, h.name, h.addr.Addr().String(), no.reply.Text, time.Now())
	}
	return d, Outcome{Reply: no.reply, Local: no.local}
}

// tlsa asks for the records of a host, once in a pass.
func (p *pass) tlsa(ctx context.Context, h host) TLSAFacts {
	if p.s.TLSA == nil {
		return TLSAFacts{}
	}
	at := endpoint{h.name, h.addr.Port()}
	f, known := p.records[at]
	if !known {
		f = p.s.TLSA.TLSA(ctx, at.host, at.port)
		if p.records == nil {
			p.records = make(map[endpoint]TLSAFacts)
		}
		p.records[at] = f
	}
	return f
}

// policy asks for the MTA-STS policy of a next hop, if the plan goes by it.
func (p *pass) policy(ctx context.Context, h nexthop) {
	p.nexthopNow, p.sts, p.demands = h, STSFacts{}, nil
	plan := &p.d.Plan
	if p.s.STS == nil || !plan.TLSTerms.Published || h.fixed || plan.TLS == TLSNone {
		return
	}
	p.sts = p.s.STS.STS(ctx, h.name)
	if kind := p.sts.Trouble; kind != "" {
		p.s.Tally.failure(tlsPolicyID{kind: STSTLSPolicy, domain: h.name, text: stsText(&p.sts)}, kind, "", "", p.sts.Detail, time.Now())
	}
}

// tlsConfig is that of a handshake. What the host proves is judged by us, as the
// demand says.
func (o *opening) tlsConfig() *tls.Config {
	config := &tls.Config{}
	if o.s.TLSConfig != nil {
		config = o.s.TLSConfig.Clone()
	}
	least := uint16(tls.VersionTLS12)
	if o.need.use != tlsRequired {
		least = tls.VersionTLS10
	}
	switch {
	case o.need.terms.min != 0:
		config.MinVersion = o.need.terms.min
	case config.MinVersion == 0:
		config.MinVersion = least
	}
	if o.need.terms.ciphers != nil {
		config.CipherSuites = o.need.terms.ciphers
	}
	config.ServerName = o.need.server
	config.InsecureSkipVerify = true
	config.VerifyConnection = o.judge
	return config
}

// judge decides whether the host has proved what is demanded. Its error ends the
// handshake, before the host has heard anything from us.
func (o *opening) judge(state tls.ConnectionState) error {
	roots := o.s.roots()
	trust, err := o.need.meets(state.PeerCertificates, roots)
	o.tls = sessionOf(&state, trust)
	if err == nil {
		o.fault = o.need.fault(state.PeerCertificates, roots)
	}
	return err
}

// startTLS does what is demanded: in clear where TLS is not to be had, or not at all.
// Behind a failed handshake there is nothing to go on with.
func (o *opening) startTLS(ctx context.Context, c *smtpclient.Client) Outcome {
	if c.TLSState() != nil {
		return o.established(ctx, c)
	}
	if o.need.use == tlsNever || o.clear {
		return Outcome{}
	}
	_, offered := c.Ext("STARTTLS")
	if !offered && o.need.use == tlsOffered {
		o.count(STARTTLSNotSupported, "STARTTLS is not offered")
		return Outcome{}
	}
	err := c.StartTLS(ctx, o.tlsConfig())
	var (
		refused *smtpclient.Refusal
		broke   *smtpclient.Error
	)
	switch {
	case err == nil:
		return o.established(ctx, c)
	case !offered && errors.As(err, &broke) && broke.Step == smtpclient.StepStartTLS:
		o.count(STARTTLSNotSupported, reason(broke.Err))
		return o.notOffered()
	case !errors.As(err, &refused):
		return o.broken(err, c.Transcript())
	case refused.Step != smtpclient.StepStartTLS:
		return o.refused(refused)
	}
	o.count(STARTTLSNotSupported, refused.Reply.String())
	switch {
	case !offered && refused.Reply.Code == 454:
		return o.notOffered()
	case !offered && unknownCommand(refused.Reply):
		return o.denied(o.notOffered())
	case !offered:
		return o.refused(refused)
	case refused.Reply.Code != 421 && o.need.use == tlsOffered:
		return Outcome{}
	}
	return o.notStarted(refused.Reply)
}

// notStarted is the outcome of a host that offers TLS, which is required, and refuses to
// start it. Anybody on the way can have said that, so mail waits, whatever the code.
func (o *opening) notStarted(r smtpclient.Reply) Outcome {
	out := o.said(deferral("4.7.4", "TLS is required, but host %s refused to start TLS: %s", o.h, r))
	switch r.Code / 100 {
	case 4:
		out.Reply.Code, out.Reply.Enhanced = r.Code, r.Enhanced
	case 5:
		out = o.denied(out)
	}
	return out
}

// unknownCommand reports whether a reply says no more than that a command is not
// known or not wanted there. Anything else is what the host has against us.
func unknownCommand(r smtpclient.Reply) bool {
	switch r.Code {
	case 500, 501, 502, 503, 504:
		return true
	}
	return false
}

func (o *opening) notOffered() Outcome {
	return o.said(deferral("4.7.4", "TLS is required, but was not offered by host %s", o.h))
}

// denied is the outcome of a host that made plain that TLS as demanded is not to be had
// of it. Where all hosts do, a message with REQUIRETLS does not wait for better days
// (RFC 8689 section 4.2.1); it does where a connection or a handshake broke.
func (o *opening) denied(out Outcome) Outcome {
	if o.need.promise {
		out.Reply.Code, out.Reply.Enhanced = 550, [3]int{5, 7, 10}
		out.Destination = false
	}
	return out
}

// established notes what a handshake came to.
func (o *opening) established(ctx context.Context, c *smtpclient.Client) Outcome {
	if o.fault != nil {
		o.count(kindOf(o.fault), o.fault.Error())
	} else {
		o.s.Tally.success(o.need.policy, time.Now())
	}
	o.s.log().LogAttrs(ctx, slog.LevelInfo, "TLS connection established",
		slog.String("trust", string(o.tls.Trust)), slog.String("host", o.h.String()), slog.Int("port", int(o.h.addr.Port())),
		slog.String("version", o.tls.Version), slog.String("cipher", o.tls.Cipher))
	if _, promises := c.Ext("REQUIRETLS"); o.need.promise && !promises {
		return o.said(Outcome{Reply: Replyf(550, "5.7.30", "REQUIRETLS is required, but was not offered by host %s", o.h)})
	}
	return Outcome{}
}

// unverified is the outcome of a host that did not prove what is demanded. The host may
// be good enough for others.
func (o *opening) unverified(why *distrust) Outcome {
	o.count(why.kind, why.text)
	out := o.denied(o.said(deferral("4.7.5", "Server certificate not verified: host %s: %s", o.h, why.text)))
	out.Destination = false
	return out
}

// count counts a failure of this session.
func (o *opening) count(kind TLSFailureKind, detail string) {
	o.s.Tally.failure(o.need.policy, kind, o.h.name, o.h.addr.Addr().String(), detail, time.Now())
}

func kindOf(err error) TLSFailureKind {
	if d, ok := errors.AsType[*distrust](err); ok {
		return d.kind
	}
	return ValidationFailure
}
