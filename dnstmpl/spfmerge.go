package dnstmpl

import (
	"net/netip"
	"slices"
	"strings"
)

// MergeSPF is a published SPF record with everything in it that wanted allows. Terms
// of both keep their order, those of published first; but what wanted allows stands
// in front of what published denies. At the end stands what published says of
// everybody else, unless it says nothing, ?all or +all: then what wanted says. A
// redirect that would be looked at stays in the place of all. What makes published
// worthless as a whole goes: terms that are in no form of RFC 7208, and a second
// redirect or exp.
//
// Where published lets everything through that wanted does, and ends as said, the
// result is published, octet for octet. Hosts are not known here: what is wanted stands
// in front of any that are denied. The result may take more look-ups than the
// 10 of RFC 7208 section 4.6.4.
func MergeSPF(published, wanted string) string {
	_, err := parseSPF(published)
	if sameSPF(published, wanted) && err == nil {
		return published
	}
	have, want := spfTerms(readable(published)), spfTerms(wanted)
	terms, changed := addMechanisms(have.mechanisms, want.mechanisms)
	changed = changed || err != nil
	end, redirect := have.all, have.redirect
	if open := end == "" && redirect == "" || end != "" && strings.IndexByte("+?", spfQualifier(end)) >= 0; open && want.all+want.redirect != "" {
		changed = changed || end != want.all || redirect != want.redirect
		end, redirect = want.all, want.redirect
	}
	if !changed {
		return published
	}
	terms = slices.Concat([]string{"v=spf1"}, terms, []string{end, redirect}, have.modifiers)
	return strings.Join(slices.DeleteFunc(terms, func(s string) bool { return s == "" }), " ")
}

// readable is a record without what makes it worthless.
func readable(text string) string {
	var kept []string
	seen := map[string]bool{}
	for i, word := range strings.Fields(text) {
		t, err := parseTerm(word)
		once := t.modifier && (t.name == "redirect" || t.name == "exp")
		if i > 0 && (err != nil || once && seen[t.name]) {
			continue
		}
		seen[t.name] = true
		kept = append(kept, word)
	}
	return strings.Join(kept, " ")
}

// addMechanisms adds those of want that have does not have.
func addMechanisms(have, want []string) (terms []string, changed bool) {
	terms = slices.Clone(have)
	for _, w := range want {
		if holds(terms, w) {
			continue
		}
		changed = true
		terms = slices.DeleteFunc(terms, func(h string) bool { return spfMechanism(h) == spfMechanism(w) })
		end := slices.IndexFunc(terms, func(h string) bool { return spfQualifier(h) != '+' })
		if end < 0 || spfQualifier(w) != '+' {
			end = len(terms)
		}
		terms = slices.Insert(terms, end, w)
	}
	return terms, changed
}

// holds reports whether terms say what a mechanism says, and nothing in front of that
// may say something else of a part of it.
func holds(terms []string, w string) bool {
	narrow, network := spfNetwork(spfMechanism(w))
	for _, h := range terms {
		if covers(h, w) {
			return true
		}
		wide, ok := spfNetwork(spfMechanism(h))
		perhaps := spfQualifier(w) == '+' // where hosts are not known
		if ok && network {
			perhaps = wide.Overlaps(narrow)
		}
		if perhaps && spfQualifier(h) != spfQualifier(w) {
			return false
		}
	}
	return false
}

// covers reports whether one mechanism says what another says, of a whole network
// perhaps.
func covers(h, w string) bool {
	if spfQualifier(h) != spfQualifier(w) {
		return false
	}
	if spfMechanism(h) == spfMechanism(w) {
		return true
	}
	wide, ok := spfNetwork(spfMechanism(h))
	narrow, also := spfNetwork(spfMechanism(w))
	return ok && also && wide.Bits() <= narrow.Bits() && wide.Contains(narrow.Addr())
}

// A spfRecord is the terms of an SPF record by what becomes of them in a merger.
type spfRecord struct {
	mechanisms []string // but all, in front of it
	all        string   // with its qualifier; "" for none
	redirect   string   // counts only where there is no all (RFC 7208 section 6.1)
	modifiers  []string // others
}

func spfTerms(text string) spfRecord {
	var r spfRecord
	words := strings.Fields(text)
	for _, term := range words[min(1, len(words)):] {
		lower := strings.ToLower(term)
		switch {
		case spfMechanism(term) == "all":
			if r.all == "" {
				r.all = term
			}
		case strings.HasPrefix(lower, "redirect="):
			r.redirect = term
		case isModifier(lower):
			r.modifiers = append(r.modifiers, term)
		case r.all == "": // what stands behind all is never looked at
			r.mechanisms = append(r.mechanisms, term)
		}
	}
	if r.all != "" {
		r.redirect = ""
	}
	return r
}

// isModifier reports whether a term is name=value, and no mechanism with an equals
// sign in a macro of its domain.
func isModifier(term string) bool {
	i := strings.IndexAny(term, "=:/%")
	return i > 0 && term[i] == '='
}

// spfMechanism is a term without its qualifier, in lower case, in one spelling.
func spfMechanism(term string) string {
	m := strings.ToLower(term)
	if strings.IndexByte("+-~?", m[0]) >= 0 {
		m = m[1:]
	}
	if network, ok := spfNetwork(m); ok {
		return m[:len("ip4:")] + network.String()
	}
	return strings.TrimSuffix(m, ".")
}

// spfNetwork is the network of an ip4 or ip6 mechanism in lower case.
func spfNetwork(m string) (netip.Prefix, bool) {
	text, ok := strings.CutPrefix(m, "ip4:")
	if !ok {
		if text, ok = strings.CutPrefix(m, "ip6:"); !ok {
			return netip.Prefix{}, false
		}
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	network, err := netip.ParsePrefix(text)
	return network.Masked(), err == nil
}

// spfQualifier is one of + - ~ ?.
func spfQualifier(term string) byte {
	if strings.IndexByte("+-~?", term[0]) >= 0 {
		return term[0]
	}
	return '+'
}

// sameSPF reports whether two records have the same terms in the same order, in
// whatever case and with whatever blanks.
func sameSPF(a, b string) bool {
	return slices.EqualFunc(strings.Fields(a), strings.Fields(b), func(x, y string) bool {
		return spfMechanism(x) == spfMechanism(y) && spfQualifier(x) == spfQualifier(y)
	})
}
