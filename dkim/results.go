package dkim

import (
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// AuthenticationResults makes the field (RFC 8601) that says what [Verify] found, with
// its line end, to be put above the message. authservID is the name of the
// administrative domain that answers for it, mostly the host name; it has to be one
// (ErrDomain). No verifications make "dkim=none". What signatures claim is written only
// where it cannot be taken for something else.
//
// Fields that are there already under this name are forged, or results of an earlier
// pass: [ClaimsToBe] finds them.
func AuthenticationResults(authservID string, found []Verification) (string, error) {
	if !isHostname(authservID) {
		return "", ErrDomain
	}
	var b strings.Builder
	b.WriteString("Authentication-Results: " + authservID)
	if len(found) == 0 {
		b.WriteString("; dkim=none")
	}
	for _, v := range found {
		b.WriteString(";\r\n\tdkim=" + string(v.Result))
		if reason := v.reason(); reason != "" {
			b.WriteString(` reason="` + reason + `"`)
		}
		for _, p := range v.properties() {
			b.WriteString("\r\n\t" + p)
		}
	}
	b.WriteString("\r\n")
	return b.String(), nil
}

// properties are the claims of a signature.
func (v Verification) properties() []string {
	var p []string
	if isHostname(v.Domain) {
		p = append(p, "header.d="+v.Domain)
	}
	if isHostname(v.Selector) {
		p = append(p, "header.s="+v.Selector)
	}
	if isHostname(v.Algorithm) {
		p = append(p, "header.a="+v.Algorithm)
	}
	if len(v.start) > 0 && !strings.ContainsFunc(v.start, notBase64) {
		p = append(p, `header.b="`+v.start+`"`)
	}
	return p
}

func notBase64(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("+/=", r) }

// reason is why a signature is not good, as text that fits into quotes. Details, which may
// come from the signature or the DNS, stay out of it.
func (v Verification) reason() string {
	if v.Err == nil {
		return ""
	}
	text, _, _ := strings.Cut(strings.TrimPrefix(v.Err.Error(), "dkim: "), ": ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\()`, r) {
			return -1
		}
		return r
	}, text)
}

// ClaimsToBe reports whether the value of an Authentication-Results field that came with
// a message claims to be from authservID, or from nobody that can be made out. Such
// fields have to be removed before ours is added (RFC 8601 section 5).
func ClaimsToBe(authservID, value string) bool {
	id, ok := authserv(value)
	return !ok || foldHost(id) == foldHost(authservID)
}

// authserv is the authserv-id at the beginning of a value: a token or a quoted string,
// with blanks and comments around it.
func authserv(value string) (id string, ok bool) {
	rest, ok := skipComments(value)
	if !ok || rest == "" {
		return "", false
	}
	if rest[0] == '"' {
		return unquote(rest)
	}
	end := strings.IndexAny(rest, " \t\r\n;(")
	if end < 0 {
		end = len(rest)
	}
	return rest[:end], end > 0
}

// skipComments cuts off blanks and comments (CFWS of RFC 5322 section 3.2.2).
func skipComments(s string) (rest string, ok bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\\' && depth > 0:
			i++
		case depth == 0 && !strings.ContainsRune(blanks, rune(c)):
			return s[i:], true
		}
	}
	return "", depth == 0
}

// unquote reads the quoted string that s begins with.
func unquote(s string) (text string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", false
}

// foldHost gives names of one host one form.
func foldHost(name string) string {
	name = strings.Trim(name, blanks)
	if ascii, err := (address.Address{Domain: name}).ASCIIDomain(); err == nil {
		name = ascii
	}
	return strings.ToLower(name)
}
