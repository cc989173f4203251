package dsn

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDiagnostic bounds what is quoted of a reply, in octets.
const maxDiagnostic = 2000

// diagnostic is the reason on one line, in printable ASCII.
func diagnostic(rcpt Recipient) string {
	words := strings.Fields(rcpt.Diagnostic)
	redact(words)
	s := escape(strings.Join(words, " "))
	if len(s) > maxDiagnostic {
		s = s[:maxDiagnostic] + "..."
	}
	return s
}

// redact masks the credentials in an AUTH command with an initial response
// (RFC 4954 section 4), which some servers repeat in their replies.
func redact(words []string) {
	for i := 0; i+2 < len(words); i++ {
		if !strings.EqualFold(strings.TrimLeft(words[i], `"'<(:`), "AUTH") {
			continue
		}
		response := strings.Trim(words[i+2], `"'<>().,;`)
		if _, err := base64.StdEncoding.DecodeString(response); err == nil && response != "" {
			words[i+2] = "***"
		}
	}
}

// escape writes every octet outside printable ASCII in hexadecimal; an end of
// line becomes a blank.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\n':
			b.WriteByte(' ')
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02X`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// xtext writes every octet outside printable ASCII as RFC 3461 section 4 does.
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// legible is an address as people read it: UTF-8 if it is that and has no
// control characters, else xtext.
func legible(s string) string {
	if !utf8.ValidString(s) || strings.IndexFunc(s, isControl) >= 0 {
		return xtext(s)
	}
	return s
}

func isControl(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
