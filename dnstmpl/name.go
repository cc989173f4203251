package dnstmpl

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// A nameKind says which characters a name may have.
type nameKind int

const (
	hostName  nameKind = iota // letters, digits, hyphens (RFC 1123 section 2.1)
	aliasName                 // and underscores (RFC 8552)
	ownerName                 // and a first label "*" (RFC 4592)
	hostOwner                 // a host name, or one below "*"
)

// labelRule is what to write instead of most names that are none.
const labelRule = "labels of letters, digits and hyphens with dots between them"

const (
	maxName  = 253 // octets without the final dot (RFC 1035 section 2.3.4 counts 255 with lengths)
	maxLabel = 63
)

// profile converts U-labels as for a look-up (RFC 5891 section 5); which ASCII is
// allowed says nameProblem. It is never changed.
var profile = idna.New(
	idna.MapForLookup(),
	idna.BidiRule(),
	idna.Transitional(false),
	idna.StrictDomainName(false),
)

// nameProblem says what is wrong with a name without its final dot, and what to
// write instead. text is "" if nothing is wrong.
func nameProblem(name string, kind nameKind) (text, fix string) {
	if !ascii(name) {
		if a, ok := toASCII(name); ok {
			if text, _ := nameProblem(a, kind); text == "" {
				return fmt.Sprintf("%q is not in ASCII", name), a + "."
			}
		}
		return fmt.Sprintf("%q is not a name", name), labelRule
	}
	if len(name) > maxName {
		return fmt.Sprintf("the name has %d octets; 253 is the most", len(name)), "a shorter name"
	}
	labels := strings.Split(name, ".")
	for i, label := range labels {
		if i == 0 && label == "*" && (kind == ownerName || kind == hostOwner) {
			continue
		}
		if text := labelProblem(label, kind); text != "" {
			return text, labelRule
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return fmt.Sprintf("%q ends in a number, as an IP address does", name), "the name of a host"
	}
	return "", ""
}

func labelProblem(label string, kind nameKind) string {
	switch {
	case label == "":
		return "the name has an empty label (two dots, or one in front)"
	case len(label) > maxLabel:
		return fmt.Sprintf("a label has %d octets; 63 is the most", len(label))
	case label[0] == '-' || label[len(label)-1] == '-':
		return fmt.Sprintf("the label %q begins or ends with a hyphen", label)
	}
	for _, c := range []byte(label) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		case c == '_' && (kind == ownerName || kind == aliasName):
		case c == '_':
			return fmt.Sprintf("%q is not a host name: it has an underscore", label)
		default:
			return fmt.Sprintf("%q has a character that no name has: %q", label, string(rune(c)))
		}
	}
	return ""
}

// toASCII makes A-labels of U-labels. ok is false where there are none for it.
func toASCII(name string) (a string, ok bool) {
	if !utf8.ValidString(name) {
		return "", false
	}
	a, err := profile.ToASCII(name)
	return a, err == nil && ascii(a)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// within reports whether an absolute name is zone or below it; both in lower case.
func within(name, zone string) bool {
	return zone == "." || name == zone || strings.HasSuffix(name, "."+zone)
}
