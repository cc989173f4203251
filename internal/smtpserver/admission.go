package smtpserver

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// An admission counts the connections of a [Server]. The zero value is ready.
type admission struct {
	mu    sync.Mutex
	all   int
	perIP map[netip.Addr]int
}

// enter counts a connection, or returns the reply that refuses it.
func (a *admission) enter(s *Server, client netip.Addr) (refusal string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all >= cmp.Or(s.MaxConns, 1000) {
		return fmt.Sprintf("421 4.7.0 %s Error: too many connections", s.Hostname)
	}
	if s.counted(client) {
		key := network(client)
		if a.perIP[key] >= cmp.Or(s.MaxConnsPerIP, 50) {
			return fmt.Sprintf("421 4.7.0 %s Error: too many connections from %s", s.Hostname, client)
		}
		if a.perIP == nil {
			a.perIP = map[netip.Addr]int{}
		}
		a.perIP[key]++
	}
	a.all++
	return ""
}

// leave undoes enter.
func (a *admission) leave(s *Server, client netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if !s.counted(client) {
		return
	}
	key := network(client)
	if a.perIP[key]--; a.perIP[key] == 0 {
		delete(a.perIP, key)
	}
}

// counted reports whether the limit for one client applies.
func (s *Server) counted(client netip.Addr) bool {
	if !client.IsValid() {
		return false
	}
	for _, p := range s.ExemptNetworks {
		if p.Contains(client) {
			return false
		}
	}
	return true
}

// network is what counts as one client: in IPv6 a customer has a /64 at least.
func network(client netip.Addr) netip.Addr {
	if client.Is4() {
		return client
	}
	p, _ := client.Prefix(64) // fails only for more bits than there are
	return p.Addr()
}

// clientIP is the address of the peer; not valid for a Unix socket.
func clientIP(nc net.Conn) netip.Addr {
	a, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return a.AddrPort().Addr().Unmap().WithZone("")
}
