package dnstmpl

import (
	"fmt"
	"slices"
)

// An Op is what to do with a record.
type Op string

// The operations of a Change.
const (
	Add    Op = "add"
	Modify Op = "change"
	Remove Op = "remove"
)

// A Change is one operation on a published zone.
type Change struct {
	Op   Op     `json:"op"`
	Have Record `json:"have,omitzero"` // what is published: of Modify and Remove
	Want Record `json:"want,omitzero"` // what is to be published: of Add and Modify
	Why  string `json:"why"`
}

// String is the change on one line, without the newline.
func (c Change) String() string {
	switch c.Op {
	case Add:
		return "+ " + c.Want.String()
	case Remove:
		return "- " + c.Have.String()
	}
	return "- " + c.Have.String() + "\n+ " + c.Want.String()
}

// Diff tells what makes of a published zone one that has z in it, in an order in
// which each step is allowed. There are no changes if z is published.
//
// Of the published zone only that is touched which answers the questions that z
// answers: the record sets of a name and a type that are in z, A and AAAA of a name
// being one set, which at a name of Shared is only added to; text of the same use, such as SPF; and what may not be beside an
// alias. Everything else is somebody else's. TTLs make no change.
//
// An SPF record that is there is not replaced but completed, by [MergeSPF], because
// the customer may send from elsewhere too; but for the parts that [Data.SPFRecords] puts
// below a domain, which are ours alone. Tags of DKIM, DMARC and their like are
// compared as tags, whatever blanks are between them. Where published has an alias
// and, at the same name, what the alias leads to, the latter counts.
func (z Zone) Diff(published Zone) []Change {
	want, have := newIndex(z), newIndex(published)
	var changes []Change
	removed := map[Record]bool{}
	for _, g := range want.order {
		for _, c := range compare(want, have, g, g.typ == "A" && slices.Contains(z.Shared, g.name)) {
			if c.Op == Remove && removed[c.Have] {
				continue
			}
			removed[c.Have] = c.Op == Remove
			changes = append(changes, c)
		}
	}
	return changes
}

// An index finds the records of a zone. Records that are there twice are there once.
type index struct {
	order  []group
	groups map[group][]Record
	names  map[string][]Record
}

func newIndex(z Zone) index {
	x := index{groups: map[group][]Record{}, names: map[string][]Record{}}
	for _, r := range distinct(slices.Clone(z.Records)) {
		g := groupOf(r)
		if len(x.groups[g]) == 0 {
			x.order = append(x.order, g)
		}
		x.groups[g] = append(x.groups[g], r)
		x.names[r.Name] = append(x.names[r.Name], r)
	}
	return x
}

// A group is the records that answer one question.
type group struct {
	name string
	typ  string // A stands for AAAA too
	kind string // of text: its use, or the text itself where it has none we know
}

func groupOf(r Record) group {
	g := group{name: r.Name, typ: r.Type()}
	switch v := r.Value.(type) {
	case AAAA:
		g.typ = "A"
	case TXT:
		if g.kind = textKind(r.Name, v.Text); g.kind == "" {
			g.kind = v.Text
		}
	}
	return g
}

// compare gives the changes of one group. If it is shared, others have records in it.
func compare(wanted, published index, g group, shared bool) []Change {
	want, have := wanted.groups[g], published.groups[g]
	if g.kind == "SPF" && len(have) > 0 && len(want) > 0 && !isPart(g.name, append(slices.Clone(have), want...)) {
		want = []Record{completed(want[0], have)}
	}
	left := slices.Clone(have)
	var missing []Record
	for _, w := range want {
		if i := slices.IndexFunc(left, func(h Record) bool { return same(w, h, g.kind) }); i >= 0 {
			left = slices.Delete(left, i, i+1)
		} else {
			missing = append(missing, w)
		}
	}
	if shared {
		left = nil
	}
	var changes []Change
	if len(missing) > 0 {
		changes = inTheWay(published, g)
	}
	pairs := pair(missing, left)
	for _, h := range left {
		if !slices.ContainsFunc(pairs, func(c Change) bool { return c.Have == h }) {
			changes = append(changes, Change{Op: Remove, Have: h, Why: extra(g)})
		}
	}
	return append(changes, pairs...)
}

// inTheWay removes what may not be beside the records of a group: an alias, or
// beside an alias anything.
func inTheWay(published index, g group) []Change {
	var changes []Change
	for _, r := range published.names[g.name] {
		switch {
		case r.Type() == g.typ:
		case r.Type() == "CNAME":
			changes = append(changes, Change{Op: Remove, Have: r, Why: fmt.Sprintf("beside an alias %s may not have other data", g.name)})
		case g.typ == "CNAME":
			changes = append(changes, Change{Op: Remove, Have: r, Why: fmt.Sprintf("%s is to be an alias, which may not have other data beside it", g.name)})
		}
	}
	return changes
}

// pair makes a change of a missing record and one that is published and not wanted:
// of those about the same host first. What is left of missing is added.
func pair(missing, left []Record) []Change {
	left = slices.Clone(left)
	var changes []Change
	for _, w := range missing {
		i := slices.IndexFunc(left, func(h Record) bool { return hostOf(w) != "" && hostOf(w) == hostOf(h) })
		if i < 0 {
			i = slices.IndexFunc(left, func(h Record) bool {
				return w.Type() == h.Type() && !slices.ContainsFunc(missing, func(m Record) bool { return hostOf(m) != "" && hostOf(m) == hostOf(h) })
			})
		}
		if i < 0 {
			changes = append(changes, Change{Op: Add, Want: w, Why: "it is not published"})
			continue
		}
		changes = append(changes, Change{Op: Modify, Have: left[i], Want: w, Why: "what is published is not what is in force"})
		left = slices.Delete(left, i, i+1)
	}
	return changes
}

func extra(g group) string {
	switch g.kind {
	case "":
		return fmt.Sprintf("it is not among the %s records of %s that are in force", g.typ, g.name)
	}
	return fmt.Sprintf("a second %s record: with two of them neither counts", g.kind)
}

// completed is the wanted SPF record, with what is published in it.
func completed(want Record, have []Record) Record {
	text := want.Value.(TXT).Text
	for _, h := range slices.Backward(have) {
		text = MergeSPF(h.Value.(TXT).Text, text)
	}
	want.Value = TXT{text}
	return want
}

// same reports whether two records of a group say the same.
func same(a, b Record, kind string) bool {
	if a.Value == b.Value {
		return true
	}
	ta, ok := a.Value.(TXT)
	tb, also := b.Value.(TXT)
	if !ok || !also {
		return false
	}
	switch kind {
	case "SPF":
		return sameSPF(ta.Text, tb.Text)
	case "DKIM", "DMARC", "MTA-STS", "TLS-RPT":
		return sameTags(kind, ta.Text, tb.Text)
	}
	return false
}
