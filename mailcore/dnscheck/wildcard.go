package dnscheck

import (
	"context"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/transport"
)

// An asker asks questions of servers of one kind.
type asker func(context.Context, ...transport.DNSQuestion) ([]transport.Publication, error)

// findWildcards asks, for each name at which there is an alias that is in the way, for
// the aliases of the wildcards above it (RFC 4592). The answer to a name does not say
// that it was made from one.
func findWildcards(ctx context.Context, ask asker, names []*wantedName) error {
	var questions []transport.DNSQuestion
	for _, n := range names {
		if !n.hasAliasInTheWay() {
			continue
		}
		for _, wildcard := range n.wildcardsAbove() {
			q := transport.DNSQuestion{Name: wildcard, Type: "CNAME"}
			if !slices.Contains(questions, q) {
				questions = append(questions, q)
			}
		}
	}
	if len(questions) == 0 {
		return nil
	}
	found, err := ask(ctx, questions...)
	if err != nil {
		return err
	}
	for _, n := range names {
		for _, p := range found {
			if slices.Contains(n.wildcardsAbove(), p.Question.Name) {
				n.addWildcard(p)
			}
		}
	}
	return nil
}

// A wildcard is an alias that names get which have no records of their own.
type wildcard struct{ name, target string }

func (n *wantedName) addWildcard(p transport.Publication) {
	if len(p.Names) == 0 {
		return
	}
	for _, a := range p.Names[0].Answers {
		for _, r := range a.Records {
			if w := (wildcard{p.Question.Name, strings.ToLower(r.Data)}); !slices.Contains(n.wildcards, w) {
				n.wildcards = append(n.wildcards, w)
			}
		}
	}
}

// hasAliasInTheWay reports whether there is something to do where an alias is.
func (n *wantedName) hasAliasInTheWay() bool {
	return slices.ContainsFunc(n.views(), func(v view) bool { return v.isAlias() && len(n.operations(v)) > 0 })
}

// wildcardsAbove are the names of the wildcards, up to that of the zone, that the name
// can have its records of. The nearest is the first.
func (n *wantedName) wildcardsAbove() (names []string) {
	zone := ""
	for _, p := range n.publications {
		if len(p.Names) > 0 && p.Names[0].Zone != "" {
			zone = absolute(p.Names[0].Zone)
		}
	}
	for name := n.name; name != zone; {
		_, parent, _ := strings.Cut(name, ".")
		if !strings.Contains(strings.TrimSuffix(parent, "."), ".") {
			break // a top level domain has none for us
		}
		names = append(names, "*."+parent)
		name = parent
	}
	return names
}

// wildcardOf is the wildcard that the alias of a view is made from; "" if it is a record
// of its own. One that is the same as that of a wildcard is taken for the latter.
func (n *wantedName) wildcardOf(v view) string {
	for _, w := range n.wildcards {
		is := func(r dnstmpl.Record) bool { return r.Value == dnstmpl.CNAME{Target: w.target} }
		if slices.ContainsFunc(v.own, is) {
			return w.name
		}
	}
	return ""
}
