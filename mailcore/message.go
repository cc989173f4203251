package mailcore

import (
	"io"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A Message is what panel code hands in with [Server.Submit], or sends on with
// [Server.Forward].
type Message struct {
	// ReversePath is where bounces go; "" is the null reverse-path.
	ReversePath string

	// Recipients are addresses, local-part@domain. At least one.
	Recipients []string

	// Site answers for the message. The reverse-path must then belong to it, unless
	// it is sent on. "" is the panel itself, which may send as anybody.
	Site string

	// ReceivedFor is the address of ours that a message which is sent on was
	// received for: one in a domain of Site. Forwarded copies leave under a
	// reverse-path in that domain, and reports name the address. If "", it is the
	// first domain of Site in order of name, or Hostname if there is none. Submit
	// does not look at it.
	ReceivedFor string

	// Login and Script are kept with the message, for the trail.
	Login, Script string

	// Content is header, empty line and body. Line ends may be LF or CRLF;
	// Date, Message-ID and From are added if they are missing.
	Content io.Reader

	// The parameters of RFC 3461, for those who want reports.
	EnvID  string
	Ret    transport.Ret
	Notify transport.Notify

	// Key makes it safe to submit a message again when it is not known whether
	// it was before. For seven days after a message was stored under a key of
	// its site, the same key with the same envelope and content stores nothing
	// and gets the queue ID of the first; with others it gets
	// [queue.ErrKeyReused]. Up to 255 octets; if "", the message is a new one.
	Key string

	// NotBefore is when the message is first due, at most a year ahead; zero, or
	// past: at once. Its lifetime begins then.
	NotBefore time.Time

	// Lifetime is how long the message is tried, at most 30 days; if zero,
	// [Retry.Lifetime]; if negative, one attempt.
	Lifetime time.Duration

	// Priority says what the message goes before, among those that wait for one
	// destination. If it is normal, the header may say so: Priority with urgent
	// or non-urgent (RFC 2156), or Precedence with bulk, junk or list; and so it
	// may for the mail of logins and of the sendmail command. See
	// [Config.ForbidPriority].
	Priority queue.Priority
}
