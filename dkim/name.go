package dkim

import (
	"errors"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// What can be wrong with the name of a key; matched with errors.Is. The texts do not
// repeat the name.
var (
	ErrDomain   = errors.New("dkim: malformed domain")
	ErrSelector = errors.New("dkim: malformed selector")
)

const (
	maxLabel = 63  // octets, RFC 1035 section 2.3.4
	maxName  = 253 // octets, as written with dots and without a final one

	infix = "._domainkey." // RFC 6376 section 3.6.2.1
)

// signingDomain checks a domain and gives it in lower case and in A-labels, without a
// final dot. It has two labels or more and is no address.
func signingDomain(domain string) (string, error) {
	mailbox, err := address.Parse("postmaster@" + domain)
	if err != nil {
		return "", ErrDomain
	}
	ascii, err := mailbox.ASCIIDomain()
	if err != nil || !isHostname(ascii) || !strings.Contains(ascii, ".") {
		return "", ErrDomain
	}
	return strings.ToLower(ascii), nil
}

// keyName checks a domain and a selector, together with the length of the name that
// they make in the DNS.
func keyName(domain, selector string) (string, error) {
	domain, err := signingDomain(domain)
	switch {
	case err != nil:
		return "", err
	case !isHostname(selector), len(selector)+len(infix)+len(domain) > maxName:
		return "", ErrSelector
	}
	return domain, nil
}

// isHostname reports whether s is one or more labels of letters, digits and inner
// hyphens (sub-domain of RFC 5321 section 4.1.2). With nothing else in it, it can
// be written into a header field or a record as it is.
func isHostname(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool { return r != '-' && !isAlphanumeric(r) }) {
			return false
		}
	}
	return len(s) <= maxName
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
