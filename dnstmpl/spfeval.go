package dnstmpl

import (
	"net/netip"
	"slices"
	"strings"
)

// An spfResult is what SPF says of mail from an address.
type spfResult int

const (
	spfFails   spfResult = iota // anything but a pass
	spfPasses                   // of a mechanism: it matches
	spfUnknown                  // there was no answer, or it is another one for each message
)

// An spfEval evaluates SPF records (RFC 7208 section 4.6). It does not know what ptr, exists
// and macros come to, and leaves errors of records that are included to others.
type spfEval struct {
	linter  *linter
	records map[string][]spfTerm // that have been asked for, by their domain; nil: not known
	hosts   map[string]spfHosts  // the same, by the term
	left    int                  // records that may be looked at, where they include one another
}

// spfHosts are the addresses of a term, if all are known.
type spfHosts struct {
	addrs []netip.Addr
	known bool
}

// judge evaluates the record of a name, from the start.
func (e *spfEval) judge(name string, terms []spfTerm, ip netip.Addr) spfResult {
	e.left = enoughLookups
	return e.of(name, terms, ip)
}

// of evaluates the record of a name.
func (e *spfEval) of(name string, terms []spfTerm, ip netip.Addr) spfResult {
	return e.walk(name, terms, func(name string, t spfTerm) spfResult { return e.matches(name, t, ip) })
}

// includes says whether an include of a domain is reached in the record of a name.
func (e *spfEval) includes(name string, terms []spfTerm, domain string) spfResult {
	return e.walk(name, terms, func(_ string, t spfTerm) spfResult {
		switch {
		case t.name != "include":
			return spfFails
		case sameName(t.domain, domain):
			return spfPasses
		}
		return e.behind(t.domain, func(terms []spfTerm) spfResult { return e.includes(t.domain, terms, domain) })
	})
}

func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// walk gives the result of the first term that matches.
func (e *spfEval) walk(name string, terms []spfTerm, matches func(name string, t spfTerm) spfResult) spfResult {
	var perhaps [2]bool // something may match before: that fails, that passes
	for _, t := range terms {
		if t.modifier {
			continue
		}
		result := spfFails
		if t.qualifier == '+' {
			result = spfPasses
		}
		switch matches(name, t) {
		case spfPasses:
			return sure(result, perhaps)
		case spfUnknown:
			perhaps[result] = true
		}
	}
	redirect, ok := redirectOf(terms)
	if !ok {
		return sure(spfFails, perhaps)
	}
	return sure(e.behind(redirect.domain, func(terms []spfTerm) spfResult { return e.walk(redirect.domain, terms, matches) }), perhaps)
}

// sure is a result, if nothing before may have made another one.
func sure(result spfResult, perhaps [2]bool) spfResult {
	if result == spfUnknown || perhaps[1-result] {
		return spfUnknown
	}
	return result
}

// behind looks at the record of another name.
func (e *spfEval) behind(domain string, look func(terms []spfTerm) spfResult) spfResult {
	if strings.ContainsRune(domain, '%') || e.left == 0 {
		return spfUnknown
	}
	e.left--
	terms, asked := e.records[domain]
	if !asked {
		texts, known, err := e.linter.world.spf(e.linter.ctx, domain)
		if err == nil && known && len(texts) == 1 {
			terms, _ = parseSPF(texts[0])
		}
		e.records[domain] = terms
	}
	if terms == nil {
		return spfUnknown
	}
	return look(terms)
}

// matches says whether an address is one of a term.
func (e *spfEval) matches(name string, t spfTerm, ip netip.Addr) spfResult {
	switch t.name {
	case "all":
		return spfPasses
	case "ip4", "ip6":
		return resultOf(t.network.Contains(ip))
	case "include":
		return e.behind(t.domain, func(terms []spfTerm) spfResult { return e.of(t.domain, terms, ip) })
	case "a", "mx":
		if t.domain == "" {
			t.domain = name
		}
		bits := t.bits4
		if ip.Is6() {
			bits = t.bits6
		}
		found := e.addrs(t)
		if slices.ContainsFunc(found.addrs, func(a netip.Addr) bool {
			return a.BitLen() == ip.BitLen() && netip.PrefixFrom(a, bits).Contains(ip)
		}) {
			return spfPasses
		}
		if found.known {
			return spfFails
		}
	}
	return spfUnknown
}

func resultOf(passes bool) spfResult {
	if passes {
		return spfPasses
	}
	return spfFails
}

// addrs are the addresses of an a or mx term with a domain.
func (e *spfEval) addrs(t spfTerm) spfHosts {
	key := t.name + ":" + t.domain
	found, asked := e.hosts[key]
	if asked || strings.ContainsRune(t.domain, '%') {
		return found
	}
	ctx, world := e.linter.ctx, e.linter.world
	hosts := []string{t.domain}
	found.known = true
	if t.name == "mx" {
		hosts, found.known, _ = world.exchangers(ctx, t.domain)
	}
	for _, host := range hosts {
		addrs, known, _ := world.addrs(ctx, host)
		for _, ip := range addrs {
			found.addrs = append(found.addrs, ip.Unmap())
		}
		found.known = found.known && known
	}
	e.hosts[key] = found
	return found
}
