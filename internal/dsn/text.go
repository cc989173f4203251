package dsn

import (
	"strings"
	"unicode/utf8"

	"github.com/panelmail/panelmail/internal/rfc5322"
)

// textWidth is the width of the text for people, in characters.
const textWidth = 76

func (r Report) subject() string {
	switch r.Kind {
	case Delayed:
		return "Delayed: your message is still on its way"
	case Delivered:
		return "Delivered: your message has arrived"
	case Relayed:
		return "Relayed: your message was passed on"
	}
	return "Undeliverable: your message did not arrive"
}

// notification is the part for people.
func (r Report) notification(orig *original) part {
	var t text
	t.paragraph("", "This is the mail system at "+escape(r.Host)+".")
	for _, p := range r.explanation() {
		t.paragraph("", p)
	}
	for _, rcpt := range r.Recipients {
		t.lines("", "<"+legible(rcpt.Address)+">"+expandedFrom(rcpt))
		t.paragraph("    ", reason(r, rcpt))
	}
	switch {
	case orig == nil:
	case orig.whole:
		t.paragraph("", "The message itself is attached.")
	default:
		t.paragraph("", "The header of the message is attached.")
	}
	p := part{contentType: "text/plain; charset=us-ascii", description: "Notification", body: t.b}
	if !isASCII(string(t.b)) {
		p.contentType = "text/plain; charset=utf-8"
	}
	return p
}

// explanation says what happened and what, if anything, the reader can do.
func (r Report) explanation() []string {
	switch r.Kind {
	case Delayed:
		next := "It stays in the queue and will be tried again"
		if !r.RetryUntil.IsZero() {
			next += " until " + rfc5322.Date(r.RetryUntil)
		}
		return []string{
			"Your message could not be delivered yet to the addresses below. " + next + ".",
			"There is nothing you need to do; please do not send it again. You will be told if it fails for good.",
		}
	case Delivered:
		return []string{"You asked to be told: your message was delivered to the addresses below."}
	case Relayed:
		return []string{"Your message was handed over for the addresses below to a mail system that " +
			"does not report deliveries. You may hear no more of it, even though you asked to be told."}
	}
	return []string{
		"Your message was not delivered to the addresses below, and delivery will not be tried again. " +
			"What stands under an address is the reason.",
		"If the reason does not tell you what to change, ask your mail administrator and show this whole report.",
	}
}

// expandedFrom names the address that the reader wrote to, if it is another.
func expandedFrom(rcpt Recipient) string {
	addr := rcpt.Original
	if kind, rest, ok := strings.Cut(addr, ";"); ok && isType(kind) {
		addr = rest
	}
	if addr == "" || strings.EqualFold(addr, rcpt.Address) {
		return ""
	}
	return " (for <" + legible(addr) + ">)"
}

// reason tells what was answered, and by whom.
func reason(r Report, rcpt Recipient) string {
	d := diagnostic(rcpt)
	if d == "" {
		d = "Status: " + r.status(rcpt)
	}
	if rcpt.RemoteMTA == "" {
		return d
	}
	host := escape(rcpt.RemoteMTA)
	if rcpt.RemoteAddr != "" {
		host += " [" + escape(strings.Trim(rcpt.RemoteAddr, "[]")) + "]"
	}
	return host + " answered: " + d
}

// A text is written in lines of limited width.
type text struct{ b []byte }

// paragraph writes s with a blank line behind it.
func (t *text) paragraph(indent, s string) {
	t.lines(indent, s)
	t.b = append(t.b, "\r\n"...)
}

// lines writes s, broken at blanks; words too long for any line are cut.
func (t *text) lines(indent, s string) {
	width := 0
	for _, word := range strings.Fields(s) {
		for word != "" {
			n := len(word)
			if n > maxLine/2 {
				n = cut(word, maxLine/2)
			}
			t.b, width = appendWord(t.b, width, indent, word[:n])
			word = word[n:]
		}
	}
	t.b = append(t.b, "\r\n"...)
}

// appendWord writes a word behind a blank or on a new line, and returns the width
// of the line it is on.
func appendWord(b []byte, width int, indent, word string) ([]byte, int) {
	n := utf8.RuneCountInString(word)
	switch {
	case width == 0:
		b, width = append(b, indent...), len(indent)
	case width+1+n > textWidth:
		b, width = append(append(b, "\r\n"...), indent...), len(indent)
	default:
		b, width = append(b, ' '), width+1
	}
	return append(b, word...), width + n
}

// cut is the largest index up to n at which s can be cut.
func cut(s string, n int) int {
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}
