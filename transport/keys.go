package transport

import (
	"iter"
	"net"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// delimiter separates the extension from the local-part, as Postfix's
// recipient_delimiter does.
const delimiter = "+"

// fold reads an address into the form in which it is looked up. It never fails:
// of a malformed address it makes what it can, since that must find its "*" too.
func fold(s string) (a address.Address, text string) {
	a, text, err := address.Key(s)
	if err == nil {
		return a, text
	}
	a = address.Address{Local: s}
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		a = address.Address{Local: s[:i], Domain: strings.TrimSuffix(s[i+1:], ".")}
	}
	a = a.Fold()
	return a, a.String()
}

// addressKeys yields an address, which is text, and the address without its extension.
func addressKeys(a address.Address, text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if a.Local == "" || a.Domain == "" || !yield(text) {
			return
		}
		if base, extension := a.SplitExtension(delimiter); extension != "" || base != a {
			yield(base.String())
		}
	}
}

// SenderKeys returns the keys by which a table about senders is searched, in
// order: the whole address, the address without extension, and @domain. Senders
// in one of the local domains have two more before the last, their local-part with
// and without its extension. For the null reverse-path it is "<>" alone. No
// parent domains are tried. Keys are folded to lower case.
func SenderKeys(sender string, local ...string) []string {
	if sender == "" {
		return []string{"<>"}
	}
	a, text := fold(sender)
	keys := slices.Collect(addressKeys(a, text))
	if slices.ContainsFunc(local, func(domain string) bool { return strings.EqualFold(domain, a.Domain) }) {
		for _, key := range slices.Clone(keys) {
			keys = append(keys, strings.TrimSuffix(key, "@"+a.Domain))
		}
	}
	if a.Domain != "" {
		keys = append(keys, "@"+a.Domain)
	}
	return keys
}

// CredentialKeys returns the keys by which a table of credentials is searched,
// in order: those of the sender without the null one, the host name if the next
// hop fixes one, the next hop as written. A caller that keeps no credentials by
// sender passes "".
//
// Unlike in Postfix the name of a mail exchanger is no key: it is the word of the
// DNS, and no password follows that. Where the exchangers of a provider's domain
// are looked up, the credential is that of the domain.
func CredentialKeys(sender, nexthop string) []string {
	var keys []string
	if sender != "" {
		keys = SenderKeys(sender)
	}
	nexthop = strings.ToLower(nexthop)
	if host := fixedHost(nexthop); host != "" && host != nexthop {
		keys = append(keys, host)
	}
	return append(keys, nexthop)
}

// TLSKeys returns the keys by which a TLS policy table is searched, in order:
// the next hop as written, and if it is a plain domain its parents with a
// leading dot.
func TLSKeys(nexthop string) []string {
	nexthop = strings.ToLower(nexthop)
	keys := []string{nexthop}
	if plainDomain(nexthop) {
		for parent := range parents(nexthop) {
			keys = append(keys, parent)
		}
	}
	return keys
}

// fixedHost is the host of "[host]" and "[host]:port", else empty.
func fixedHost(nexthop string) string {
	if !strings.HasPrefix(nexthop, "[") {
		return ""
	}
	if h, _, err := net.SplitHostPort(nexthop); err == nil {
		return h
	}
	if strings.IndexByte(nexthop, ']') == len(nexthop)-1 {
		return nexthop[1 : len(nexthop)-1]
	}
	return ""
}

// parents yields .parent, .grandparent and so on.
func parents(domain string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			i := strings.IndexByte(domain, '.')
			if i < 0 || !yield(domain[i:]) {
				return
			}
			domain = domain[i+1:]
		}
	}
}
