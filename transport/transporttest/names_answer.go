package transporttest

import (
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// answer answers from the zones of one server (RFC 1034 section 4.3.2, without
// wildcards). Of the types at a zone cut the zone below has all but NS.
func (s *nameServer) answer(m *dns.Msg) {
	name := dns.CanonicalName(m.Question[0].Name)
	zone, records := s.closest(name)
	if zone == "" {
		m.Rcode = dns.RcodeRefused
		return
	}
	if cut := cutAbove(records, zone, name); len(cut) > 0 {
		m.Ns = cut
		m.Extra = addressesOf(records, cut)
		return
	}
	m.Authoritative = true
	exists := false
	for _, rr := range records {
		owner := dns.CanonicalName(rr.Header().Name)
		exists = exists || dns.IsSubDomain(name, owner)
		kind := rr.Header().Rrtype
		if owner == name && (kind == m.Question[0].Qtype || kind == dns.TypeCNAME) {
			m.Answer = append(m.Answer, rr)
		}
		if owner == zone && kind == dns.TypeSOA {
			m.Ns = []dns.RR{rr}
		}
	}
	if len(m.Answer) > 0 {
		m.Ns = nil
	} else if !exists {
		m.Rcode = dns.RcodeNameError
	}
}

// closest returns the longest of the server's zones that a name lies in.
func (s *nameServer) closest(name string) (zone string, records []dns.RR) {
	for z, rr := range s.zones {
		if dns.IsSubDomain(z, name) && (zone == "" || dns.CountLabel(z) > dns.CountLabel(zone)) {
			zone, records = z, rr
		}
	}
	return zone, records
}

// cutAbove returns the NS records between the apex of a zone and a name.
func cutAbove(records []dns.RR, zone, name string) (cut []dns.RR) {
	for _, rr := range records {
		owner := dns.CanonicalName(rr.Header().Name)
		if rr.Header().Rrtype == dns.TypeNS && owner != zone && dns.IsSubDomain(owner, name) {
			cut = append(cut, rr)
		}
	}
	return cut
}

// addressesOf returns the address records that a zone has of name servers.
func addressesOf(records, servers []dns.RR) (glue []dns.RR) {
	for _, rr := range records {
		kind := rr.Header().Rrtype
		if kind != dns.TypeA && kind != dns.TypeAAAA {
			continue
		}
		if slices.ContainsFunc(servers, func(ns dns.RR) bool {
			return dns.CanonicalName(ns.(*dns.NS).Ns) == dns.CanonicalName(rr.Header().Name)
		}) {
			glue = append(glue, rr)
		}
	}
	return glue
}

// recurse answers as a recursive server does that asks the healthy ones, and follows
// aliases.
func (n *Names) recurse(m *dns.Msg) {
	question := m.Question[0]
	m.RecursionAvailable = true
	for range 8 {
		found := n.resolve(question, 8)
		m.Rcode = found.Rcode
		m.Answer = append(m.Answer, found.Answer...)
		m.Ns = found.Ns
		if len(found.Answer) == 0 {
			return
		}
		alias, ok := found.Answer[0].(*dns.CNAME)
		if !ok || question.Qtype == dns.TypeCNAME {
			return
		}
		question.Name = alias.Target
	}
}

// resolve asks down from the root. A zone that no server answers for is SERVFAIL, and
// so is one whose servers' names are deeper in other zones than depth.
func (n *Names) resolve(question dns.Question, depth int) *dns.Msg {
	servers := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	for range depth {
		m := n.askAny(servers, question)
		if m.Authoritative || m.Rcode != dns.RcodeSuccess {
			return m
		}
		servers = n.addresses(m, depth-1)
	}
	return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}
}

// askAny returns what the first server says that has an answer.
func (n *Names) askAny(servers []netip.Addr, question dns.Question) *dns.Msg {
	for _, addr := range servers {
		s := n.servers[addr]
		if s == nil || s.fault != Healthy {
			continue
		}
		m := &dns.Msg{Question: []dns.Question{question}}
		s.answer(m)
		if m.Authoritative || len(m.Ns) > 0 {
			return m
		}
	}
	return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}
}

// addresses are those of the servers of a referral.
func (n *Names) addresses(m *dns.Msg, depth int) (addrs []netip.Addr) {
	for _, rr := range m.Ns {
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		records := addressesOf(m.Extra, []dns.RR{ns})
		if len(records) == 0 {
			records = n.resolve(dns.Question{Name: ns.Ns, Qtype: dns.TypeA, Qclass: dns.ClassINET}, depth).Answer
		}
		for _, rr := range records {
			if a, ok := rr.(*dns.A); ok {
				addr, _ := netip.AddrFromSlice(a.A)
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs
}
