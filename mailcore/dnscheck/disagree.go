package dnscheck

import (
	"slices"

	"github.com/panelmail/panelmail/dnstmpl"
)

// together are the operations of all opinions, what is removed first. Those that are not
// needed on all servers name theirs. An SPF record is completed with what any of the
// servers publishes, so that it can be the same on all.
func together(opinions []opinion) (all []Operation) {
	if len(opinions) == 1 {
		return opinions[0].operations
	}
	needed := []int{} // by how many opinions
	for _, o := range opinions {
		for _, op := range o.operations {
			op.Want = withSPF(op.Want, opinions)
			at := slices.IndexFunc(all, func(other Operation) bool { return sameStep(op, other) })
			if at < 0 {
				at = len(all)
				all, needed = append(all, op), append(needed, 0)
			}
			all[at].Servers = distinct(append(all[at].Servers, o.servers...))
			needed[at]++
		}
	}
	for i := range all {
		if needed[i] == len(opinions) {
			all[i].Servers = nil
		}
	}
	slices.SortStableFunc(all, func(a, b Operation) int { return removesFirst(a) - removesFirst(b) })
	return all
}

func removesFirst(o Operation) int {
	if o.Op == dnstmpl.Remove {
		return 0
	}
	return 1
}

// sameStep reports whether two operations are the same, whatever TTL a server shows.
func sameStep(a, b Operation) bool {
	a.Have.TTL, b.Have.TTL = 0, 0
	return a.Change == b.Change && a.Alias == b.Alias
}

// withSPF is a wanted record with what the SPF records of all opinions at its name say;
// any other record is as it was.
func withSPF(want dnstmpl.Record, opinions []opinion) dnstmpl.Record {
	if !isSPFRecord(want) {
		return want
	}
	merged := ""
	for _, o := range opinions {
		for _, op := range o.operations {
			switch {
			case op.Want.Name != want.Name || !isSPFRecord(op.Want):
			case merged == "":
				merged = op.Want.Value.(dnstmpl.TXT).Text
			default:
				merged = dnstmpl.MergeSPF(merged, op.Want.Value.(dnstmpl.TXT).Text)
			}
		}
	}
	want.Value = dnstmpl.TXT{Text: merged}
	return want
}
