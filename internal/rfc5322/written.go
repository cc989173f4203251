package rfc5322

import (
	"slices"
	"strings"
)

// WrittenAddresses finds what any reader of an address list (RFC 5322 section 3.4)
// might take for an address in it: whatever stands around an at sign, outside
// quoted strings and comments. It is for refusing, not for delivery: it errs on the
// side of more, it knows no error, and a quote or a comment that nobody closes
// hides nothing. Where a domain may or may not go on after a blank there are two
// addresses. A local-part that is missing is empty.
func WrittenAddresses(text string) (found []string) {
	s := listScanner{rest: text}
	for s.rest != "" {
		if local, ok := s.next(); ok {
			for _, domain := range s.domains() {
				found = append(found, local+"@"+domain)
			}
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
		if n := runEnd(s.rest); n > 0 {
			s.add(s.rest[:n])
			s.rest = s.rest[n:]
		} else { // a blank or a control character
			s.rest = s.rest[1:]
		}
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

// domains takes what follows an at sign: a domain or a literal. RFC 5322 section 4.4
// lets blanks and comments stand around the dots of a domain; what stands before
// each is one, too.
func (s *listScanner) domains() (found []string) {
	name, dot := "", true // dot: a label may come
	for s.rest != "" && len(name) < maxLocal {
		n := runEnd(s.rest)
		switch c := s.rest[0]; {
		case c == '[' && name == "":
			if n = strings.IndexByte(s.rest, ']') + 1; n == 0 {
				n = len(s.rest)
			}
			name, s.rest = s.rest[:n], s.rest[n:]
			return append(found, name)
		case c == '.':
			name, dot, s.rest = name+".", true, s.rest[1:]
		case n > 0 && dot:
			name, dot, s.rest = name+s.rest[:n], false, s.rest[n:]
		case c <= ' ' || c == 0x7f || c == '(':
			if name != "" {
				found = append(found, name)
			}
			if c == '(' {
				s.enclosed(commentEnd)
			} else {
				s.rest = s.rest[1:]
			}
		default:
			return slices.Compact(append(found, name))
		}
	}
	return slices.Compact(append(found, name))
}

// runEnd is the length of the run of characters without a meaning that s begins
// with.
func runEnd(s string) int {
	n := strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune("().,;:<>@[]\\\"", r)
	})
	if n >= 0 {
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
