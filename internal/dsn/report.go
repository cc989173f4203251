package dsn

import (
	"io"
	"strings"
	"time"
)

// A Kind is what is reported, in the words of RFC 3464 section 2.3.3.
type Kind string

// The kinds. Expanded is an action of a recipient only.
const (
	Failed    Kind = "failed"
	Delayed   Kind = "delayed"
	Delivered Kind = "delivered"
	Relayed   Kind = "relayed"
	Expanded  Kind = "expanded"
)

// A Report is one notification about one message.
type Report struct {
	Kind Kind      // required
	ID   string    // queue ID of the report itself; required
	Host string    // our host name, the reporting MTA; required
	Time time.Time // when the report is made; required

	// To is the address the report goes to, as it prints: the reverse-path of
	// the message, or a postmaster. Required.
	To string

	// From is the address in the From field; if empty, MAILER-DAEMON at Host.
	// The envelope of a report has the null reverse-path in any case.
	From string

	// What is known of the message reported on.
	QueueID     string    // its queue ID
	ReversePath string    // its reverse-path; "" is the null one
	EnvID       string    // its ENVID, xtext decoded; if empty, none was given
	Arrived     time.Time // if zero, not told
	UTF8        bool      // it came with SMTPUTF8

	// RetryUntil is when delivery will be given up; told in delayed reports. If
	// zero, not told.
	RetryUntil time.Time

	Recipients []Recipient // at least one

	// Content is the message as it was stored; it is read and not closed. If
	// nil, nothing is returned. Only the header is returned if HeadersOnly is
	// set (RET=HDRS), in reports other than of failure (RFC 3461 section 4.3
	// is about failures), if the whole is longer than Limit, or if it has lines
	// that no message may have.
	Content     io.Reader
	HeadersOnly bool
	Limit       int // in octets; if zero, 50,000
}

// A Recipient is what a report says of one recipient.
type Recipient struct {
	Address string // the address at which delivery was tried; required

	// Original is the ORCPT, "type;address" with the xtext decoded; or, without
	// a type, the address before aliases were expanded. If empty, Address.
	Original string

	Action Kind   // if empty, the report's
	Status string // "5.1.1" (RFC 3463); if malformed or empty, that of the action with zeros

	// Diagnostic is the reply, codes included, or our own reason. Its lines may
	// be separated by "\n".
	Diagnostic string

	// RemoteMTA is the name of the host that gave the reply in Diagnostic, and
	// RemoteAddr its address. Empty: the reason is our own, nobody answered.
	RemoteMTA  string
	RemoteAddr string

	LastAttempt time.Time // if zero, not told
}

// action is the recipient's own, or the report's.
func (r Report) action(rcpt Recipient) Kind {
	if rcpt.Action != "" {
		return rcpt.Action
	}
	return r.Kind
}

// status is a valid status code for the recipient.
func (r Report) status(rcpt Recipient) string {
	if isStatus(rcpt.Status) {
		return rcpt.Status
	}
	switch r.action(rcpt) {
	case Failed:
		return "5.0.0"
	case Delayed:
		return "4.0.0"
	}
	return "2.0.0"
}

// isStatus checks for a class of 2, 4 or 5 and two numbers of up to three digits
// (RFC 3463 section 2).
func isStatus(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || !strings.Contains("2 4 5", parts[0]) || len(parts[0]) != 1 {
		return false
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" || len(p) > 1 && p[0] == '0' {
			return false
		}
	}
	return true
}

// NeedsUTF8 reports whether the header of the report has octets outside ASCII, so
// that its own envelope needs SMTPUTF8. The parts inside never ask for it; they
// may be 8-bit, which only the octets that Compose returns can tell.
func (r Report) NeedsUTF8() bool {
	return mailbox(r.To, r.Host).NeedsUTF8() || r.from().NeedsUTF8()
}
