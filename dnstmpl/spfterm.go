package dnstmpl

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// An spfTerm is a mechanism or a modifier of an SPF record (RFC 7208 section 4.6.1).
type spfTerm struct {
	qualifier byte   // + - ~ ?
	name      string // in lower case
	domain    string // as written; "" is the domain that is asked about
	network   netip.Prefix
	bits4     int // of a and mx: the prefix lengths
	bits6     int
	modifier  bool
}

// around is the network that a or mx stand for where a host has an address.
func (t spfTerm) around(ip netip.Addr) netip.Prefix {
	if ip.Is6() {
		return netip.PrefixFrom(ip, t.bits6).Masked()
	}
	return netip.PrefixFrom(ip, t.bits4).Masked()
}

// parseSPF reads an SPF record (RFC 7208 section 12). Receivers refuse one that is not
// in the form as a whole (section 4.6).
func parseSPF(text string) ([]spfTerm, error) {
	var terms []spfTerm
	seen := map[string]bool{}
	for _, word := range strings.Split(text, " ")[1:] {
		if word == "" {
			continue
		}
		t, err := parseTerm(word)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", word, err)
		}
		if once := t.modifier && (t.name == "redirect" || t.name == "exp"); once && seen[t.name] {
			return nil, fmt.Errorf("%s stands there twice", t.name)
		}
		seen[t.name] = true
		terms = append(terms, t)
	}
	return terms, nil
}

// redirectOf is the redirect of a record, if it is looked at: where there is an all it is
// not (RFC 7208 section 6.1).
func redirectOf(terms []spfTerm) (redirect spfTerm, ok bool) {
	for _, t := range terms {
		switch {
		case t.modifier && t.name == "redirect":
			redirect, ok = t, true
		case !t.modifier && t.name == "all":
			return spfTerm{}, false
		}
	}
	return redirect, ok
}

func parseTerm(word string) (spfTerm, error) {
	if name, value, ok := strings.Cut(word, "="); ok && isWord(name) {
		t := spfTerm{name: strings.ToLower(name), domain: value, modifier: true}
		if t.name == "redirect" && value == "" {
			return t, errors.New("a domain is missing")
		}
		return t, nil
	}
	t := spfTerm{qualifier: spfQualifier(word)}
	rest := strings.TrimPrefix(word, string(t.qualifier))
	end := strings.IndexAny(rest, ":/")
	if end < 0 {
		end = len(rest)
	}
	t.name = strings.ToLower(rest[:end])
	return t, t.parseValue(rest[end:])
}

// parseValue reads what stands behind the name of a mechanism.
func (t *spfTerm) parseValue(s string) error {
	switch t.name {
	case "all":
		if s != "" {
			return errors.New("all takes nothing")
		}
		return nil
	case "ip4", "ip6":
		return t.parseNetwork(strings.TrimPrefix(s, ":"))
	case "include", "exists", "a", "mx", "ptr":
		return t.parseDomain(s)
	}
	return fmt.Errorf("there is no mechanism %q", t.name)
}

// lengths are the prefix lengths that a and mx may end in: /24, //64 or /24//64.
var lengths = regexp.MustCompile(`^(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?$`)

// parseDomain reads a domain behind a colon, and the lengths behind that. They begin at
// a slash that is in no macro.
func (t *spfTerm) parseDomain(s string) error {
	end := len(s)
	macros := strings.LastIndexByte(s, '}') + 1
	if slash := strings.IndexByte(s[macros:], '/'); slash >= 0 {
		end = macros + slash
	}
	value, colon := strings.CutPrefix(s[:end], ":")
	t.domain = value
	needed := t.name == "include" || t.name == "exists"
	if value == "" && (colon || needed) {
		return fmt.Errorf("%s wants a domain behind a colon", t.name)
	}
	m := lengths.FindStringSubmatch(s[end:])
	if m == nil || s[end:] != "" && (needed || t.name == "ptr") || atoi(m[1]) > 32 || atoi(m[2]) > 128 {
		return fmt.Errorf("%s is no prefix length here", s[end:])
	}
	t.bits4, t.bits6 = 32, 128
	if m[1] != "" {
		t.bits4 = atoi(m[1])
	}
	if m[2] != "" {
		t.bits6 = atoi(m[2])
	}
	return nil
}

func atoi(digits string) int {
	n, _ := strconv.Atoi(digits) // "" is 0
	return n
}

// parseNetwork reads an address or a network.
func (t *spfTerm) parseNetwork(s string) error {
	n, err := netip.ParsePrefix(s)
	if err != nil {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return fmt.Errorf("%q is no address", s)
		}
		n = netip.PrefixFrom(ip, ip.BitLen())
	}
	if t.network = n; n.Addr().Is4() != (t.name == "ip4") || n.Addr().Zone() != "" {
		return fmt.Errorf("%s is no address of %s", n.Addr(), t.name)
	}
	return nil
}

// isWord reports whether s is the name of a modifier.
func isWord(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z':
		case i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'):
		default:
			return false
		}
	}
	return s != ""
}
