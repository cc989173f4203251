package dnscheck

import (
	"fmt"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
)

// operations are what makes of a view what is wanted.
func (n *wantedName) operations(v view) []Operation {
	if v.target == "" {
		return n.atName(v)
	}
	behind := under(v.behind, n.name)
	if !n.isMailHost && len(n.changes(slices.Concat(v.own, behind))) == 0 {
		return nil // delegated, and right there
	}
	wildcard := n.wildcardOf(v) != ""
	if n.isShared && !n.isMailHost && !wildcard {
		return nil // whose alias it is, is for its owner to say; lint tells what HELO lacks
	}
	if wildcard || !n.onlyText() || !n.delegated(v.target, behind) {
		return n.atName(v)
	}
	all := n.changes(behind)
	for i := range all {
		all[i].Alias = n.name
		for _, r := range []*dnstmpl.Record{&all[i].Have, &all[i].Want} {
			if r.Name != "" {
				r.Name = v.target
			}
		}
	}
	return all
}

// atName are the operations at the name itself. An alias that a wildcard makes cannot be
// removed there, and need not: it goes when there is a record.
func (n *wantedName) atName(v view) []Operation {
	all, from := n.changes(v.own), n.wildcardOf(v)
	if from == "" || len(all) == 0 {
		return all
	}
	all = n.changes(nil)
	for i := range all {
		all[i].Why = fmt.Sprintf("%s; %s is an alias by the wildcard %s alone: a record of its own takes the place of that, and nothing else has to go",
			all[i].Why, n.name, from)
	}
	return all
}

// delegated reports whether text is left to the place that an alias leads to: one for such
// text, by an underscore in its name or by text of the same use there. The domain itself
// is none, nor is a host: aliases lead there for a web site's sake.
func (n *wantedName) delegated(target string, behind []dnstmpl.Record) bool {
	if strings.HasSuffix(n.name, "."+target) {
		return false
	}
	return strings.HasPrefix(target, "_") || strings.Contains(target, "._") ||
		!slices.ContainsFunc(n.changes(behind), func(o Operation) bool { return o.Op == dnstmpl.Add })
}

// onlyText reports whether all that is wanted is text: then an alias stays, and the
// text is for whoever has the zone that it leads to.
func (n *wantedName) onlyText() bool {
	return !slices.ContainsFunc(n.records, func(r dnstmpl.Record) bool { return r.Type() != "TXT" })
}

// under are records under another name.
func under(records []dnstmpl.Record, name string) []dnstmpl.Record {
	records = slices.Clone(records)
	for i := range records {
		records[i].Name = name
	}
	return records
}

// changes are what makes of records at the name what is wanted there.
func (n *wantedName) changes(have []dnstmpl.Record) []Operation {
	records, spf := n.keepSPF(keepDMARC(n.records, have), have)
	want := dnstmpl.Zone{Name: n.name, Records: records}
	if n.isShared {
		want.Shared = []string{n.name}
	}
	var all []Operation
	for _, c := range want.Diff(dnstmpl.Zone{Name: n.name, Records: have}) {
		if text, ok := c.Want.Value.(dnstmpl.TXT); ok && spf != "" && isSPF(text.Text) {
			c.Want.Value = dnstmpl.TXT{Text: spf}
		}
		c.Why = because(c)
		all = append(all, Operation{Change: c, Alias: n.alias})
	}
	return all
}
