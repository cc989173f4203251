package smtpclient

import (
	"errors"
	"fmt"
)

// ErrProtocol is wrapped by errors about a peer that does not speak SMTP: a
// malformed or oversized reply, a reply of an impossible class, or one that
// nobody asked for. Nothing the peer said in that transaction can be relied on.
var ErrProtocol = errors.New("protocol error")

// ErrClosed is returned by methods of a [Client] that was closed.
var ErrClosed = errors.New("connection is closed")

// A Step is a stage of the dialogue.
type Step string

// The steps, in the order of a session.
const (
	StepGreeting  Step = "greeting"
	StepHello     Step = "EHLO"
	StepStartTLS  Step = "STARTTLS"
	StepHandshake Step = "TLS handshake"
	StepAuth      Step = "AUTH"
	StepReset     Step = "RSET"
	StepMail      Step = "MAIL FROM"
	StepRcpt      Step = "RCPT TO"
	StepData      Step = "DATA"
	StepContent   Step = "message content"
	StepDot       Step = "end of data"
)

// An Error says at which step the connection became useless, and why: io.EOF,
// [os.ErrDeadlineExceeded], an error of the network, of TLS or of the context,
// [ErrProtocol] or a [*ContentError]. The connection is closed.
type Error struct {
	Step Step
	Err  error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Step, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// A Refusal is the peer's word that it does not want the session: its reply to
// the greeting, EHLO, STARTTLS or AUTH. The connection is still in order unless
// the code is 421.
type Refusal struct {
	Step  Step
	Reply Reply
}

// Error implements error.
func (e *Refusal) Error() string { return fmt.Sprintf("%s refused: %v", e.Step, e.Reply) }

// Unsendable is our own verdict on a message that this peer cannot take: too
// large for it, or in need of an extension it lacks. If no content was sent the
// connection is still in order.
type Unsendable struct{ Reply Reply }

// Error implements error.
func (e *Unsendable) Error() string { return e.Reply.String() }

// A ContentError says that the content could not be read, or is not fit for the
// wire. The trouble is ours and not the peer's.
type ContentError struct{ Err error }

// Error implements error.
func (e *ContentError) Error() string { return fmt.Sprintf("content: %v", e.Err) }

// Unwrap returns the cause.
func (e *ContentError) Unwrap() error { return e.Err }

// What can be wrong with content.
var (
	ErrBareCR = errors.New("bare CR")
	ErrBareLF = errors.New("bare LF")
	ErrNUL    = errors.New("NUL octet")
)

// An AddressError says which address cannot go on the wire: a malformed one, or a
// recipient's that needs an extension the peer lacks, which wraps an [*Unsendable].
// Nothing was sent.
type AddressError struct {
	Index int // of the recipient; -1 is the reverse-path
	Err   error
}

// Error implements error.
func (e *AddressError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("reverse-path: %v", e.Err)
	}
	return fmt.Sprintf("recipient %d: %v", e.Index, e.Err)
}

// Unwrap returns the cause.
func (e *AddressError) Unwrap() error { return e.Err }

// malformed makes an error that is [ErrProtocol].
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrProtocol}, args...)...)
}
