package address

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits in octets. RFC 5321 section 4.5.3.1.1 asks for 64 octets of local-part
// at least; SRS and VERP addresses are longer, so 256 are taken.
const (
	MaxLocal  = 256 // of the local-part without its quotes
	MaxDomain = 255 // of the domain as given, and of its A-label form
)

// An Address is a mailbox: who, and where. The zero Address stands for no
// address, as in the null reverse-path. Addresses are comparable; compare the
// results of Fold to compare mailboxes.
type Address struct {
	// Local is the local-part as a value: without quotes and backslashes.
	Local string

	// Domain is as it was given: U-labels, A-labels or an address literal in
	// its brackets; without a final dot. It is empty only for postmaster
	// (RFC 5321 section 4.5.1).
	Domain string
}

// Parse reads local-part@domain, without angle brackets. The local-part is a
// dot-atom or a quoted string; octets from 0x80 on must be valid UTF-8, and
// whether they are allowed at all is for the caller to say (see NeedsUTF8). The
// domain is a host name, underscores tolerated, or an address literal.
//
// The error wraps one of this package's Err values; its text repeats no part of
// s.
func Parse(s string) (Address, error) {
	if len(s) > 2*MaxLocal+len(`""@.`)+MaxDomain {
		return Address{}, ErrTooLong
	}
	if err := printable(s); err != nil {
		return Address{}, err
	}
	local, domain, at, err := split(s)
	if err != nil {
		return Address{}, err
	}
	switch {
	case len(local) > MaxLocal:
		return Address{}, ErrTooLong
	case at:
		domain = strings.TrimSuffix(domain, ".")
		if err := checkDomain(domain); err != nil {
			return Address{}, err
		}
	case !strings.EqualFold(local, "postmaster"):
		return Address{}, ErrNoDomain
	}
	return Address{Local: local, Domain: domain}, nil
}

// Key is the Fold of the address that s is, and its String: what tables know it by.
// An address that is written like that already costs no memory.
func Key(s string) (folded Address, text string, err error) {
	a, err := Parse(s)
	if err != nil {
		return Address{}, "", err
	}
	folded = a.Fold()
	if folded == a && len(s) == len(a.Local)+len("@")+len(a.Domain) {
		return folded, s, nil // nothing in it is quoted, and there is no final dot
	}
	return folded, folded.String(), nil
}

// split cuts s at the @ that separates the local-part, which it unquotes, from
// the domain. at is false if there is none.
func split(s string) (local, domain string, at bool, err error) {
	switch {
	case s == "":
		return "", "", false, ErrNoLocal
	case s[0] == '@':
		if strings.Contains(s, ":") {
			return "", "", false, ErrSourceRoute // RFC 5321 appendix C
		}
		return "", "", false, ErrNoLocal
	case s[0] == '"':
		local, domain, err = unquote(s)
		if err != nil {
			return "", "", false, err
		}
		if domain == "" {
			return local, "", false, nil
		}
		if domain[0] != '@' {
			return "", "", false, ErrLocal
		}
		domain = domain[1:]
	default:
		i := strings.LastIndexByte(s, '@')
		if i < 0 {
			return s, "", false, checkDotAtom(s)
		}
		local, domain = s[:i], s[i+1:]
		if strings.IndexByte(local, '@') >= 0 {
			return "", "", false, ErrMultipleAt
		}
		if err := checkDotAtom(local); err != nil {
			return "", "", false, err
		}
	}
	if strings.IndexByte(domain, '@') >= 0 {
		return "", "", false, ErrMultipleAt
	}
	return local, domain, true, nil
}

// String is the address as it goes on the wire between angle brackets: the
// local-part is quoted if it is not a dot-atom, and in no other case. For an
// Address that Parse returned, Parse of the result gives that Address again. The
// zero Address is "".
func (a Address) String() string {
	if a == (Address{}) {
		return ""
	}
	local := a.Local
	if checkDotAtom(local) != nil {
		local = quote(local)
	}
	if a.Domain == "" {
		return local
	}
	return local + "@" + a.Domain
}

// Fold is the form under which addresses are looked up and compared: the domain
// in lower-case A-labels, an address literal in its shortest form, the
// local-part in lower case. Folding twice changes nothing more.
//
// Only letters whose small form is also outside ASCII are folded outside ASCII:
// U+212A, the Kelvin sign, must not become the k of somebody else's address.
func (a Address) Fold() Address {
	return Address{Local: foldLocal(a.Local), Domain: foldDomain(a.Domain)}
}

func foldLocal(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return strings.Map(func(r rune) rune {
		small := unicode.ToLower(r)
		if r >= utf8.RuneSelf && small < utf8.RuneSelf {
			return r
		}
		return small
	}, s)
}

// NeedsUTF8 reports whether String has octets outside ASCII, so that SMTPUTF8
// (RFC 6531) is needed to send it. If only the domain has them, the same address
// with [Address.ASCIIDomain] does without.
func (a Address) NeedsUTF8() bool { return !isASCII(a.Local) || !isASCII(a.Domain) }

// Routed reports whether the local-part might be taken for a route to yet
// another host: it contains %, ! or @, quoted or not. Whoever relays refuses
// such an address, whatever its domain says.
func (a Address) Routed() bool { return strings.ContainsAny(a.Local, "%!@") }

// Dashed reports whether the local-part begins with a hyphen. A program that gets
// it on its command line might take it for an option.
func (a Address) Dashed() bool { return strings.HasPrefix(a.Local, "-") }

// SplitExtension cuts the local-part at the first octet that is one of those in
// delimiters, as in user+extension. base is the address without delimiter and
// extension. Some addresses have no extension and are their own base: one that
// would be left without a local-part, the names that mail systems need whole
// (postmaster, mailer-daemon, double-bounce), and where a hyphen is a delimiter
// the owner-list and list-request of mailing lists.
func (a Address) SplitExtension(delimiters string) (base Address, extension string) {
	i := strings.IndexAny(a.Local, delimiters)
	if i <= 0 || isWhole(a.Local, delimiters) {
		return a, ""
	}
	return Address{Local: a.Local[:i], Domain: a.Domain}, a.Local[i+1:]
}

// isWhole reports whether a local-part is never cut.
func isWhole(local, delimiters string) bool {
	for _, name := range [...]string{"postmaster", "mailer-daemon", "double-bounce"} {
		if strings.EqualFold(local, name) {
			return true
		}
	}
	if !strings.Contains(delimiters, "-") {
		return false
	}
	const owner, request = "owner-", "-request"
	n := len(local)
	return n > len(owner) && strings.EqualFold(local[:len(owner)], owner) ||
		n > len(request) && strings.EqualFold(local[n-len(request):], request)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
