package dnscheck

import (
	"slices"

	"github.com/panelmail/panelmail/dnstmpl"
)

// operations are what makes of a view what is wanted.
func (n *wantedName) operations(v view) []Operation {
	if v.target == "" {
		return n.changes(v.own)
	}
	behind := under(v.behind, n.name)
	if !n.isMailHost && len(n.changes(slices.Concat(v.own, behind))) == 0 {
		return nil // delegated, and right there
	}
	if !n.onlyText() {
		return n.changes(v.own)
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
	want := dnstmpl.Zone{Name: n.name, Records: keepDMARC(n.records, have)}
	var all []Operation
	for _, c := range want.Diff(dnstmpl.Zone{Name: n.name, Records: have}) {
		c.Why = because(c)
		all = append(all, Operation{Change: c})
	}
	return all
}
