package dnstmpl

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Text is the owner and the text of a TXT record.
type Text struct {
	Name string // as in Data: without a final dot
	Text string
}

// maxAnswer is how many octets the name of a TXT record set and the texts of all its
// records may have together, so that an answer fits a UDP packet of 512 octets
// (RFC 7208 section 3.4).
const maxAnswer = 450

// SPF records are, for the mail of a domain, that of the domain and those that it
// includes. The first is the domain's: it lets everything pass that Egress, Networks
// and Relays name, and nothing else. If they are all empty, what is known of the mail
// server takes their place: IPs, or else Hostname.
//
// Addresses are joined to networks where that changes nothing. Those that do not fit
// into one answer are in records of their own, at _spf1, _spf2 and so on below the
// domain; each costs a look-up of the ten that RFC 7208 section 4.6.4 allows.
func (d Data) SPFRecords() []Text {
	domain := d.Domain()
	networks, hosts := d.allowed()
	all := cmp.Or(d.SPF, "~all")
	whole := spfText(append(addressTerms(networks), hosts...), all)
	if fits(domain, whole) {
		return []Text{{domain, whole}}
	}
	parts := spread(domain, addressTerms(networks))
	includes := make([]string, len(parts))
	for i, p := range parts {
		includes[i] = "include:" + p.Name
	}
	return append([]Text{{domain, spfText(append(includes, hosts...), all)}}, parts...)
}

// spread puts terms into records below a domain, as many as fit into each.
func spread(domain string, terms []string) []Text {
	var parts []Text
	for len(terms) > 0 {
		name := fmt.Sprintf("_spf%d.%s", len(parts)+1, domain)
		n := 1
		for n < len(terms) && fits(name, spfText(terms[:n+1], "-all")) {
			n++
		}
		parts = append(parts, Text{name, spfText(terms[:n], "-all")})
		terms = terms[n:]
	}
	return parts
}

// isPart reports whether records of a name are what spread makes: SPF of addresses alone.
func isPart(name string, records []Record) bool {
	label, _, _ := strings.Cut(name, ".")
	if n, ok := strings.CutPrefix(label, "_spf"); !ok || n == "" || strings.Trim(n, "0123456789") != "" {
		return false
	}
	for _, r := range records {
		text, _ := r.Value.(TXT)
		terms, err := parseSPF(text.Text)
		last := len(terms) - 1
		if err != nil || last < 0 || terms[last].name != "all" || terms[last].qualifier != '-' {
			return false
		}
		for _, t := range terms[:last] {
			if !t.network.IsValid() || t.qualifier != '+' {
				return false
			}
		}
	}
	return true
}

func fits(name, text string) bool { return len(name)+len(text) < maxAnswer }

func spfText(terms []string, all string) string {
	return strings.Join(append(append([]string{"v=spf1"}, terms...), all), " ")
}

// allowed are the networks that mail leaves from, and the terms for hosts that are
// known by name: those of the mail server where nothing else is known.
func (d Data) allowed() (networks []netip.Prefix, hosts []string) {
	networks, hosts = d.leaves()
	if len(networks)+len(hosts) == 0 {
		for _, ip := range d.IPs {
			networks = append(networks, single(ip))
		}
		if len(networks) == 0 {
			hosts = []string{"a:" + cmp.Or(d.Hostname, "mail."+d.Zone)}
		}
	}
	return joined(networks), hosts
}

// leaves are the networks of Networks, Egress and Relays, and the terms for the rest of
// Relays, each once.
func (d Data) leaves() (networks []netip.Prefix, hosts []string) {
	networks = slices.Clone(d.Networks)
	for _, ip := range d.Egress {
		networks = append(networks, single(ip))
	}
	for _, r := range d.Relays {
		if ip, err := netip.ParseAddr(strings.Trim(r.Host, "[]")); err == nil && len(r.Include) == 0 {
			networks = append(networks, single(ip))
			continue
		}
		hosts = append(hosts, r.terms()...)
	}
	return networks, once(hosts)
}

// terms are what lets the mail of a relay pass.
func (r Relay) terms() []string {
	include := r.Include
	if s, ok := KnownService(r.Host); ok && len(include) == 0 {
		include = s.Include
	}
	var terms []string
	for _, domain := range include {
		terms = append(terms, "include:"+domain)
	}
	switch {
	case len(terms) > 0 || r.Host == "":
		return terms
	case r.MX:
		return []string{"mx:" + r.Host}
	}
	return []string{"a:" + r.Host}
}

// single is the network of one address.
func single(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap()
	return netip.PrefixFrom(ip, ip.BitLen())
}

// addressTerms are the terms for networks.
func addressTerms(networks []netip.Prefix) []string {
	terms := make([]string, len(networks))
	for i, n := range networks {
		kind := "ip6:"
		if n.Addr().Is4() {
			kind = "ip4:"
		}
		if terms[i] = kind + n.String(); n.IsSingleIP() {
			terms[i] = kind + n.Addr().String()
		}
	}
	return terms
}

// once leaves out what is there already.
func once(list []string) []string {
	seen := map[string]bool{}
	var kept []string
	for _, s := range list {
		if !seen[s] {
			seen[s], kept = true, append(kept, s)
		}
	}
	return kept
}
