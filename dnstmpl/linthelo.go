package dnstmpl

import (
	"fmt"
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
		g := greeting{linter: l, name: id.Name}
		for _, ip := range id.Addrs {
			if !public(ip) {
				g.hidden = append(g.hidden, ip.String())
				continue
			}
			if known && !slices.Contains(addrs, ip) {
				g.missing = append(g.missing, ip.String())
			}
			g.reverse(ip)
		}
		g.report()
	}
}

// A greeting is a HELO name with those of its addresses that something is wrong with.
type greeting struct {
	linter *linter
	name   string

	missing  []string // that the name does not lead to
	astray   []string // with names that do not lead back
	others   []string // with other names
	nameless []string
	hidden   []string // that are not seen on the internet
}

// reverse checks the PTR records of an address: one must name the host that greets, or
// a host that has the address.
func (g *greeting) reverse(ip netip.Addr) {
	l := g.linter
	if l.world.resolver == nil {
		return
	}
	names, err := orNone(l.world.resolver.Names(l.ctx, ip))
	switch {
	case err != nil:
		l.unanswered(ip.String(), err)
		return
	case len(names) == 0:
		g.nameless = append(g.nameless, ip.String())
		return
	case slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(strings.TrimSuffix(n, "."), g.name) }):
		return
	}
	called := func(name string) string { return fmt.Sprintf("%s is called %s", ip, strings.TrimSuffix(name, ".")) }
	for _, n := range names {
		addrs, known, err := l.world.addrs(l.ctx, n)
		if err != nil || !known || slices.Contains(addrs, ip) {
			g.others = append(g.others, called(n))
			return
		}
	}
	g.astray = append(g.astray, called(names[0]))
}

// report adds a problem for each thing that is wrong, however many addresses have it.
func (g *greeting) report() {
	pointer := "a PTR record to " + g.name + "."
	for _, p := range []struct {
		addrs        []string
		before, text string // the addresses stand between the two
		fix          string
	}{
		{g.missing, "the HELO name " + g.name + " does not lead to ", ", where it is said", "A and AAAA records of " + g.name + ". with all addresses that say it"},
		{g.astray, "", ", which does not lead back: large receivers refuse mail from there", pointer},
		{g.others, "", ", and HELO says " + g.name, pointer},
		{g.nameless, "there is no name for ", ": large receivers refuse mail from there", pointer},
		{g.hidden, "mail leaves from ", ", which nobody else sees: if it is translated on the way, SPF has the wrong address", "the address that others see in its place"},
	} {
		if len(p.addrs) > 0 {
			g.linter.add(RuleHELO, "", p.fix, "%s%s%s", p.before, few(p.addrs), p.text)
		}
	}
}

// few is a list for people, with the first of many.
func few(list []string) string {
	const most = 4
	if len(list) > most+1 {
		list = append(slices.Clone(list[:most]), fmt.Sprintf("%d more", len(list)-most))
	}
	if last := len(list) - 1; last > 0 {
		return strings.Join(list[:last], ", ") + " and " + list[last]
	}
	return list[0]
}
