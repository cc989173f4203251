package dnstmpl

import (
	"net/netip"
	"slices"
	"strings"
)

// greeters checks that each address that mail leaves from, the name that it greets with,
// and the name that the DNS has for it are of one host. Many receivers refuse others.
func (l *linter) greeters() {
	for _, id := range l.data.HELO {
		if !strings.Contains(id.Name, ".") {
			l.add(RuleHELO, "", "the whole name of the host", "the HELO name %s is no full name: many receivers refuse it", id.Name)
			continue
		}
		addrs, known, err := l.world.addrs(l.ctx, id.Name)
		if err != nil {
			l.unanswered(id.Name, err)
		}
		for _, ip := range id.Addrs {
			if !public(ip) {
				l.add(RuleHELO, "", "the address that others see in its place",
					"mail leaves from %s, which nobody else sees: if it is translated on the way, SPF has the wrong address", ip)
				continue
			}
			if known && !slices.Contains(addrs, ip) {
				l.add(RuleHELO, "", "an "+rrtype(ip)+" record "+id.Name+". with "+ip.String(), "the HELO name %s does not lead to %s, which says it", id.Name, ip)
			}
			l.reverse(id.Name, ip)
		}
	}
}

// reverse checks the PTR records of an address: one must name the host that greets, or
// a host that has the address.
func (l *linter) reverse(name string, ip netip.Addr) {
	if l.world.resolver == nil {
		return
	}
	names, err := l.world.resolver.Names(l.ctx, ip)
	switch {
	case err != nil:
		l.unanswered(ip.String(), err)
		return
	case len(names) == 0:
		l.add(RuleHELO, "", "a PTR record to "+name+".", "the address %s has no name: large receivers refuse its mail", ip)
		return
	case slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(strings.TrimSuffix(n, "."), name) }):
		return
	}
	for _, n := range names {
		addrs, known, err := l.world.addrs(l.ctx, n)
		if err != nil || !known || slices.Contains(addrs, ip) {
			l.add(RuleHELO, "", "a PTR record to "+name+".", "the address %s is called %s, and says HELO %s", ip, strings.TrimSuffix(n, "."), name)
			return
		}
	}
	l.add(RuleHELO, "", "a PTR record to "+name+".", "the address %s is called %s, which does not lead back to it: large receivers refuse its mail",
		ip, strings.TrimSuffix(names[0], "."))
}
