package transport

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/panelmail/panelmail/internal/postmap"
)

// A Table is a transport map: patterns, and the route for each, with the
// meaning of Postfix's transport(5).
//
// A Table is made by [ParseMap] or [NewTable]. All methods may be called from
// many goroutines at once, those that change it too. A Table is a [Router].
type Table struct {
	name     string
	warnings []string

	mu   sync.RWMutex
	rows map[string]row // by folded pattern
}

type row struct {
	value string // as written
	route Route
	line  int // in the text it was read from; 0: none
}

// NewTable makes a table of rows, patterns with their values. It reports all
// rows that are wrong, as joined errors of type [*MapError] without a line. The
// name stands in rules and errors. Of rows with the same pattern the first
// counts.
func NewTable(name string, rows iter.Seq2[string, string]) (*Table, error) {
	t := &Table{name: name, rows: make(map[string]row)}
	var problems postmap.Problems
	for pattern, value := range rows {
		if err := t.add(pattern, value, 0); err != nil {
			problems.Add(&MapError{Name: name, Pattern: pattern, Err: err})
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return t, nil
}

// add puts in one row unless its pattern is there already.
func (t *Table) add(pattern, value string, line int) error {
	key, route, err := parseEntry(pattern, value)
	if err != nil {
		return err
	}
	if len(t.rows) >= MaxRows {
		return errTooManyRows
	}
	if first, ok := t.rows[key]; ok {
		t.warnings = append(t.warnings, duplicate(t.name, pattern, line, first.line))
		return nil
	}
	t.rows[key] = row{value: value, route: route, line: line}
	return nil
}

func duplicate(name, pattern string, line, first int) string {
	if line == 0 {
		return fmt.Sprintf("%s: %s stands here twice; the first counts", name, pattern)
	}
	return fmt.Sprintf("%s:%d: %s stands on line %d already, which counts", name, line, pattern, first)
}

// Name is the name the table was made with.
func (t *Table) Name() string { return t.name }

// Warnings tells what was odd in the rows the table was made of, but no error:
// patterns that stood there twice. As in Postfix the first counts.
func (t *Table) Warnings() []string { return slices.Clone(t.warnings) }

// Len is the number of rows.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.rows)
}

// Set puts in a row, in place of any with the same pattern.
func (t *Table) Set(pattern, value string) error {
	key, route, err := parseEntry(pattern, value)
	if err != nil {
		return &MapError{Name: t.name, Pattern: pattern, Err: err}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := t.rows[key]; !there && len(t.rows) >= MaxRows {
		return &MapError{Name: t.name, Pattern: pattern, Err: errTooManyRows}
	}
	t.rows[key] = row{value: value, route: route}
	return nil
}

// Delete removes the row with this pattern and reports whether there was one.
func (t *Table) Delete(pattern string) bool {
	key, err := parsePattern(pattern)
	if err != nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.rows[key]
	delete(t.rows, key)
	return ok
}

// All yields the rows in the order of their patterns: the pattern folded to
// lower case, the value as written. It yields what was there when it began.
func (t *Table) All() iter.Seq2[string, string] {
	return func(yield func(pattern, value string) bool) {
		t.mu.RLock()
		rows := maps.Clone(t.rows)
		t.mu.RUnlock()
		for _, key := range slices.Sorted(maps.Keys(rows)) {
			if !yield(key, rows[key].value) {
				return
			}
		}
	}
}

// MatchSubdomains returns the table that answers as this one does in a Postfix that
// lists transport_maps in parent_domain_matches_subdomains: a domain stands for its
// subdomains too, and .domain for nothing, of which there is a warning. The rows for
// subdomains count towards [MaxRows].
func (t *Table) MatchSubdomains() (*Table, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	flipped := &Table{name: t.name, warnings: slices.Clone(t.warnings), rows: make(map[string]row)}
	for _, key := range slices.Sorted(maps.Keys(t.rows)) {
		r := t.rows[key]
		if strings.HasPrefix(key, ".") {
			flipped.warnings = append(flipped.warnings, t.rule(key, r.line)+" stands for nothing where domains stand for their subdomains")
			continue
		}
		flipped.rows[key] = r
		if key != "*" && !strings.Contains(key, "@") {
			flipped.rows["."+key] = r
		}
	}
	if len(flipped.rows) > MaxRows {
		return nil, &MapError{Name: t.name, Err: errTooManyRows}
	}
	return flipped, nil
}

// Check reports every row that names a transport which is not in defs, or a next hop
// that it cannot deliver to, as joined errors of type [*MapError].
func (t *Table) Check(defs Definitions) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var problems postmap.Problems
	for _, key := range slices.Sorted(maps.Keys(t.rows)) {
		r := t.rows[key]
		d, known := defs[r.route.Transport]
		err := d.CheckNexthop(r.route.Nexthop)
		switch {
		case r.route.Transport == "":
			continue
		case !known:
			err = unknownTransport(r.route.Transport)
		}
		if err != nil {
			problems.Add(&MapError{Name: t.name, Line: r.line, Pattern: key, Err: err})
		}
	}
	return problems.Err()
}

// Lookup returns the route for an address. It tries, in this order, the whole
// address, the address without its extension (from the first "+" on), the
// domain, .parent domains from the longest, and "*". Case does not count.
// ok is false if no pattern matches.
func (t *Table) Lookup(address string) (r Route, ok bool) {
	r, _, ok = t.Rule(address)
	return r, ok
}

// Rule is [Table.Lookup] with the rule that answered, such as
// "transport:3: .ru": name, line if there is one, pattern.
func (t *Table) Rule(address string) (r Route, rule string, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for key := range lookupKeys(address) {
		if row, ok := t.rows[key]; ok {
			return row.route, t.rule(key, row.line), true
		}
	}
	return Route{}, "", false
}

func (t *Table) rule(key string, line int) string {
	if line == 0 {
		return t.name + ": " + key
	}
	return fmt.Sprintf("%s:%d: %s", t.name, line, key)
}

// Route implements [Router].
func (t *Table) Route(_ context.Context, q Query) (Route, string, bool, error) {
	r, rule, ok := t.Rule(q.Recipient)
	return r, rule, ok, nil
}

// lookupKeys yields the patterns that match an address, the most specific one
// first.
func lookupKeys(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		a, text := fold(s)
		for key := range addressKeys(a, text) {
			if !yield(key) {
				return
			}
		}
		if a.Domain != "" && !yield(a.Domain) {
			return
		}
		for parent := range parents(a.Domain) {
			if !yield(parent) {
				return
			}
		}
		yield("*")
	}
}
