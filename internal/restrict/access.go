package restrict

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// A table is an access(5) table.
type table struct {
	name    string
	keys    map[string]entry       // addresses, parts of addresses, host names
	nets    map[netip.Prefix]entry // addresses and networks of clients
	domains bool                   // one of the keys could be the name of a client
}

// An entry is the action of one key.
type entry struct {
	line  int
	word  string // of the action, in capitals; "" for a list of restrictions
	apply func(ctx context.Context, r *run, what aspect) answer
	list  []restriction // if the action is one
}

// named returns a table by its name, reading it if need be; nil after a complaint.
func (p *parser) named(name string) *table {
	if t, ok := p.tables[name]; ok {
		return t
	}
	text, ok := p.texts[name]
	if !ok {
		return nil
	}
	p.tables[name] = nil
	t := &table{name: name, keys: map[string]entry{}, nets: map[netip.Prefix]entry{}}
	switch {
	case name == "" || len(name) > maxTableName || len(words(name)) != 1:
		p.complain("table %q: a name is one word of %d octets at most", name, maxTableName)
	case len(text) > MaxTable:
		p.complain("table %s: more than %d octets", name, MaxTable)
	default:
		p.lines(t, text)
	}
	p.tables[name] = t
	return t
}

// maxComplaints is how many bad lines of a table are named.
const maxComplaints = 10

// lines reads the lines of a table.
func (p *parser) lines(t *table, text string) {
	number, bad := 0, 0
	begin, logical := 0, ""
	finish := func() {
		if logical == "" || bad >= maxComplaints {
			return
		}
		if err := p.entry(t, begin, logical); err != nil {
			p.complain("table %s, line %d: %w", t.name, begin, err)
			bad++
		}
		logical = ""
	}
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case number > MaxLines:
			p.complain("table %s: more than %d lines", t.name, MaxLines)
			return
		case line == "", strings.HasPrefix(strings.TrimLeft(line, " \t"), "#"):
			continue
		case logical != "" && (line[0] == ' ' || line[0] == '\t'):
			logical += " " + strings.TrimLeft(line, " \t")
		default:
			finish()
			begin, logical = number, line
		}
		if len(logical) > MaxLine {
			p.complain("table %s, line %d: longer than %d octets", t.name, begin, MaxLine)
			return
		}
	}
	finish()
}

// entry reads a line and adds it to the table.
func (p *parser) entry(t *table, number int, line string) error {
	key, text := line, ""
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		key, text = line[:i], strings.TrimSpace(line[i:])
	}
	e, err := p.action(text)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	e.line = number
	if network, ok, err := networkKey(key); err != nil {
		return err
	} else if ok {
		if other, taken := t.nets[network]; taken {
			return fmt.Errorf("the key %s is in line %d already", key, other.line)
		}
		t.nets[network] = e
		return nil
	}
	folded, err := nameKey(key)
	if err != nil {
		return err
	}
	if other, taken := t.keys[folded]; taken {
		return fmt.Errorf("the key %s is in line %d already", key, other.line)
	}
	t.keys[folded] = e
	t.domains = t.domains || !strings.ContainsAny(folded, "@<")
	return nil
}

// networkKey reads a key that is an address, a network, or an IPv4 address cut at a dot.
func networkKey(key string) (n netip.Prefix, ok bool, err error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(key, "["), "]")
	if a, err := netip.ParseAddr(bare); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true, nil
	}
	if strings.Contains(key, "/") {
		n, err := netip.ParsePrefix(strings.NewReplacer("[", "", "]", "").Replace(key))
		if err != nil || n.Masked() != n {
			return n, false, fmt.Errorf("%s is no network", key)
		}
		if n.Addr().Is4In6() && n.Bits() >= 96 { // clients have the IPv4 address
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		return n, true, nil
	}
	octets := strings.Count(key, ".") + 1
	if octets >= 4 || strings.Trim(key, "0123456789.") != "" {
		return n, false, nil
	}
	a, err := netip.ParseAddr(key + strings.Repeat(".0", 4-octets))
	if err != nil {
		return n, false, fmt.Errorf("%s is no part of an IPv4 address", key)
	}
	return netip.PrefixFrom(a, 8*octets), true, nil
}

