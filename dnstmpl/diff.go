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
// being one set; text of the same use, such as SPF; and what may not be beside an
// alias. Everything else is somebody else's. TTLs make no change.
//
// An SPF record that is there is not replaced but completed, by [MergeSPF], because
// the customer may send from elsewhere too. Tags of DKIM, DMARC and their like are
// compared as tags, whatever blanks are between them. Where published has an alias
// and, at the same name, what the alias leads to, the latter counts.
func (z Zone) Diff(published Zone) []Change {
	var changes []Change
	var done []group
	published.Records = distinct(slices.Clone(published.Records))
	for _, r := range z.Records {
		if g := groupOf(r); !slices.Contains(done, g) {
			done = append(done, g)
			changes = append(changes, fresh(compare(z.in(g), published, g), changes)...)
		}
	}
	return changes
}

// fresh leaves out what changes remove already.
func fresh(more, changes []Change) []Change {
	return slices.DeleteFunc(more, func(m Change) bool {
		return m.Op == Remove && slices.ContainsFunc(changes, func(c Change) bool { return c.Op == Remove && c.Have == m.Have })
	})
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

// in is the records of a group.
func (z Zone) in(g group) []Record {
	var list []Record
	for _, r := range z.Records {
		if groupOf(r) == g {
			list = append(list, r)
		}
	}
	return list
}

// compare gives the changes of one group.
func compare(want []Record, published Zone, g group) []Change {
	have := published.in(g)
	if g.kind == "SPF" && len(have) > 0 && len(want) > 0 {
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
func inTheWay(published Zone, g group) []Change {
	var changes []Change
	for _, r := range published.Records {
		switch {
		case r.Name != g.name || r.Type() == g.typ:
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
