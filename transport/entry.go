package transport

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/panelmail/panelmail/internal/address"
)

// undeliverable is the text of error: and retry: without one.
const undeliverable = "Address is undeliverable"

// MaxRows is how many rows a transport map has at most.
const MaxRows = 1 << 20

// Other limits of a transport map.
const (
	maxEntry = 8 << 10  // octets of a row
	maxMap   = 64 << 20 // octets of a text
)

var (
	errTooManyRows = fmt.Errorf("more than %d rows", MaxRows)
	errTooLong     = fmt.Errorf("longer than %d octets", maxEntry)
	errNoKey       = errors.New("the pattern is missing")
	errNoValue     = errors.New("the value is missing; write pattern, blank, transport:nexthop")
	errControl     = errors.New("control character or malformed UTF-8")
)

// A MapError is what is wrong with one row of a transport map.
type MapError struct {
	Name    string // of the table
	Line    int    // where the row begins, from 1; 0 if it was not read from text
	Pattern string // empty if the row has none
	Err     error
}

// Error is name:line: pattern: problem.
func (e *MapError) Error() string {
	var b strings.Builder
	b.WriteString(e.Name)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Pattern != "" {
		fmt.Fprintf(&b, ": %q", e.Pattern)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

// Unwrap returns Err.
func (e *MapError) Unwrap() error { return e.Err }

// ValidateEntry reports what is wrong with one row of a transport map; nil if
// [Table.Set] would take it.
func ValidateEntry(pattern, value string) error {
	_, _, err := parseEntry(pattern, value)
	return err
}

// ParseRoute reads the right-hand side of a row: transport:nexthop, split at
// the first colon. The text of error: and retry: may begin with an enhanced
// status code, whose class must be 5 or 4; that of discard: must be 2. Without
// a text error: and retry: get "Address is undeliverable".
func ParseRoute(value string) (Route, error) {
	if err := printable(value); err != nil {
		return Route{}, err
	}
	transport, nexthop, _ := strings.Cut(value, ":")
	r := Route{Transport: strings.TrimSpace(transport), Nexthop: strings.TrimSpace(nexthop)}
	if err := validTransport(r.Transport); err != nil {
		return Route{}, err
	}
	a, ok := answers[r.Transport]
	if !ok || a.hold {
		return r, nil
	}
	status, _, found := cutStatus(r.Nexthop)
	if found && status[0] != a.class {
		return Route{}, fmt.Errorf("%s: takes a status of class %d, not %d.%d.%d",
			r.Transport, a.class, status[0], status[1], status[2])
	}
	if r.Nexthop == "" && a.text == undeliverable {
		r.Nexthop = undeliverable
	}
	return r, nil
}

func parseEntry(pattern, value string) (key string, r Route, err error) {
	key, keyErr := parsePattern(pattern)
	r, valueErr := ParseRoute(value)
	if err := errors.Join(keyErr, valueErr); err != nil {
		return "", Route{}, err
	}
	if len(pattern)+len(value) > maxEntry {
		return "", Route{}, errTooLong
	}
	return key, r, nil
}

// parsePattern folds a pattern to the form in which it is looked up, and
// refuses what no look-up would ever find.
func parsePattern(pattern string) (string, error) {
	switch {
	case pattern == "":
		return "", errNoKey
	case pattern == "*":
		return pattern, nil
	case strings.HasPrefix(pattern, "@"):
		return "", fmt.Errorf("never matches; for the domain write %s", pattern[1:])
	case strings.HasSuffix(pattern, ":"):
		return "", errors.New("ends in a colon: this is the form of an alias file")
	}
	if err := printable(pattern); err != nil {
		return "", err
	}
	if strings.Contains(pattern, "@") {
		a, err := address.Parse(pattern)
		if err != nil {
			return "", err
		}
		return a.Fold().String(), nil
	}
	domain, isParent := strings.CutPrefix(pattern, ".")
	a, err := address.Parse("x@" + domain)
	if err != nil {
		return "", err
	}
	domain = a.Fold().Domain
	if isParent {
		domain = "." + domain
	}
	return domain, nil
}

// validTransport reports whether name can name a transport. A blank in it most
// often means that the colon is missing.
func validTransport(name string) error {
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		case unicode.IsSpace(c):
			return fmt.Errorf("%q is no name of a transport; is a colon missing?", name)
		default:
			return fmt.Errorf("%q is no name of a transport", name)
		}
	}
	return nil
}

func printable(s string) error {
	if !utf8.ValidString(s) {
		return errControl
	}
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return errControl
		}
	}
	return nil
}
