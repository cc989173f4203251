package address

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable refuses what no address may contain anywhere, quoted or not: control
// characters of ASCII and Unicode, the Unicode line separators, and octets that
// are not UTF-8.
func printable(s string) error {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				return ErrControl
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return ErrUTF8
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ErrControl
		}
		i += n
	}
	return nil
}

// checkDotAtom checks that s is a Dot-string (RFC 5321 section 4.1.2, extended
// by RFC 6531 section 3.3): atoms with single dots between them.
func checkDotAtom(s string) error {
	if s == "" {
		return ErrNoLocal
	}
	atom := false // an atom has begun since the last dot
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if !atom {
				return ErrLocal
			}
			atom = false
		case isAtext(c):
			atom = true
		default:
			return ErrLocal
		}
	}
	if !atom {
		return ErrLocal
	}
	return nil
}

// isAtext is atext of RFC 5322 section 3.2.3, with the octets of UTF-8.
func isAtext(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c >= utf8.RuneSelf:
		return true
	}
	return strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// unquote reads the quoted string that s begins with and returns its value and
// what follows the closing quote. An empty one is refused: nobody has that name.
func unquote(s string) (value, rest string, err error) {
	end := quotedEnd(s)
	switch {
	case end < 0:
		return "", "", ErrLocal
	case end == len(`""`):
		return "", "", ErrNoLocal
	}
	inner, rest := s[1:end-1], s[end:]
	if strings.IndexByte(inner, '\\') < 0 {
		return inner, rest, nil
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' {
			i++ // quotedEnd saw that an octet follows
			if inner[i] >= utf8.RuneSelf {
				return "", "", ErrLocal // quoted-pairSMTP is ASCII
			}
		}
		b.WriteByte(inner[i])
	}
	return b.String(), rest, nil
}

// quotedEnd is the index after the closing quote of the quoted string that s
// begins with, or -1 if it is not closed.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// quote makes a quoted string; only the quote and the backslash are escaped.
func quote(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}
