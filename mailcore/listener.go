package mailcore

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/panelmail/panelmail/internal/smtpserver"
	"github.com/panelmail/panelmail/transport"
)

// A Kind says which door a listener is.
type Kind int

// The doors.
const (
	// SMTP is port 25: mail from other hosts, and from networks that may relay.
	SMTP Kind = iota + 1

	// Submission is port 587 (RFC 6409): STARTTLS and AUTH before any mail.
	Submission

	// Submissions is port 465 (RFC 8314): TLS from the first octet, and AUTH.
	Submissions

	// Sendmail is the Unix socket of the sendmail command. Who may connect is
	// for the directory of the socket to say; who it is, the kernel says.
	Sendmail

	kinds // one more than the last
)

// String is the name of the door in logs.
func (k Kind) String() string {
	switch k {
	case SMTP:
		return "smtp"
	case Submission:
		return "submission"
	case Submissions:
		return "submissions"
	case Sendmail:
		return "sendmail"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// A Listener is a door and where it is. [Server.Run] closes it. A kind may have
// several. But for Kind and Listener the zero fields are good defaults; those of
// Sendmail have no others.
type Listener struct {
	Kind Kind
	net.Listener

	// Proxy are the networks of proxies that pass on connections of others. They,
	// and nobody else, begin with a header of the PROXY protocol, version 1 or 2,
	// and whom it names is the client in all respects. Connections of a proxy's
	// own, such as health checks, have its address: a proxy is better not in
	// Config.RelayNetworks.
	Proxy []netip.Prefix

	// TLS is for this listener. If nil, Config.TLS.
	TLS *tls.Config

	// TLSLevel says whether TLS is not offered ("none"), offered ("may") or
	// demanded before any mail ("encrypt"). If empty, SMTP offers it, and
	// Submission demands it, which may offer it too, but for logging in needs it
	// all the same. Submissions has it always.
	TLSLevel transport.TLSLevel

	// ClearAuth lets clients of an SMTP listener log in without TLS, for one
	// whose connections are protected otherwise.
	ClearAuth bool
}

// check reports what is wrong with a listener, all at once.
func (l Listener) check() error {
	if l.Kind < SMTP || l.Kind >= kinds {
		return fmt.Errorf("mailcore: listener of unknown kind %d", l.Kind)
	}
	var problems []error
	complain := func(problem string) {
		problems = append(problems, fmt.Errorf("mailcore: %v listener %s", l.Kind, problem))
	}
	if l.Listener == nil {
		complain("is nil")
	}
	switch l.TLSLevel {
	case "", transport.TLSNone, transport.TLSMay, transport.TLSEncrypt:
	default:
		complain(fmt.Sprintf("with TLSLevel %q: want none, may or encrypt", l.TLSLevel))
	}
	switch {
	case l.Kind == Submissions && l.TLSLevel != "" && l.TLSLevel != transport.TLSEncrypt:
		complain(fmt.Sprintf("with TLSLevel %q: it begins with TLS", l.TLSLevel))
	case l.Kind == Submission && l.TLSLevel == transport.TLSNone:
		complain("without TLS: nobody could log in")
	}
	if l.ClearAuth && l.Kind != SMTP {
		complain("with ClearAuth: logging in needs TLS")
	}
	if l.Kind == Sendmail && (l.Proxy != nil || l.TLS != nil || l.TLSLevel != "") {
		complain("with Proxy, TLS or TLSLevel: it is a Unix socket")
	}
	for _, p := range l.Proxy {
		if !p.IsValid() {
			complain("with a network in Proxy that is not valid")
		}
	}
	return errors.Join(problems...)
}

// serve answers one listener until ctx is done.
func (s *Server) serve(ctx context.Context, l Listener) error {
	l.TLS = atLeastTLS12(l.TLS)
	current := func() *smtpserver.Server { return s.current().protocol(l) }
	if err := smtpserver.Serve(ctx, l.Listener, current); err != nil {
		return fmt.Errorf("mailcore: %v listener %v: %w", l.Kind, l.Addr(), err)
	}
	return nil
}

// protocol is the SMTP server for a connection to a listener, with the settings of
// the moment.
func (s *desk) protocol(l Listener) *smtpserver.Server {
	p := &smtpserver.Server{
		Hostname:      s.config.Hostname,
		Greeting:      s.config.Greeting,
		TLS:           cmp.Or(l.TLS, s.tls),
		ProxyNetworks: l.Proxy,
		MaxSize:       s.config.MessageSize,
		MaxRecipients: s.config.Recipients,
		Grace:         s.config.Grace,
		Clients:       &s.clients[l.Kind],

		OfferRequireTLS: true,
		Handler:         smtpDesk{s, l.Kind},
		Log:             s.config.Log.With("listener", l.Kind.String()),
	}
	s.config.Limits.apply(p)
	switch l.Kind {
	case SMTP:
		p.RequireTLS = l.TLSLevel == transport.TLSEncrypt
		p.AuthWithoutTLS = l.ClearAuth
		if l.TLSLevel == transport.TLSNone {
			p.TLS = nil
		}
	case Submission:
		p.RequireTLS, p.RequireAuth = l.TLSLevel != transport.TLSMay, true
	case Submissions:
		p.ImplicitTLS, p.RequireAuth = true, true
	case Sendmail:
		p.TLS = nil
		p.Handler = localDesk{s}
	}
	return p
}

// checkGreeting reports what is wrong with the text of a greeting.
func checkGreeting(text string) error {
	if len(text) > 400 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("the greeting %.40q: want no more than 400 printable ASCII characters", text)
	}
	return nil
}

// atLeastTLS12 is a configuration without the versions of TLS that RFC 8996 has
// ended. What its GetConfigForClient returns is the caller's affair.
func atLeastTLS12(c *tls.Config) *tls.Config {
	if c == nil || c.MinVersion >= tls.VersionTLS12 {
		return c
	}
	c = c.Clone()
	c.MinVersion = tls.VersionTLS12
	return c
}
