package dnscheck

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/transport"
)

// A view is what a name looks like to those who ask one server of its zone and, where
// that has an alias, one server of the zone that it leads to.
type view struct {
	first   string           // the server of the name itself, for people
	server  string           // that was asked last
	own     []dnstmpl.Record // at the name itself, an alias included
	target  string           // the end of the alias; empty: there is none
	behind  []dnstmpl.Record // at the target, under its name
	answers int              // how many types were answered
}

// views are the complete ones: those in which each type was answered, or an alias is
// there where one is wanted, for beside that there is nothing.
func (n *wantedName) views() []view {
	type key struct{ first, last string }
	all := map[key]*view{}
	for _, p := range n.publications {
		if len(p.Names) == 0 {
			continue
		}
		for _, a := range p.Names[0].Answers {
			for _, leaf := range n.leaves(p, a) {
				if leaf.Status.Trouble() {
					continue
				}
				k := key{place(a), place(leaf)}
				if all[k] == nil {
					all[k] = &view{first: shown(a), server: shown(leaf)}
				}
				all[k].add(n.name, a, leaf)
			}
		}
	}
	var complete []view
	for _, k := range sortedKeys(all, func(a, b key) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last)) }) {
		if all[k].answers == len(n.publications) || n.isAlias() && all[k].isAlias() {
			complete = append(complete, *all[k])
		}
	}
	return complete
}

func sortedKeys[K comparable, V any](m map[K]V, order func(a, b K) int) (keys []K) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, order)
	return keys
}

// leaves are the answers behind one answer: itself, or those that its alias leads to.
// Where an alias is wanted it is what counts.
func (n *wantedName) leaves(p transport.Publication, a transport.ServerAnswer) []transport.ServerAnswer {
	if a.Status != transport.StatusAlias || n.isAlias() {
		return []transport.ServerAnswer{a}
	}
	only := p
	only.Names = slices.Clone(p.Names)
	only.Names[0].Answers = []transport.ServerAnswer{a}
	return only.Leaves()
}

// isAlias reports whether an alias is wanted.
func (n *wantedName) isAlias() bool {
	return slices.ContainsFunc(n.records, func(r dnstmpl.Record) bool { return r.Type() == "CNAME" })
}

func (v *view) isAlias() bool {
	return slices.ContainsFunc(v.own, func(r dnstmpl.Record) bool { return r.Type() == "CNAME" })
}

// shown is a server as people are told of it.
func shown(a transport.ServerAnswer) string {
	return cmp.Or(absolute(a.Server), "the recursive server")
}

// place identifies a server.
func place(a transport.ServerAnswer) string { return a.Server + " " + a.Addr.String() }

// add adds the answer about one type.
func (v *view) add(name string, first, leaf transport.ServerAnswer) {
	v.answers++
	for _, r := range first.Records {
		v.own = appendNew(v.own, recordOf(r, name))
	}
	if first.Status != transport.StatusAlias {
		return
	}
	v.own = appendNew(v.own, dnstmpl.Record{Name: name, Value: dnstmpl.CNAME{Target: absolute(first.Alias)}})
	if leaf.Status == transport.StatusAlias {
		return
	}
	v.target = absolute(leaf.Name)
	for _, r := range leaf.Records {
		v.behind = appendNew(v.behind, recordOf(r, v.target))
	}
}

// text is the text that is seen at the name.
func (v view) text(name string) (text []dnstmpl.Record) {
	for _, r := range slices.Concat(v.own, under(v.behind, name)) {
		if r.Type() == "TXT" {
			text = append(text, r)
		}
	}
	return text
}

func appendNew(list []dnstmpl.Record, r dnstmpl.Record) []dnstmpl.Record {
	known := slices.ContainsFunc(list, func(other dnstmpl.Record) bool { return other.Name == r.Name && other.Value == r.Value })
	if r.Value == nil || known {
		return list
	}
	return append(list, r)
}

// recordOf is a published record under a name. Its value is nil if it is of no use, and
// so none of ours.
func recordOf(p transport.PublishedRecord, name string) dnstmpl.Record {
	r := dnstmpl.Record{Name: name, TTL: p.TTL}
	words := strings.Fields(p.Data)
	switch p.Type {
	case "TXT":
		r.Value = dnstmpl.TXT{Text: p.Text}
	case "A", "AAAA":
		if addr, err := netip.ParseAddr(p.Data); err == nil && p.Type == "A" {
			r.Value = dnstmpl.A{Addr: addr}
		} else if err == nil {
			r.Value = dnstmpl.AAAA{Addr: addr}
		}
	case "CNAME":
		r.Value = dnstmpl.CNAME{Target: strings.ToLower(p.Data)}
	case "MX":
		if n, err := strconv.ParseUint(words[0], 10, 16); err == nil && len(words) == 2 {
			r.Value = dnstmpl.MX{Preference: uint16(n), Host: strings.ToLower(words[1])}
		}
	default:
		line := name + " " + strconv.FormatUint(uint64(p.TTL), 10) + " IN " + p.Type + " " + p.Data
		if z, err := dnstmpl.ParseZone("", name, line); err == nil && len(z.Records) == 1 {
			r.Value = z.Records[0].Value
		}
	}
	return r
}
