package dnscheck

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/transport"
)

// DNS asks what is published; [transport.DNS] does.
type DNS interface {
	Published(ctx context.Context, questions ...transport.DNSQuestion) ([]transport.Publication, error)
}

// A Recursive DNS asks recursive servers as well; [transport.DNS] does.
type Recursive interface {
	Resolved(ctx context.Context, questions ...transport.DNSQuestion) ([]transport.Publication, error)
}

// Check compares what is wanted with what is published. NS and SOA records are not
// compared: they are not mail's. Names outside the zone are asked for where they are; see
// [Delegated].
//
// Where no authoritative server can be found at all and d is [Recursive] too, what the
// recursive servers say is compared. What SPF records include is asked of d, if it is a
// [transport.ClientResolver].
func Check(ctx context.Context, d DNS, want dnstmpl.Zone) (Report, error) {
	names := wanted(want)
	questions := questionsOf(names)
	ask := asker(d.Published)
	found, err := ask(ctx, questions...)
	if err != nil {
		return Report{}, fmt.Errorf("dnscheck: %w", err)
	}
	r := Report{Zone: want.Name, Operations: []Operation{}}
	if other, ok := d.(Recursive); ok && len(found) > 0 && !anyServer(found) {
		resolved, err := other.Resolved(ctx, questions...)
		if err != nil {
			return Report{}, fmt.Errorf("dnscheck: %w", err)
		}
		if anyAnswer(resolved) {
			found, ask, r.Recursive = resolved, other.Resolved, true
		}
	}
	hosts := mailHosts(want)
	for _, n := range names {
		n.isMailHost = slices.Contains(hosts, n.name)
		n.isShared = slices.Contains(want.Shared, n.name)
		if n.onlyText() {
			n.alias = aliasOf(names, n.name)
		}
		n.publications = found[:len(n.types())]
		found = found[len(n.types()):]
	}
	if err := findWildcards(ctx, ask, names); err != nil {
		return Report{}, fmt.Errorf("dnscheck: %w", err)
	}
	resolver := resolverOf(d)
	for _, n := range names {
		n.completeSPF = remembered(func(published, wanted string) string {
			return want.CompleteSPF(ctx, resolver, n.name, published, wanted)
		})
		r.compare(n)
	}
	r.Faults = r.After(want).SPFFaults(ctx, resolver)
	return r, nil
}

// A wantedName is the records wanted at one name.
type wantedName struct {
	name         string
	records      []dnstmpl.Record
	alias        string // that is wanted to lead to its text; "" for none
	isMailHost   bool   // MX or SRV records point at it, so that it may be no alias
	isShared     bool   // others have addresses there
	publications []transport.Publication
	wildcards    []wildcard // above it, if an alias at the name is in the way
	completeSPF  func(published, wanted string) string
}

// wanted cuts a zone into its names, in the order of its records.
func wanted(z dnstmpl.Zone) (names []*wantedName) {
	for _, r := range z.Records {
		if t := r.Type(); t == "NS" || t == "SOA" {
			continue
		}
		at := slices.IndexFunc(names, func(n *wantedName) bool { return n.name == r.Name })
		if at < 0 {
			at = len(names)
			names = append(names, &wantedName{name: r.Name})
		}
		names[at].records = append(names[at].records, r)
	}
	return names
}

