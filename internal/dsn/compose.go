package dsn

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/internal/rfc5322"
)

// Compose writes the report as a message, header and all. It fails if something
// required is missing or Content cannot be read; the error of Content is wrapped.
func Compose(r Report) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	orig, err := readOriginal(r)
	if err != nil {
		return nil, fmt.Errorf("dsn: read the message reported on: %w", err)
	}
	parts := []part{r.notification(orig), r.deliveryStatus()}
	if orig != nil {
		parts = append(parts, orig.part)
	}
	boundary := chooseBoundary(r, parts)
	b := r.header(boundary, parts, orig)
	for _, p := range parts {
		b = p.append(b, boundary)
	}
	return append(b, "--"+boundary+"--\r\n"...), nil
}

// check tells everything that is missing.
func (r Report) check() error {
	var errs []error
	require := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	switch r.Kind {
	case Failed, Delayed, Delivered, Relayed:
	default:
		errs = append(errs, fmt.Errorf("unknown kind %q", string(r.Kind)))
	}
	require(r.ID != "", "no queue ID")
	require(r.Host != "", "no host name")
	require(!r.Time.IsZero(), "no time")
	require(len(r.Recipients) > 0, "no recipients")
	if _, err := address.Parse(r.To); err != nil {
		errs = append(errs, fmt.Errorf("address to report to: %w", err))
	}
	return errors.Join(errs...)
}

// header writes the header block, blank line included.
func (r Report) header(boundary string, parts []part, orig *original) []byte {
	b := rfc5322.Received(rfc5322.Hop{By: r.Host, ID: r.ID, For: r.To, Time: r.Time})
	b = append(b, rfc5322.Fold("Date", rfc5322.Date(r.Time))...)
	b = append(b, rfc5322.Mailbox("From", "Mail Delivery System", r.from())...)
	b = append(b, rfc5322.Mailbox("To", "", mailbox(r.To, r.Host))...)
	b = append(b, rfc5322.Fold("Subject", r.subject())...)
	b = append(b, "Message-ID: "+rfc5322.MessageID(r.ID, r.Host)+"\r\n"...)
	if orig != nil && orig.messageID != "" {
		// RFC 3834 section 3.1.5: so that mail programs can thread it.
		b = append(b, rfc5322.Fold("In-Reply-To", orig.messageID)...)
		b = append(b, rfc5322.Fold("References", orig.messageID)...)
	}
	b = append(b, "Auto-Submitted: auto-replied\r\n"...) // RFC 3834 section 5
	b = append(b, "MIME-Version: 1.0\r\n"...)
	b = append(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n"...)
	b = append(b, "\tboundary=\""+boundary+"\"\r\n"...)
	b = append(b, "Content-Transfer-Encoding: "+encoding(parts...)+"\r\n"...)
	return append(b, "\r\n"...)
}

// from is the author of the report.
func (r Report) from() address.Address {
	if a, err := address.Parse(r.From); err == nil {
		return mailbox(a.String(), r.Host)
	}
	return address.Address{Local: "MAILER-DAEMON", Domain: r.Host}
}

// mailbox is an address for a header field: complete, and in ASCII where that can
// be.
func mailbox(s, hostname string) address.Address {
	a, err := address.Parse(s)
	if err != nil {
		return address.Address{}
	}
	if a.Domain == "" {
		a.Domain = hostname
	}
	if ascii, err := a.ASCIIDomain(); err == nil {
		a.Domain = ascii
	}
	return a
}

// A part is one body part of the report.
type part struct {
	contentType string
	description string
	body        []byte // whole lines
}

func (p part) append(b []byte, boundary string) []byte {
	b = append(b, "--"+boundary+"\r\n"...)
	b = append(b, "Content-Description: "+p.description+"\r\n"...)
	b = append(b, "Content-Type: "+p.contentType+"\r\n"...)
	b = append(b, "Content-Transfer-Encoding: "+encoding(p)+"\r\n\r\n"...)
	b = append(b, p.body...)
	return append(b, "\r\n"...) // belongs to the boundary (RFC 2046 section 5.1.1)
}

// encoding is the least that the bodies need (RFC 2045 section 6.2).
func encoding(parts ...part) string {
	for _, p := range parts {
		if !isASCII(string(p.body)) {
			return "8bit"
		}
	}
	return "7bit"
}

// chooseBoundary makes a boundary from the queue ID that no part contains, not
// even if the author of the message guessed the ID.
func chooseBoundary(r Report, parts []part) string {
	id := strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			return c
		}
		return '_'
	}, r.ID)
	base := fmt.Sprintf("=_%.40s.%d", id, r.Time.Unix())
	boundary := base
	for n := 1; contains(parts, boundary); n++ {
		boundary = base + "." + strconv.Itoa(n)
	}
	return boundary
}

func contains(parts []part, boundary string) bool {
	for _, p := range parts {
		if bytes.Contains(p.body, []byte("--"+boundary)) {
			return true
		}
	}
	return false
}
