package dsn

import (
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/internal/rfc5322"
)

// deliveryStatus is the part for programs: RFC 3464 section 2, and RFC 6533
// section 4 if addresses need it.
func (r Report) deliveryStatus() part {
	b := field(nil, "Reporting-MTA", "dns; "+escape(r.Host))
	if r.EnvID != "" {
		b = field(b, "Original-Envelope-Id", escape(r.EnvID))
	}
	if r.QueueID != "" {
		b = field(b, "X-Panelmail-Queue-ID", escape(r.QueueID))
	}
	if r.ReversePath != "" {
		b = field(b, "X-Panelmail-Sender", typed(r.ReversePath))
	}
	if !r.Arrived.IsZero() {
		b = field(b, "Arrival-Date", rfc5322.Date(r.Arrived))
	}
	for _, rcpt := range r.Recipients {
		b = append(b, "\r\n"...)
		b = r.recipientFields(b, rcpt)
	}
	p := part{contentType: "message/delivery-status", description: "Delivery report", body: b}
	if !isASCII(string(b)) {
		p.contentType = "message/global-delivery-status"
	}
	return p
}

// recipientFields writes the fields of one recipient (RFC 3464 section 2.3).
func (r Report) recipientFields(b []byte, rcpt Recipient) []byte {
	b = field(b, "Original-Recipient", originalRecipient(rcpt))
	b = field(b, "Final-Recipient", typed(rcpt.Address))
	b = field(b, "Action", string(r.action(rcpt)))
	b = field(b, "Status", r.status(rcpt))
	if rcpt.RemoteMTA != "" {
		b = field(b, "Remote-MTA", "dns; "+escape(rcpt.RemoteMTA))
	}
	if d := diagnostic(rcpt); d != "" {
		kind := "X-Panelmail; "
		if rcpt.RemoteMTA != "" {
			kind = "smtp; "
		}
		b = field(b, "Diagnostic-Code", kind+d)
	}
	if !rcpt.LastAttempt.IsZero() {
		b = field(b, "Last-Attempt-Date", rfc5322.Date(rcpt.LastAttempt))
	}
	if r.action(rcpt) == Delayed && !r.RetryUntil.IsZero() {
		b = field(b, "Will-Retry-Until", rfc5322.Date(r.RetryUntil))
	}
	return b
}

func field(b []byte, name, text string) []byte { return append(b, rfc5322.Fold(name, text)...) }

// typed is an address with its type (RFC 3464 section 2.1.2, RFC 6533 section 3).
func typed(addr string) string {
	if addr = legible(addr); !isASCII(addr) {
		return "utf-8; " + addr
	}
	return "rfc822; " + addr
}

// originalRecipient is the ORCPT with its type, or the address the sender wrote.
func originalRecipient(rcpt Recipient) string {
	if rcpt.Original == "" {
		return typed(rcpt.Address)
	}
	kind, addr, ok := strings.Cut(rcpt.Original, ";")
	if !ok || !isType(kind) {
		return typed(rcpt.Original)
	}
	if strings.EqualFold(kind, "rfc822") {
		return typed(addr)
	}
	if strings.EqualFold(kind, "utf-8") {
		return kind + "; " + legible(addr)
	}
	return kind + "; " + xtext(addr)
}

// isType reports whether s is an address type: an atom (RFC 3461 section 4.2).
func isType(s string) bool {
	_, err := address.Parse(s + "@type")
	return err == nil && isASCII(s) && !strings.HasPrefix(s, `"`) && !strings.Contains(s, ".")
}
