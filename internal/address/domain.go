package address

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// FoldDomain is the Domain of the Fold of an address in a domain, which may be any
// that Parse takes. The error is as that of Parse.
func FoldDomain(domain string) (string, error) {
	if err := printable(domain); err != nil {
		return "", err
	}
	if strings.IndexByte(domain, '@') >= 0 {
		return "", ErrMultipleAt
	}
	domain = strings.TrimSuffix(domain, ".")
	if err := checkDomain(domain); err != nil {
		return "", err
	}
	return foldDomain(domain), nil
}

// ASCIIDomain is the domain for the DNS and for peers without SMTPUTF8: U-labels
// become A-labels (RFC 5891, with the mappings of UTS 46), without a final dot.
// Address literals and domains in ASCII are returned as they are.
func (a Address) ASCIIDomain() (string, error) {
	domain := strings.TrimSuffix(a.Domain, ".")
	if isASCII(domain) {
		return domain, nil
	}
	ascii, err := profile.ToASCII(domain)
	if err != nil {
		return "", ErrDomain
	}
	if err := checkHostname(ascii); err != nil {
		return "", err
	}
	return ascii, nil
}

// ParseDomain reads a domain into the form that [Address.Fold] gives it: A-labels in lower
// case, without a final dot. An address literal is ErrIsLiteral.
func ParseDomain(s string) (string, error) {
	a, err := Parse("postmaster@" + s)
	if err != nil {
		return "", err
	}
	if _, literal := a.Literal(); literal {
		return "", ErrIsLiteral
	}
	return a.Fold().Domain, nil
}

// Literal is the IP address of an address literal; an IPv4-mapped IPv6 address
// comes as the IPv4 address it stands for. ok is false for any other domain.
func (a Address) Literal() (ip netip.Addr, ok bool) {
	ip, err := parseLiteral(a.Domain)
	return ip.Unmap(), err == nil
}

// checkDomain checks a domain without its final dot.
func checkDomain(domain string) error {
	switch {
	case domain == "":
		return ErrNoDomain
	case len(domain) > MaxDomain:
		return ErrTooLong
	case domain[0] == '[':
		_, err := parseLiteral(domain)
		return err
	case isASCII(domain):
		return checkHostname(domain)
	case strings.HasSuffix(domain, "."):
		return ErrDomain // the final dot was taken off before
	case strings.ContainsFunc(domain, isSpecial):
		return ErrDomain // "≯" may be written with an ASCII ">", which normalisation hides
	}
	_, err := Address{Domain: domain}.ASCIIDomain()
	return err
}

// checkHostname checks a host name in ASCII: labels of letters, digits, hyphens
// and underscores, no hyphen first or last, 63 octets at most (RFC 1035 section
// 2.3.4). Underscores are no part of host names, but mail domains with them
// exist.
//
// The last label is not a number, for then the name would be an IP address to
// many a resolver (RFC 1123 section 2.1).
func checkHostname(domain string) error {
	if len(domain) > MaxDomain {
		return ErrTooLong
	}
	for rest, more := domain, true; more; {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		if !isLabel(label) || !more && isNumber(label) {
			return ErrDomain
		}
	}
	return nil
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || isSpecial(rune(s[i])) {
			return false
		}
	}
	return true
}

// isSpecial reports whether r is an ASCII character that no host name has.
func isSpecial(r rune) bool {
	switch {
	case r >= utf8.RuneSelf, 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
		return false
	}
	return true
}

// isNumber reports whether s, which is not empty, is a number as inet_aton(3) reads one.
func isNumber(s string) bool {
	if s[0] < '0' || s[0] > '9' {
		return false
	}
	digits := "0123456789"
	if len(s) >= 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		s, digits = s[2:], "0123456789abcdefABCDEF"
	}
	return strings.Trim(s, digits) == ""
}

// parseLiteral reads an address literal (RFC 5321 section 4.1.3). General address
// literals are refused: no tag but IPv6 was ever registered.
func parseLiteral(s string) (netip.Addr, error) {
	inner, ok := strings.CutPrefix(s, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !ok || !closed {
		return netip.Addr{}, ErrLiteral
	}
	const tag = "IPv6:"
	six := len(inner) > len(tag) && strings.EqualFold(inner[:len(tag)], tag)
	if six {
		inner = inner[len(tag):]
	}
	ip, err := netip.ParseAddr(inner)
	if err != nil || ip.Is4() == six || ip.Zone() != "" {
		return netip.Addr{}, ErrLiteral
	}
	return ip, nil
}

func foldDomain(domain string) string {
	if ip, err := parseLiteral(domain); err == nil {
		if ip.Is4() {
			return "[" + ip.String() + "]"
		}
		return "[ipv6:" + ip.String() + "]"
	}
	if ascii, err := (Address{Domain: domain}).ASCIIDomain(); err == nil {
		domain = ascii
	}
	return strings.ToLower(domain)
}

// profile is that of a look-up (RFC 5891 section 5), but for the characters
// allowed in ASCII: checkHostname has its own, wider rule. It is never changed.
var profile = idna.New(
	idna.MapForLookup(),
	idna.BidiRule(),
	idna.Transitional(false),
	idna.StrictDomainName(false),
)