// nameKey folds a key that is an address, a part of one, or a host name.
func nameKey(key string) (string, error) {
	if key == "<>" {
		return key, nil
	}
	if strings.HasPrefix(key, ".") {
		return "", fmt.Errorf("%s would never match: %s matches its subdomains too", key, key[1:])
	}
	local, domain, at := strings.Cut(key, "@")
	path, cut := key, ""
	switch {
	case !at:
		path, cut = "x@"+key, "x@"
	case domain == "":
		path = local + "@x"
	}
	a, err := address.Parse(path)
	if err != nil {
		return "", fmt.Errorf("%s is neither an address nor a domain nor a network: %w", key, err)
	}
	folded := strings.TrimPrefix(a.Fold().String(), cut)
	if at && domain == "" {
		folded = strings.TrimSuffix(folded, "x")
	}
	return folded, nil
}

// access reads the argument of check_…_access.
func (p *parser) access(what aspect) func(x *restriction, arg string) error {
	return func(x *restriction, arg string) error {
		t := p.named(arg)
		if _, known := p.texts[arg]; !known {
			return errors.New("no such table is given")
		}
		if t == nil {
			return errors.New("the table refers to itself")
		}
		x.table = t
		x.apply = func(ctx context.Context, r *run) answer {
			e, ok := t.find(ctx, r, what)
			if !ok {
				return answer{}
			}
			return e.apply(ctx, r, what)
		}
		return nil
	}
}

// find looks up what an aspect of the request is.
func (t *table) find(ctx context.Context, r *run, what aspect) (entry, bool) {
	switch what {
	case theClient:
		return t.client(ctx, r)
	case theHELO:
		name := strings.TrimSuffix(strings.ToLower(r.request.HELO), ".")
		if ip, err := netip.ParseAddr(name); err == nil { // in no brackets
			return t.addr(ip.Unmap())
		}
		if a, err := address.Parse("x@" + name); err == nil {
			if ip, ok := a.Literal(); ok {
				return t.addr(ip)
			}
		}
		return t.domain(name)
	}
	path := r.path(what)
	if path == "" {
		e, ok := t.keys["<>"]
		return e, ok
	}
	return t.path(path)
}

// client looks a client up by its name, if there is any name to find, and by its address.
func (t *table) client(ctx context.Context, r *run) (entry, bool) {
	if t.domains {
		if name, _ := r.clientName(ctx); name != "unknown" {
			if e, ok := t.domain(name); ok {
				return e, true
			}
		}
	}
	return t.addr(r.request.Client)
}

// addr looks an address up: itself, then its networks, the smallest first.
func (t *table) addr(a netip.Addr) (entry, bool) {
	if !a.IsValid() || len(t.nets) == 0 {
		return entry{}, false
	}
	for bits := a.BitLen(); bits >= 0; bits-- {
		n, err := a.Prefix(bits)
		if err != nil {
			break
		}
		if e, ok := t.nets[n]; ok {
			return e, true
		}
	}
	return entry{}, false
}

// domain looks a domain up, then the domains it is in.
func (t *table) domain(name string) (entry, bool) {
	for name != "" {
		if e, ok := t.keys[name]; ok {
			return e, true
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return entry{}, false
}

// path looks an address up: whole, without extension, its domain, its local-part.
func (t *table) path(path string) (entry, bool) {
	a, err := address.Parse(path)
	if err != nil {
		return entry{}, false
	}
	a = a.Fold()
	base, _ := a.SplitExtension("+")
	for _, key := range []string{a.String(), base.String()} {
		if e, ok := t.keys[key]; ok {
			return e, true
		}
	}
	if e, ok := t.domain(a.Domain); ok {
		return e, true
	}
	for _, local := range []address.Address{{Local: a.Local, Domain: "x"}, {Local: base.Local, Domain: "x"}} {
		if e, ok := t.keys[strings.TrimSuffix(local.String(), "x")]; ok {
			return e, true
		}
	}
	return entry{}, false
}
