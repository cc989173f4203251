package transporttest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/miekg/dns"

	"github.com/panelmail/panelmail/transport"
)

// A NameFault is what is wrong with a name server of [Names].
type NameFault int

// The faults.
const (
	Healthy NameFault = iota
	Lame              // it answers as if it had never heard of its zones: REFUSED
	Hearsay           // it has the answers and no authority
	ServFail
	Silent
	Closed  // connections are refused
	NoRoute // there is no way to it
	NoAAAA  // SERVFAIL to questions for AAAA records, as of some load balancers
	Garbled
)

// Names are the name servers of a world in memory: authoritative ones, each with zones
// of its own, and a recursive one that asks them. They open no socket. The methods may
// be called from several goroutines at once, also while questions are asked.
type Names struct {
	mu      sync.Mutex
	servers map[netip.Addr]*nameServer
	asked   []string
}

type nameServer struct {
	zones map[string][]dns.RR // by the name of the zone
	fault NameFault
}

// recursive is the address of the recursive server.
var recursive = netip.MustParseAddrPort("192.0.2.53:53")

// NewNames returns a world with a root zone that is empty, on a server at 192.0.2.1.
func NewNames() *Names {
	n := &Names{servers: map[netip.Addr]*nameServer{}}
	n.Serve("192.0.2.1", ".", ". 60 IN SOA root. root. 1 60 60 60 60", ". 60 IN NS root.", "root. 60 IN A 192.0.2.1")
	return n
}

// Resolver returns a resolver that asks the recursive server of the world, and the
// authoritative ones.
func (n *Names) Resolver() *transport.DNS {
	return &transport.DNS{Server: recursive.String(), Dial: n.Dial}
}

// Serve makes the server at an address serve a zone with these records, lines of a zone
// file, and none beside. NS records below the apex delegate. It panics if a line is no
// record.
func (n *Names) Serve(addr, zone string, lines ...string) {
	var records []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil || rr == nil {
			panic(fmt.Sprintf("%q is no record: %v", l, err))
		}
		records = append(records, rr)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server(addr).zones[dns.CanonicalName(zone)] = records
}

// Fault sets what is wrong with the server at an address.
func (n *Names) Fault(addr string, fault NameFault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server(addr).fault = fault
}

// Asked returns the questions so far that went to authoritative servers directly:
// "address name type", in order.
func (n *Names) Asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asked)
}

func (n *Names) server(addr string) *nameServer {
	at := netip.MustParseAddr(addr)
	if n.servers[at] == nil {
		n.servers[at] = &nameServer{zones: map[string][]dns.RR{}}
	}
	return n.servers[at]
}

// Dial connects to a server of the world; it is for the field Dial of a
// [transport.DNS].
func (n *Names) Dial(_ context.Context, network, address string) (net.Conn, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	if why := n.noWay(at); why != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.UDPAddrFromAddrPort(at), Err: why}
	}
	ours, theirs := net.Pipe()
	go n.serve(theirs, at)
	return ours, nil
}

// noWay says why an address cannot be reached.
func (n *Names) noWay(at netip.AddrPort) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.servers[at.Addr()]
	switch {
	case at == recursive:
		return nil
	case s == nil || at.Port() != 53:
		return syscall.EHOSTUNREACH
	case s.fault == NoRoute:
		return syscall.ENETUNREACH
	case s.fault == Closed:
		return syscall.ECONNREFUSED
	}
	return nil
}

// serve answers what comes over a connection until the other side closes it.
func (n *Names) serve(conn net.Conn, at netip.AddrPort) {
	defer conn.Close()
	co := &dns.Conn{Conn: conn}
	for {
		q, err := co.ReadMsg()
		if err != nil {
			return
		}
		m, say := n.Answer(at.Addr(), q)
		switch {
		case !say: // until the other side has enough of it
		case m == nil:
			if _, err := conn.Write([]byte{0, 3, 'o', 'c', 'h'}); err != nil {
				return
			}
		case co.WriteMsg(m) != nil:
			return
		}
	}
}

// Answer is what the server at an address says to a question; say is false if it says
// nothing, and the answer nil if what it says is none. The recursive server is every
// address that serves no zone.
func (n *Names) Answer(addr netip.Addr, q *dns.Msg) (m *dns.Msg, say bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.servers[addr]
	m = new(dns.Msg).SetReply(q)
	if s == nil {
		n.recurse(m)
		return m, true
	}
	question := q.Question[0]
	n.asked = append(n.asked, fmt.Sprintf("%s %s %s", addr, strings.TrimSuffix(question.Name, "."), dns.TypeToString[question.Qtype]))
	switch s.fault {
	case Silent:
		return nil, false
	case Garbled:
		return nil, true
	case ServFail:
		m.Rcode = dns.RcodeServerFailure
	case Lame:
		m.Rcode = dns.RcodeRefused
	default:
		s.answer(m)
		m.Authoritative = m.Authoritative && s.fault != Hearsay
		if s.fault == NoAAAA && question.Qtype == dns.TypeAAAA {
			m = new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		}
	}
	return m, true
}