// types are the record types to ask for: those that are compared, and those that would
// be in the way.
func (n *wantedName) types() (types []string) {
	for _, r := range n.records {
		switch r.Type() {
		case "A", "AAAA":
			types = append(types, "A", "AAAA")
		case "CNAME":
			types = append(types, "CNAME", "A", "AAAA", "MX", "TXT")
		default:
			types = append(types, r.Type())
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

func questionsOf(names []*wantedName) (all []transport.DNSQuestion) {
	for _, n := range names {
		for _, t := range n.types() {
			all = append(all, transport.DNSQuestion{Name: n.name, Type: t})
		}
	}
	return all
}

// mailHosts are the names that MX and SRV records point at (RFC 2181 section 10.3).
func mailHosts(z dnstmpl.Zone) (hosts []string) {
	for _, r := range z.Records {
		switch v := r.Value.(type) {
		case dnstmpl.MX:
			hosts = append(hosts, v.Host)
		case dnstmpl.SRV:
			hosts = append(hosts, v.Target)
		}
	}
	return hosts
}

// anyServer reports whether an authoritative server could be found for any name.
func anyServer(found []transport.Publication) bool {
	return anyWith(found, func(a transport.ServerAnswer) bool { return a.Status != transport.StatusNoZone })
}

func anyAnswer(found []transport.Publication) bool {
	return anyWith(found, func(a transport.ServerAnswer) bool { return !a.Status.Trouble() })
}

func anyWith(found []transport.Publication, is func(transport.ServerAnswer) bool) bool {
	for _, p := range found {
		for _, n := range p.Names {
			if slices.ContainsFunc(n.Answers, is) {
				return true
			}
		}
	}
	return false
}

// compare adds to the report what is to be said about one name.
func (r *Report) compare(n *wantedName) {
	for _, p := range n.publications {
		r.troubles(n, p)
	}
	opinions := n.opinions()
	right := slices.IndexFunc(opinions, func(o opinion) bool { return len(o.operations) == 0 })
	switch {
	case len(opinions) == 0:
		r.Unknown = append(r.Unknown, n.name)
	case len(opinions) == 1 && right == 0:
		r.Right = append(r.Right, n.name)
		r.published = append(r.published, opinions[right].text...)
	case right >= 0:
		w := Waiting{Name: n.name, Right: distinct(opinions[right].servers)}
		r.published = append(r.published, opinions[right].text...)
		for _, o := range slices.Delete(opinions, right, right+1) {
			w.Behind = append(w.Behind, o.servers...)
			w.Operations = append(w.Operations, o.operations...)
		}
		w.Behind = distinct(w.Behind)
		r.Waiting = append(r.Waiting, w)
	default:
		r.Operations = append(r.Operations, together(opinions)...)
	}
}

// An opinion is what is to be done if one asks some of the servers.
type opinion struct {
	operations []Operation
	servers    []string
	text       []dnstmpl.Record // that one of them shows
}

func (n *wantedName) opinions() (all []opinion) {
	for _, v := range n.views() {
		operations := n.operations(v)
		text := fmt.Sprint(operations)
		at := slices.IndexFunc(all, func(o opinion) bool { return fmt.Sprint(o.operations) == text })
		if at < 0 {
			at = len(all)
			all = append(all, opinion{operations: operations, text: v.text(n.name)})
		}
		server := v.server
		if slices.ContainsFunc(operations, func(o Operation) bool { return o.Alias != n.name }) {
			server = v.first // there is something to do at the name itself
		}
		all[at].servers = append(all[at].servers, server)
	}
	return all
}

func distinct(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// troubles adds what is wrong with the servers that were asked about a name.
func (r *Report) troubles(n *wantedName, p transport.Publication) {
	if len(p.Names) == 0 {
		return
	}
	for _, a := range p.Names[0].Answers {
		for _, leaf := range n.leaves(p, a) {
			if !leaf.Status.Trouble() {
				continue
			}
			zone := ""
			for _, name := range p.Names {
				if name.Name == leaf.Name {
					zone = absolute(name.Zone)
				}
			}
			r.trouble(Trouble{Zone: zone, Server: absolute(leaf.Server), Addr: leaf.Addr, Status: leaf.Status, Detail: leaf.Detail}, n.name)
		}
	}
}

// trouble adds a trouble, once however many names it is about.
func (r *Report) trouble(t Trouble, name string) {
	at := slices.IndexFunc(r.Troubles, func(b Trouble) bool {
		return b.Zone == t.Zone && b.Server == t.Server && b.Addr == t.Addr && b.Status == t.Status && b.Detail == t.Detail
	})
	if at < 0 {
		at = len(r.Troubles)
		r.Troubles = append(r.Troubles, t)
	}
	if !slices.Contains(r.Troubles[at].Names, name) {
		r.Troubles[at].Names = append(r.Troubles[at].Names, name)
	}
}

// absolute is a name with its final dot; "" stays.
func absolute(name string) string {
	if name == "" || strings.HasSuffix(name, ".") {
		return name
	}
	return name + "."
}
