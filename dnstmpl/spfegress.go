package dnstmpl

import (
	"net/netip"
	"slices"
	"strings"
)

// egress checks that the domain's SPF record lets all mail through that leaves from where
// the data says: a template may have a record of its own.
func (l *linter) egress(rec Record, terms []spfTerm) {
	e := &spfEval{linter: l, records: map[string][]spfTerm{}, hosts: map[string]spfHosts{}}
	networks, hosts := l.data.leaves()
	missing := slices.DeleteFunc(hosts, func(text string) bool { return !l.lacks(e, rec, terms, text) })
	networks = slices.DeleteFunc(networks, func(n netip.Prefix) bool {
		return e.judge(rec.Name, terms, n.Addr()) != spfFails && e.judge(rec.Name, terms, last(n)) != spfFails
	})
	missing = append(addressTerms(joined(networks)), missing...)
	if len(missing) > 0 {
		l.add(RuleEgress, rec.String(), strings.Join(missing, " ")+" in it",
			"mail of the domain leaves from where the SPF record of %s does not let it pass: %s", rec.Name, strings.Join(missing, ", "))
	}
}

// lacks reports whether a record does not let pass what a term of a smart host would. A
// host without addresses is reported at once.
func (l *linter) lacks(e *spfEval, rec Record, terms []spfTerm, text string) bool {
	want, err := parseTerm(text)
	if err != nil {
		return false
	}
	if want.name == "include" {
		e.left = enoughLookups
		return e.includes(rec.Name, terms, want.domain) == spfFails
	}
	found := e.addrs(want)
	if found.known && len(found.addrs) == 0 {
		l.add(RuleEgress, rec.String(), "A or AAAA records for "+want.domain, "mail of the domain leaves through %s, which has no address in the DNS: it passes SPF nowhere", want.domain)
	}
	return slices.ContainsFunc(found.addrs, func(ip netip.Addr) bool { return e.judge(rec.Name, terms, ip) == spfFails })
}
