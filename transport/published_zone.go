package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/miekg/dns"
)

const (
	maxPerZone = 16 // servers of a zone
	maxParents = 3  // servers of the zone above that are asked for a delegation
)

// A zoneCut is the zone that a name lies in, as the recursive servers know it.
type zoneCut struct {
	name    string   // empty: none was found
	servers []string // names
	trouble string   // why a zone below this one may be the right one, if that could not be found out
}

// zoneServers are the servers of a zone.
type zoneServers struct {
	name    string // empty: none was found
	servers []zoneServer
	detail  string // why there are none
}

// A zoneServer is one address of a server.
type zoneServer struct {
	name   string
	addr   netip.Addr // not valid: none was found
	detail string     // why
}

// A memory remembers what was worked out. Its zero value is ready for use.
type memory[V any] struct {
	mu    sync.Mutex
	known map[string]func() V
}

// do returns what work returns, which is called once for a key.
func (m *memory[V]) do(key string, work func() V) V {
	m.mu.Lock()
	known, ok := m.known[key]
	if !ok {
		if m.known == nil {
			m.known = map[string]func() V{}
		}
		known = sync.OnceValue(work)
		m.known[key] = known
	}
	m.mu.Unlock()
	return known()
}

// parent is the name above a name; that of the root is the root.
func parent(name string) string {
	if at, end := dns.NextLabel(name, 0); !end {
		return name[at:]
	}
	return "."
}

// cut finds the zone of a name: the closest name from it upwards with NS records.
func (in *inquiry) cut(ctx context.Context, name string) zoneCut {
	return in.cuts.do(name, func() zoneCut {
		m, _, err := in.dns.ask(ctx, name, dns.TypeNS)
		if err == nil {
			if servers := nameServers(m.Answer, name); len(servers) > 0 {
				return zoneCut{name: name, servers: servers}
			}
		}
		if name == "." {
			return zoneCut{trouble: "no server knows the zones above: " + detailOf(err)}
		}
		c := in.cut(ctx, parent(name))
		if err != nil && !notFound(err) {
			c.trouble = plainName(name) + ": " + detailOf(err)
		}
		return c
	})
}

func detailOf(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Err
	}
	return "no NS records"
}

// zone returns the servers of the zone that a name lies in: those that it names and
// those that the zone above delegates to.
func (in *inquiry) zone(ctx context.Context, name string) zoneServers {
	cut := in.cut(ctx, name)
	if cut.name == "" {
		return zoneServers{detail: cut.trouble}
	}
	if cut.trouble == "" {
		return in.zones.do(cut.name, func() zoneServers {
			above := zoneCut{}
			if cut.name != "." {
				above = in.cut(ctx, parent(cut.name))
			}
			return in.servers(ctx, cut, in.delegation(ctx, above, cut.name))
		})
	}
	below := in.delegation(ctx, cut, name)
	switch below.zone {
	case "":
		return zoneServers{detail: cut.trouble}
	case cut.name:
		return in.servers(ctx, cut, delegation{})
	}
	return in.zones.do(below.zone, func() zoneServers {
		return in.servers(ctx, zoneCut{name: below.zone}, below)
	})
}

// A delegation is what a zone says about one below it.
type delegation struct {
	zone    string // delegated to; the zone itself if the name lies in it; empty: no answer
	servers []string
	glue    []dns.RR
}

// delegation asks a few servers of a zone where it delegates a name to.
func (in *inquiry) delegation(ctx context.Context, from zoneCut, name string) delegation {
	q := authorityQuery(name, dns.TypeNS)
	for _, server := range from.servers[:min(maxParents, len(from.servers))] {
		addrs, err := in.dns.Addrs(ctx, server)
		if err != nil {
			continue
		}
		slices.SortFunc(addrs, netip.Addr.Compare) // IPv4 first, which every machine has
		m, err := in.ask(ctx, q, addrs[0])
		if err != nil || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
			continue
		}
		if servers := nameServers(m.Answer, name); len(servers) > 0 { // it serves both
			return delegation{name, servers, m.Extra}
		}
		for _, rr := range m.Ns {
			owner := dns.CanonicalName(rr.Header().Name)
			if rr.Header().Rrtype == dns.TypeNS && owner != from.name &&
				dns.IsSubDomain(from.name, owner) && dns.IsSubDomain(owner, name) {
				return delegation{owner, nameServers(m.Ns, owner), m.Extra}
			}
		}
		if m.Authoritative {
			return delegation{zone: from.name}
		}
	}
	return delegation{}
}

// nameServers are the targets of the NS records of a zone, at most maxPerZone.
func nameServers(records []dns.RR, zone string) (all []string) {
	for _, rr := range records {
		if ns, ok := rr.(*dns.NS); ok && dns.CanonicalName(ns.Hdr.Name) == zone {
			all = append(all, dns.CanonicalName(ns.Ns))
		}
	}
	return distinct(all)
}

func distinct(names []string) []string {
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(maxPerZone, len(names))]
}

// servers finds the addresses of the servers of a zone, by glue where there is no other
// way.
func (in *inquiry) servers(ctx context.Context, cut zoneCut, d delegation) zoneServers {
	names := distinct(slices.Concat(cut.servers, d.servers))
	found := make([][]zoneServer, len(names))
	each(names, func(i int, name string) {
		addrs, err := in.dns.Addrs(ctx, name)
		if err != nil {
			addrs = glueOf(d.glue, name)
		}
		slices.SortFunc(addrs, netip.Addr.Compare)
		for _, addr := range slices.Compact(addrs) {
			found[i] = append(found[i], zoneServer{name: name, addr: addr})
		}
		if len(found[i]) == 0 {
			found[i] = []zoneServer{{name: name, detail: "it has no address: " + detailOf(err)}}
		}
	})
	all := slices.Concat(found...)
	return zoneServers{name: cut.name, servers: all[:min(maxPerName, len(all))]}
}

func glueOf(glue []dns.RR, name string) (addrs []netip.Addr) {
	for _, rr := range glue {
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if a, ok := netip.AddrFromSlice(ip); ok && dns.CanonicalName(rr.Header().Name) == name {
			addrs = append(addrs, a.Unmap())
		}
	}
	return addrs
}
