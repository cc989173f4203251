package rfc5322

import (
	"mime"
	"strings"
	"time"
	"unicode"

	"github.com/panelmail/panelmail/internal/address"
)

// Missing makes the fields that a message must or should have (RFC 5322 section
// 3.6) and h has not: Date, From and Message-ID, in this order, each with its
// line end. It returns nil if none is missing. What it returns is for
// [Header.Prepend].
//
// from is the address of whoever submits; for the zero Address it is that of the
// mail system at hostname. id is the queue ID.
func Missing(h *Header, from address.Address, now time.Time, id, hostname string) []byte {
	var b []byte
	if !h.Has("Date") {
		b = append(b, "Date: "+Date(now)+"\r\n"...)
	}
	if !h.Has("From") {
		name := ""
		if from == (address.Address{}) {
			name = "Mail Delivery System"
			from = address.Address{Local: "MAILER-DAEMON"}
		}
		if from.Domain == "" {
			from.Domain = host(hostname)
		}
		b = append(b, Mailbox("From", name, from)...)
	}
	if !h.Has("Message-ID") {
		b = append(b, "Message-ID: "+MessageID(id, hostname)+"\r\n"...)
	}
	return b
}

// Mailbox makes an address field such as From with one mailbox (RFC 5322 section
// 3.4), folded and with its line end. The display name may be empty and may be
// any UTF-8 text: control characters are dropped, and what is not ASCII is encoded
// (RFC 2047). A domain of U-labels becomes one of A-labels; octets outside ASCII in
// the local-part stay, and the message then needs SMTPUTF8. An address that cannot
// be parsed as it prints is left out, with an empty group in its place (RFC 6854).
func Mailbox(field, name string, a address.Address) []byte {
	f := newFolder(fieldName(field))
	if ascii, err := a.ASCIIDomain(); err == nil {
		a.Domain = ascii
	}
	spec := a.String()
	if _, err := address.Parse(spec); err != nil {
		f.add("undisclosed:;")
		return f.end()
	}
	if name = displayName(name); name == "" {
		f.add(spec)
		return f.end()
	}
	for _, part := range strings.Fields(phrase(name)) {
		f.add(part)
	}
	f.add("<" + spec + ">")
	return f.end()
}

// fieldName is name with everything that no field name may contain replaced.
func fieldName(name string) string { return word(name, "-_") }

// phrase is a display name: as it is if plain words, else quoted, else encoded.
func phrase(name string) string {
	plain, ascii := true, true
	for _, r := range name {
		switch {
		case r > '~':
			ascii = false
		case r != ' ' && !strings.ContainsRune("-_'", r) && !isAlphanumeric(r):
			plain = false
		}
	}
	switch {
	case !ascii:
		// Base64: the other encoding leaves characters bare that RFC 2047 section
		// 5 (3) forbids here.
		return mime.BEncoding.Encode("utf-8", name)
	case plain:
		return name
	}
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(name) + `"`
}

// displayName is name as valid UTF-8 of bounded length without control
// characters, which must not come back when somebody decodes it.
func displayName(name string) string {
	name = strings.ToValidUTF8(name[:min(len(name), maxWord)], "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, name))
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
