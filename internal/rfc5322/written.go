package rfc5322

import "strings"

// WrittenAddresses finds what any reader of an address list (RFC 5322 section 3.4)
// might take for an address in it: whatever stands around an at sign, outside
// quoted strings and comments. It is for refusing, not for delivery: it errs on the
// side of more, it knows no error, and a quote or a comment that nobody closes
// hides nothing. A local-part that is missing is empty.
func WrittenAddresses(text string) (found []string) {
	s := listScanner{rest: text}
	for s.rest != "" {
		if local, ok := s.next(); ok {
			found = append(found, local+"@"+s.domain())
		}
	}
	return found
}

// A listScanner reads an address list token by token.
type listScanner struct {
	rest string
	word string // what may be a local-part, if an at sign follows
	dot  bool   // a dot stood behind it: it goes on

	plain bool // something was not closed: quotes and parentheses mean nothing now
}

// next takes a token; after an at sign, local is what stood before it and ok is true.
func (s *listScanner) next() (local string, ok bool) {
	switch c := s.rest[0]; c {
	case ' ', '\t', '\r', '\n':
		s.rest = s.rest[1:]
	case '(':
		s.enclosed(commentEnd)
	case '"':
		if quoted := s.enclosed(quotedEnd); quoted != "" {
			s.add(quoted)
		}
	case '.':
		s.dot = true
		s.add(".")
		s.dot, s.rest = true, s.rest[1:]
	case '@':
		local = s.word
		s.word, s.dot, s.rest = "", false, s.rest[1:]
		return local, true
	case ',', ';', ':', '<', '>', '[', ']', ')', '\\':
		s.word, s.dot, s.rest = "", false, s.rest[1:]
	default:
		n := runEnd(s.rest)
		s.add(s.rest[:n])
		s.rest = s.rest[n:]
	}
	return "", false
}

// enclosed takes what end finds the end of, or, if it is not closed, its first
// octet, and returns it in the former case.
func (s *listScanner) enclosed(end func(string) int) string {
	n := 0
	if !s.plain {
		n = end(s.rest)
		s.plain = n == 0
	}
	text := s.rest[:n]
	s.rest = s.rest[max(1, n):]
	return text
}

// maxLocal is more than any local-part has, in octets.
const maxLocal = 1000

// add appends to a word that goes on, or begins another.
func (s *listScanner) add(text string) {
	if s.dot && len(s.word) < maxLocal {
		text = s.word + text
	}
	s.word, s.dot = text, false
}

// domain takes what follows an at sign: a domain, with blanks and comments around
// its dots as RFC 5322 section 4.4 lets them stand, or a literal.
func (s *listScanner) domain() string {
	var name strings.Builder
	dot := true // a label may come
	for s.rest != "" {
		switch c := s.rest[0]; {
		case c == ' ', c == '\t', c == '\r', c == '\n':
			s.rest = s.rest[1:]
		case c == '(':
			s.enclosed(commentEnd)
		case c == '[' && name.Len() == 0:
			n := strings.IndexByte(s.rest, ']') + 1
			if n == 0 {
				n = len(s.rest)
			}
			name.WriteString(s.rest[:n])
			s.rest = s.rest[n:]
			return name.String()
		case c == '.':
			name.WriteByte('.')
			dot, s.rest = true, s.rest[1:]
		case dot && runEnd(s.rest) > 0:
			n := runEnd(s.rest)
			name.WriteString(s.rest[:n])
			dot, s.rest = false, s.rest[n:]
		default:
			return name.String()
		}
	}
	return name.String()
}

// runEnd is the length of the run of characters without a meaning that s begins
// with.
func runEnd(s string) int {
	if n := strings.IndexAny(s, " \t\r\n().,;:<>@[]\\\""); n >= 0 {
		return n
	}
	return len(s)
}

// commentEnd is the length of the comment that s begins with; 0 if it is not
// closed.
func commentEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// quotedEnd is the length of the quoted string that s begins with; 0 if it is not
// closed.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}
