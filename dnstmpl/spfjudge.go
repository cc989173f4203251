package dnstmpl

import (
	"context"
	"net/netip"
	"strings"
)

// CompleteSPF is [MergeSPF] for the record that is published at a name, with an eye on
// what the DNS says: terms of wanted whose addresses published lets through already, by an
// include, a redirect or the name of a host, are not added. z is the zone that is going
// to be published; what is not in it is asked of r. Without r, and where that does not
// tell, the terms are compared as text. A part of ours, as of [Data.SPFRecords], becomes
// wanted.
func (z Zone) CompleteSPF(ctx context.Context, r Resolver, name, published, wanted string) string {
	if isPart(name, []Record{{Value: TXT{published}}, {Value: TXT{wanted}}}) {
		return wanted
	}
	have, err := parseSPF(published)
	if r == nil || err != nil {
		return MergeSPF(published, wanted)
	}
	l := &linter{ctx: ctx, world: world{zone: z, resolver: r}}
	j := &spfJudge{
		eval: spfEval{linter: l, records: map[string][]spfTerm{}, hosts: map[string]spfHosts{}},
		name: name, terms: have, left: judgeSteps,
	}
	var missing []string
	for i, word := range strings.Fields(wanted) {
		j.eval.left = enoughLookups
		t, err := parseTerm(word)
		if i > 0 && err == nil && !t.modifier && t.name != "all" && t.qualifier == '+' && j.passes(name, t, 0) {
			continue
		}
		missing = append(missing, word)
	}
	return MergeSPF(published, strings.Join(missing, " "))
}

// Limits of a judge's work on one record.
const (
	judgeSteps = 10_000 // terms looked at
	judgeDepth = 10     // of includes
)

// An spfJudge says what an SPF record lets through of whole networks, where an spfEval
// does so of an address.
type spfJudge struct {
	eval  spfEval
	name  string
	terms []spfTerm
	left  int  // of judgeSteps
	split bool // a term was about a part of the network in question
}

// passes reports whether the record lets everything through that a term of another
// record does, that of a name. It is false too where that cannot be told.
func (j *spfJudge) passes(name string, t spfTerm, depth int) bool {
	if t.name == "include" || t.name == "redirect" {
		return j.passesRecord(t.domain, depth+1)
	}
	networks, known := j.networks(name, t)
	if !known || len(networks) == 0 {
		return false
	}
	for _, n := range networks {
		if !j.passesNetwork(n) {
			return false
		}
	}
	return true
}

// passesRecord is passes for all terms of the record of a domain.
func (j *spfJudge) passesRecord(domain string, depth int) bool {
	terms, known := j.record(domain)
	if !known || depth > judgeDepth {
		return false
	}
	for _, t := range terms {
		switch {
		case t.modifier:
		case t.name == "all":
			return t.qualifier != '+'
		case t.qualifier != '+', !j.passes(domain, t, depth):
			return false
		}
	}
	redirect, ok := redirectOf(terms)
	return !ok || j.passes(domain, redirect, depth)
}

// passesNetwork reports whether the record lets a whole network through, and not just
// because it does so with everybody.
func (j *spfJudge) passesNetwork(n netip.Prefix) bool {
	j.split, j.eval.left = false, enoughLookups
	if j.verdict(j.name, j.terms, n, 0) == matchAll {
		return true
	}
	if !j.split || j.left <= 0 || n.IsSingleIP() {
		return false
	}
	low, high := halves(n)
	return j.passesNetwork(low) && j.passesNetwork(high)
}

// halves are the two networks that a network consists of.
func halves(n netip.Prefix) (low, high netip.Prefix) {
	addr := n.Masked().Addr().AsSlice()
	low = netip.PrefixFrom(n.Masked().Addr(), n.Bits()+1)
	addr[n.Bits()/8] |= 0x80 >> (n.Bits() % 8)
	upper, _ := netip.AddrFromSlice(addr)
	return low, netip.PrefixFrom(upper, n.Bits()+1)
}

// A match is what a term, or a record, has to do with a network.
type match int

const (
	matchNone match = iota
	matchSome
	matchAll
	matchUnknown
)

// verdict says how much of a network a record lets through.
func (j *spfJudge) verdict(name string, terms []spfTerm, n netip.Prefix, depth int) match {
	result := matchNone
	for _, t := range terms {
		if t.modifier {
			continue
		}
		m := matchAll
		if t.name == "all" && depth == 0 {
			return result // the record is not to be like that
		} else if t.name != "all" {
			m = j.match(name, t, n, depth)
		}
		switch {
		case m == matchAll && t.qualifier == '+':
			return matchAll
		case m == matchAll:
			return result
		case m != matchNone && t.qualifier != '+':
			return max(result, m) // of the rest of the network later terms may say more
		case m != matchNone:
			result = max(result, m)
		}
	}
	if redirect, ok := redirectOf(terms); ok {
		return max(result, j.match(name, redirect, n, depth))
	}
	return result
}

// match says how much of a network a term is about.
func (j *spfJudge) match(name string, t spfTerm, n netip.Prefix, depth int) match {
	if t.name == "include" || t.name == "redirect" {
		terms, known := j.record(t.domain)
		if !known || depth >= judgeDepth {
			return matchUnknown
		}
		return j.verdict(t.domain, terms, n, depth+1)
	}
	networks, known := j.networks(name, t)
	if !known {
		return matchUnknown
	}
	result := matchNone
	for _, wide := range networks {
		switch {
		case !wide.Overlaps(n):
		case wide.Bits() <= n.Bits():
			return matchAll
		default:
			j.split, result = true, matchSome
		}
	}
	return result
}

// record is the SPF record of a domain.
func (j *spfJudge) record(domain string) (terms []spfTerm, known bool) {
	if j.left--; j.left < 0 {
		return nil, false
	}
	j.eval.behind(domain, func(found []spfTerm) spfResult {
		terms, known = found, true
		return spfPasses
	})
	return terms, known
}

// networks are those that a mechanism other than include is about.
func (j *spfJudge) networks(name string, t spfTerm) (networks []netip.Prefix, known bool) {
	if j.left--; j.left < 0 {
		return nil, false
	}
	switch t.name {
	case "ip4", "ip6":
		return []netip.Prefix{t.network.Masked()}, true
	case "a", "mx":
	default:
		return nil, false
	}
	if t.domain == "" {
		t.domain = name
	}
	found := j.eval.addrs(t)
	for _, ip := range found.addrs {
		networks = append(networks, t.around(ip))
	}
	return networks, found.known
}
