package smtpserver

import (
	"context"
	"io"

	"github.com/emersion/go-sasl"
)

// A Handler decides what becomes of connections.
//
// # Errors
//
// Wherever a Handler, [Session], [Transaction] or [Authenticator] returns an
// error, the client's answer is found like this. If the chain of the error has
// one with the method
//
//	SMTPReply() (code int, enhanced [3]int, text string)
//
// and its code is in 400 to 599, that is the reply; the codes 421 and 521 close
// the connection as well. The end of a context is 421. Everything else is a 451
// with a general text, and the detail goes to the log only.
type Handler interface {
	// NewSession is called before the greeting, or after the handshake if TLS
	// is implicit. An error refuses the connection in the place of the
	// greeting. It is called from many goroutines at once.
	//
	// The context is that of the connection: it ends with it.
	NewSession(ctx context.Context, c *Conn) (Session, error)
}

// HandlerFunc is a function that is a [Handler].
type HandlerFunc func(ctx context.Context, c *Conn) (Session, error)

// NewSession calls f.
func (f HandlerFunc) NewSession(ctx context.Context, c *Conn) (Session, error) { return f(ctx, c) }

// A Session is one connection. All calls for a connection come from one
// goroutine.
type Session interface {
	// Mail begins a transaction. from is the reverse-path: a valid address in
	// canonical form, or "" for <>.
	Mail(ctx context.Context, from string, p MailParams) (Transaction, error)

	// Close is the last call of a session.
	Close()
}

// An Authenticator is a [Session] that clients can log in to.
type Authenticator interface {
	// Mechanisms are the SASL mechanisms offered now; none: AUTH is not
	// offered.
	Mechanisms() []string

	// Auth begins an exchange with one of these mechanisms, in upper case. When
	// the server it returns is done without error the client is logged in; the
	// session knows as whom.
	//
	// Whatever error ends the exchange is answered with the same 535, but for
	// reply errors of class 4 and the end of a context, which say that the
	// password was not judged, and a reply 525, that it was right and the account
	// is disabled. A refusal is for the session to log.
	Auth(ctx context.Context, mechanism string) (sasl.Server, error)
}

// A Transaction is one message on its way in: RFC 5321 section 3.3. It ends with
// the return of Data or with Abort, whichever comes first.
type Transaction interface {
	// Rcpt adds a recipient. to is a valid address in canonical form, or
	// postmaster in any case, without domain.
	Rcpt(ctx context.Context, to string, p RcptParams) error

	// Data is called once, if Rcpt accepted a recipient. content is the message
	// without dot-stuffing; it ends with io.EOF if, and only if, the message is
	// complete. Data must read up to that io.EOF and must not use content after
	// it returned. Any other error of content is final: nothing may be kept.
	//
	// queuedAs names the message in the reply.
	Data(ctx context.Context, content io.Reader) (queuedAs string, err error)

	// Abort says that there will be no Data: after RSET, EHLO or STARTTLS, or
	// at the end of the connection.
	Abort()
}

// A LenientTransaction is a [Transaction] that may take content with line ends
// other than CRLF.
type LenientTransaction interface {
	Transaction

	// Lenient is asked before Data. If it is true then bare CR, bare LF and NUL
	// reach Data as they came. The end of DATA is CRLF.CRLF all the same.
	Lenient() bool
}

// A GatedTransaction is a [Transaction] that may still refuse when the recipients are
// complete.
type GatedTransaction interface {
	Transaction

	// Ready is asked at DATA and at the first BDAT, if Rcpt accepted a recipient,
	// before the client sends content. An error refuses the command; the
	// transaction stays open.
	Ready(ctx context.Context) error
}

// MailParams are the parameters of MAIL. A zero field was not given.
type MailParams struct {
	Size       int64  // SIZE, in octets (RFC 1870); never above [Server.MaxSize]
	Body       string // BODY: 7BIT or 8BITMIME (RFC 6152)
	Ret        string // RET: FULL or HDRS (RFC 3461)
	EnvID      string // ENVID, xtext decoded: printable ASCII (RFC 3461)
	UTF8       bool   // SMTPUTF8 (RFC 6531)
	RequireTLS bool   // REQUIRETLS (RFC 8689)
	Auth       string // AUTH, xtext decoded: "<>" or a valid address (RFC 4954)
}

// RcptParams are the parameters of RCPT (RFC 3461). A zero field was not given.
type RcptParams struct {
	Notify Notify
	ORcpt  string // ORCPT, "type;address", xtext decoded, without control characters
}

// Notify is the NOTIFY parameter of RCPT, a set. NotifyNever stands alone.
type Notify uint8

// The members of [Notify], in the order of RFC 3461 section 4.1.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)
