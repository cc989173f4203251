package mailcore

import (
	"context"
	"fmt"
	"net"

	"github.com/panelmail/panelmail/internal/smtpserver"
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

// A Listener is a door and where it is. [Server.Run] closes it.
type Listener struct {
	Kind Kind
	net.Listener
}

func (l Listener) check() error {
	if l.Kind < SMTP || l.Kind >= kinds {
		return fmt.Errorf("mailcore: listener of unknown kind %d", l.Kind)
	}
	if l.Listener == nil {
		return fmt.Errorf("mailcore: %v listener is nil", l.Kind)
	}
	return nil
}

// serve answers one listener until ctx is done.
func (s *Server) serve(ctx context.Context, l Listener) error {
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
		TLS:           s.tls,
		MaxSize:       s.config.MessageSize,
		MaxRecipients: s.config.Recipients,
		Grace:         s.config.Grace,
		Clients:       &s.clients[l.Kind],
		Handler:       smtpDesk{s},
		Log:           s.config.Log.With("listener", l.Kind.String()),
	}
	s.config.Limits.apply(p)
	switch l.Kind {
	case Submission:
		p.RequireTLS, p.RequireAuth = true, true
	case Submissions:
		p.ImplicitTLS, p.RequireAuth = true, true
	case Sendmail:
		p.TLS = nil
		p.Handler = localDesk{s}
	}
	return p
}
