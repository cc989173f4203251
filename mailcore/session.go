package mailcore

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"

	"github.com/emersion/go-sasl"

	"github.com/panelmail/panelmail/internal/smtpserver"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// smtpDesk answers the sessions of one SMTP listener.
type smtpDesk struct {
	desk *desk
	kind Kind
}

// NewSession implements smtpserver.Handler.
func (d smtpDesk) NewSession(_ context.Context, c *smtpserver.Conn) (smtpserver.Session, error) {
	client := c.ClientIP()
	s := &smtpSession{desk: d.desk, conn: c, client: client, trusted: d.desk.trusts(client)}
	if d.kind == SMTP {
		s.gate = d.desk.newGate(client, s.trusted)
		// RFC 2920: only what answered EHLO with PIPELINING may be sent ahead, and
		// never the content.
		s.gate.pipelined = func(data bool) bool { return c.Pipelined() && (data || !c.ESMTP()) }
	}
	return s, nil
}

// trusts reports whether clients at an address may relay without logging in.
func (s *desk) trusts(client netip.Addr) bool { return inAny(s.config.RelayNetworks, client) }

// smtpSession is one client's connection.
type smtpSession struct {
	desk    *desk
	conn    *smtpserver.Conn
	client  netip.Addr
	trusted bool
	who     Identity // zero until it has logged in
	gate    *gate    // nil at the submission doors
}

// Mechanisms implements smtpserver.Authenticator.
func (*smtpSession) Mechanisms() []string { return mechanisms() }

// Auth implements smtpserver.Authenticator.
func (s *smtpSession) Auth(ctx context.Context, mech string) (sasl.Server, error) {
	return s.desk.exchange(ctx, s.client, mech, func(id Identity) { s.who = id })
}

// Mail implements smtpserver.Session.
func (s *smtpSession) Mail(ctx context.Context, from string, p smtpserver.MailParams) (smtpserver.Transaction, error) {
	d, err := s.desk.smtpDraft(ctx, s.who, s.trusted, envelopeOf(from, p))
	if err != nil {
		return nil, err
	}
	d.origin.Client, d.origin.HELO = s.client.String(), s.conn.HELO()
	d.protocol, d.tls, d.size = s.conn.Protocol(), describeTLS(s.conn.TLS()), p.Size
	return &transaction{desk: s.desk, draft: d, relay: d.ours, gate: s.gate}, nil
}

// smtpDraft begins a message that came over SMTP. The error is a reply.
func (s *desk) smtpDraft(ctx context.Context, who Identity, trusted bool, e transport.Envelope) (*draft, error) {
	site := who.Site
	switch {
	case who.Login != "":
		if err := s.loginMaySend(ctx, who, e.ReversePath); err != nil {
			return nil, err
		}
	case trusted:
		// Whom the panel trusts to relay it trusts to say who writes.
		settings, err := s.sites.Current(ctx)
		if err != nil {
			return nil, lookupFailure(e.ReversePath, err)
		}
		site = settings.SiteOf(e.ReversePath)
	}
	var w writer
	if who.Login != "" {
		w = writer{site: who.Site, login: who.Login}
	}
	return &draft{
		envelope: e,
		writer:   w,
		origin:   transport.Origin{Site: site, Login: who.Login, Via: transport.ViaSMTP, UID: -1},
		ours:     trusted || who.Login != "",
	}, nil
}

// loginMaySend reports, as a reply, why a login may not use a reverse-path.
func (s *desk) loginMaySend(ctx context.Context, who Identity, sender string) error {
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return lookupFailure(sender, err)
	}
	switch site, ok := settings.Site(who.Site); {
	case !ok && who.Site != "":
		return unknownSite(who.Site)
	case site.Suspended:
		return suspended(who.Site)
	}
	if err := s.stillThere(ctx, who); err != nil {
		return err
	}
	if sender != "" && !settings.LoginOwns(who.Site, who.Login, sender) {
		return transport.Replyf(553, "5.7.1", "<%s>: Sender address rejected: not owned by user %s", sender, who.Login)
	}
	return nil
}

// stillThere reports, as a reply, whether a login of the settings was removed
// after it authenticated. Logins of a panel's own Authenticator are its own
// affair.
func (s *desk) stillThere(ctx context.Context, who Identity) error {
	if s.config.Authenticator != nil {
		return nil
	}
	l, err := s.sites.Login(ctx, who.Login)
	switch {
	case err == nil && l.Site == who.Site:
		return nil
	case err == nil || errors.Is(err, sites.ErrNotFound):
		return transport.Replyf(550, "5.7.1", "the login %s was removed", who.Login)
	}
	return lookupFailure(who.Login, err)
}

// Close implements smtpserver.Session.
func (*smtpSession) Close() {}

// transaction is one message on its way in, over SMTP or the sendmail socket.
type transaction struct {
	desk  *desk
	draft *draft
	relay bool
	gate  *gate // nil: no restrictions
}

// Lenient says that bare line feeds of our own submitters are mended instead of
// refused.
func (t *transaction) Lenient() bool { return t.draft.ours }

// Rcpt implements smtpserver.Transaction.
func (t *transaction) Rcpt(ctx context.Context, to string, p smtpserver.RcptParams) error {
	relay := t.relay
	if t.gate != nil {
		named, err := t.gate.rcpt(ctx, t.draft, to)
		if err != nil {
			return err
		}
		relay = relay || named
	}
	a, err := t.desk.recipient(ctx, t.draft, to, relay)
	if err != nil {
		return err
	}
	return t.draft.add(to, a, transport.Notify(p.Notify), p.ORcpt)
}

// Ready implements smtpserver.GatedTransaction.
func (t *transaction) Ready(ctx context.Context) error {
	if t.gate == nil {
		return nil
	}
	return t.gate.data(ctx, t.draft)
}

// Data implements smtpserver.Transaction.
func (t *transaction) Data(ctx context.Context, content io.Reader) (queuedAs string, err error) {
	return t.desk.store(ctx, t.draft, content)
}

// Abort implements smtpserver.Transaction. Nothing is kept before Data.
func (*transaction) Abort() {}

func envelopeOf(from string, p smtpserver.MailParams) transport.Envelope {
	return transport.Envelope{
		ReversePath: from,
		SMTPUTF8:    p.UTF8,
		Body:        transport.Body(p.Body),
		Ret:         transport.Ret(p.Ret),
		EnvID:       p.EnvID,
		RequireTLS:  p.RequireTLS,
	}
}

func describeTLS(state *tls.ConnectionState) string {
	if state == nil {
		return ""
	}
	return tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
}
