package mailcore

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/internal/smtpserver"
	"github.com/panelmail/panelmail/transport"
)

// Backend is the desk for a go-smtp server that the panel already runs, behind
// the same rules as the server's own listeners. Prefer those: a Backend cannot
// close what go-smtp v0.25 leaves open.
//
//   - CHUNKING is always offered by go-smtp, and it takes a chunk cut off by the
//     client for a whole one. So messages sent by BDAT are refused here with
//     502 5.5.1, which some peers (Exchange among them) do not expect.
//   - A DATA that stalls beyond ReadTimeout would have its rest executed as
//     commands: on a read error the Backend closes the connection. The client
//     sees no reply.
//   - MaxLineLength of the go-smtp server bounds command and body lines alike: set
//     it to 128 KiB. MaxMessageBytes should be one more than Config.MessageSize,
//     for go-smtp refuses a message of exactly its limit.
//   - A bare <postmaster>, a bare carriage return, limits of errors, of
//     connections and of AUTH tries on one: as go-smtp does. [Guard] holds.
//   - AUTH in mid-transaction is allowed by go-smtp; the sender was authorized at
//     MAIL, as whoever the client was then.
//
// ctx bounds everything the sessions do; use that of Run.
func (s *Server) Backend(ctx context.Context) smtp.Backend {
	return smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		desk, client := s.current(), addressOf(c.Conn().RemoteAddr())
		return &backendSession{ctx: ctx, desk: desk, conn: c, client: client, gate: desk.newGate(client, desk.trusts(client))}, nil
	})
}

// addressOf is the IP address of a peer; not valid if it has none.
func addressOf(peer net.Addr) netip.Addr {
	at, err := netip.ParseAddrPort(peer.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// backendSession is a go-smtp session at our desk.
type backendSession struct {
	ctx    context.Context
	desk   *desk
	conn   *smtp.Conn
	client netip.Addr
	who    Identity
	gate   *gate
	open   *transaction // nil outside a mail transaction
}

// AuthMechanisms implements smtp.AuthSession.
func (b *backendSession) AuthMechanisms() []string { return mechanisms() }

// Auth implements smtp.AuthSession.
func (b *backendSession) Auth(mech string) (sasl.Server, error) {
	e, err := b.desk.exchange(b.ctx, b.client, mech, func(id Identity) { b.who = id })
	if err != nil {
		return nil, err
	}
	return backendExchange{e}, nil
}

// backendExchange tells of failure as go-smtp wants it: else it would say that a
// wrong password is trouble of ours.
type backendExchange struct{ sasl.Server }

// Next implements sasl.Server.
func (e backendExchange) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = e.Server.Next(response)
	var reply transport.Reply
	switch {
	case err == nil:
	case errors.As(err, &reply):
		err = forGoSMTP(reply)
	case temporary(err):
		err = forGoSMTP(transport.Replyf(454, "4.7.0", "Temporary authentication failure"))
	default:
		err = forGoSMTP(transport.Replyf(535, "5.7.8", "Error: authentication failed"))
	}
	return challenge, done, err
}

// Mail implements smtp.Session.
func (b *backendSession) Mail(from string, o *smtp.MailOptions) error {
	if b.open != nil {
		return &smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "Error: nested MAIL command"}
	}
	from, err := requote(from)
	if err != nil {
		return forGoSMTP(transport.Replyf(501, "5.1.7", "Bad sender address syntax"))
	}
	d, err := b.desk.smtpDraft(b.ctx, b.who, b.desk.trusts(b.client), transport.Envelope{
		ReversePath: from,
		SMTPUTF8:    o.UTF8,
		Body:        transport.Body(o.Body),
		Ret:         transport.Ret(o.Return),
		EnvID:       o.EnvelopeID,
		RequireTLS:  o.RequireTLS,
	})
	if err != nil {
		return forGoSMTP(err)
	}
	d.origin.Client, d.origin.HELO = b.client.String(), strings.ToValidUTF8(b.conn.Hostname(), "?")
	d.protocol, d.size = "ESMTP", o.Size
	if state, ok := b.conn.TLSConnectionState(); ok {
		d.protocol, d.tls = "ESMTPS", describeTLS(&state)
	}
	if b.who.Login != "" {
		d.protocol += "A"
	}
	b.open = &transaction{desk: b.desk, draft: d, relay: d.ours, gate: b.gate}
	return nil
}

// Rcpt implements smtp.Session.
func (b *backendSession) Rcpt(to string, o *smtp.RcptOptions) error {
	if b.open == nil {
		return &smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "Error: need MAIL command"}
	}
	to, err := requote(to)
	if err != nil {
		return forGoSMTP(transport.Replyf(501, "5.1.3", "Bad recipient address syntax"))
	}
	if b.open.draft.given >= b.desk.config.Recipients {
		return forGoSMTP(transport.Replyf(452, "4.5.3", "Error: too many recipients"))
	}
	p := smtpserver.RcptParams{}
	for _, word := range o.Notify {
		p.Notify |= smtpserver.Notify(parseNotify(string(word)))
	}
	if o.OriginalRecipient != "" {
		p.ORcpt = string(o.OriginalRecipientType) + ";" + o.OriginalRecipient
	}
	if err := b.open.Rcpt(b.ctx, to, p); err != nil {
		return forGoSMTP(err)
	}
	return nil
}

// Data implements smtp.Session.
func (b *backendSession) Data(r io.Reader) error {
	if _, chunked := r.(*io.PipeReader); chunked {
		// On a goroutine of its own, beside the session: touch nothing.
		_, _ = io.Copy(io.Discard, r)
		return &smtp.SMTPError{Code: 502, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "Error: BDAT is not implemented"}
	}
	t := b.open
	if t == nil {
		return &smtp.SMTPError{Code: 503, EnhancedCode: smtp.EnhancedCode{5, 5, 1}, Message: "Error: need MAIL command"}
	}
	if err := t.Ready(b.ctx); err != nil {
		_, _ = io.Copy(io.Discard, r)
		return forGoSMTP(err)
	}
	b.open = nil
	watched := &watchedReader{r: r}
	id, err := t.Data(b.ctx, b.desk.bounded(watched))
	if watched.err != nil {
		b.conn.Conn().Close()
		return watched.err
	}
	if err != nil {
		_, _ = io.Copy(io.Discard, r)
		return forGoSMTP(err)
	}
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "Ok: queued as " + id}
}

// Reset implements smtp.Session.
func (b *backendSession) Reset() { b.open = nil }

// Logout implements smtp.Session.
func (*backendSession) Logout() error { return nil }

// watchedReader remembers a read that failed: after that the connection is in
// the middle of a body and must not be read for commands.
type watchedReader struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// requote puts back the quotes that go-smtp takes from a local part, and checks
// the address.
func requote(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s, nil
	}
	a, err := address.Parse(address.Address{Local: s[:at], Domain: s[at+1:]}.String())
	if err != nil {
		return "", err
	}
	return a.String(), nil
}

// forGoSMTP gives the reply in err, or a temporary one without detail.
func forGoSMTP(err error) error {
	var reply transport.Reply
	if !errors.As(err, &reply) {
		reply = transport.Replyf(451, "4.3.0", "Error: queue file write error")
	}
	return &smtp.SMTPError{Code: reply.Code, EnhancedCode: smtp.EnhancedCode(reply.Enhanced), Message: reply.Text}
}
