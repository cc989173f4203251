package rfc5322

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/panelmail/panelmail/internal/address"
)

// A Hop is what a Received field tells of one handing over (RFC 5321 section
// 4.4). Words that are empty leave their clause out. Characters that might be
// taken for syntax, and everything outside printable ASCII, become question
// marks.
type Hop struct {
	HELO       string // what the client called itself
	ClientName string // the client's name in the DNS; if empty, "unknown"
	Client     string // the client's IP address; if empty, it came by no network
	Login      string // shown as the authenticated sender
	TLS        string // TLS version and cipher, as in "TLSv1.3 with cipher …"

	// UID is the user who ran the sendmail command. It is shown if HasUID is
	// set and Client is empty.
	UID    int
	HasUID bool

	By   string    // our host name; required
	With string    // ESMTPSA and the like (RFC 3848, RFC 6531 section 3.7.3)
	ID   string    // queue ID
	For  string    // the recipient, if there is but one; left out unless ASCII
	Time time.Time // in its own zone
}

// Received makes the trace field for a hop, folded and with its line end.
func Received(hop Hop) []byte {
	f := newFolder("Received")
	if hop.Client != "" {
		f.add("from " + host(hop.HELO))
		f.add(hop.client())
		if hop.TLS != "" {
			f.add("(using " + comment(hop.TLS) + ")")
		}
	}
	if hop.Login != "" {
		f.add("(Authenticated sender: " + comment(hop.Login) + ")")
	}
	f.add("by " + host(hop.By))
	if hop.Client == "" && hop.HasUID {
		f.add(fmt.Sprintf("(from userid %d)", hop.UID))
	}
	if hop.With != "" {
		f.add("with " + atom(hop.With))
	}
	if hop.ID != "" {
		f.add("id " + atom(hop.ID))
	}
	if path, ok := hop.forPath(); ok {
		f.add("for <" + path + ">")
	}
	f.glue(";")
	f.add(Date(hop.Time))
	return f.end()
}

// client is the TCP-info of the client in a comment, as most servers write it.
func (h Hop) client() string {
	name := "unknown"
	if h.ClientName != "" {
		name = host(h.ClientName)
	}
	ip, err := netip.ParseAddr(h.Client)
	switch {
	case err != nil:
		return "(" + name + " [" + host(h.Client) + "])"
	case ip.Unmap().Is4():
		return "(" + name + " [" + ip.Unmap().String() + "])"
	}
	return "(" + name + " [IPv6:" + host(ip.String()) + "])"
}

// forPath is the recipient in its canonical spelling.
func (h Hop) forPath() (path string, ok bool) {
	a, err := address.Parse(h.For)
	if err != nil || a.NeedsUTF8() {
		return "", false
	}
	return a.String(), true
}

// Date is t in the form of RFC 5322 section 3.3, with a numeric zone.
func Date(t time.Time) string { return t.Format("Mon, 2 Jan 2006 15:04:05 -0700") }

// MessageID is a msg-id (RFC 5322 section 3.6.4) with its angle brackets, from
// something unique on this host, such as a queue ID, and the host's name.
func MessageID(id, hostname string) string {
	return "<" + dotAtom(id) + "@" + dotAtom(hostname) + ">"
}

// atom makes s one word: printable ASCII without what has a meaning in
// structured fields. It is never empty.
func atom(s string) string { return word(s, "!#$%&'*+-/=?^_`{|}~.") }

// host is for host names and address literals.
func host(s string) string { return word(s, "-._:[]") }

// dotAtom is atom without dots that no dot-atom has.
func dotAtom(s string) string {
	s = strings.Trim(atom(s), ".")
	for strings.Contains(s, "..") {
		s = strings.ReplaceAll(s, "..", ".")
	}
	if s == "" {
		return "?"
	}
	return s
}

// maxWord bounds a word in octets, so that no line can get too long.
const maxWord = 255

// word keeps letters, digits and the characters in extra; others become ?.
func word(s, extra string) string {
	if s == "" {
		return "?"
	}
	b := []byte(s[:min(len(s), maxWord)])
	for i, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(extra, c) >= 0:
		default:
			b[i] = '?'
		}
	}
	return string(b)
}

// comment makes s fit to stand in a comment (RFC 5322 section 3.2.2).
func comment(s string) string {
	var b strings.Builder
	for i := range min(len(s), maxWord) {
		switch c := s[i]; {
		case c == '(', c == ')', c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			b.WriteByte('?')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
