package smtpserver

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Clients counts what clients do, as Postfix's anvil(8) does: the connections they
// have, and events in a window of time. A window is fixed: it begins with the first
// event of a client, of whatever kind, and when it is over all counts begin again.
// An IPv4 address is one client, and so is an IPv6 /64 network.
//
// All is in memory, and bounded: windows of at most 65,536 clients are remembered,
// and then the oldest is forgotten for a new one.
//
// The zero value is ready. Servers that share one share the counts. The methods may
// be called from many goroutines.
type Clients struct {
	mu      sync.Mutex
	all     int                    // connections
	clients map[netip.Addr]*client // those with a connection or a window
	windows list.List              // of *client; the oldest window is in front
}

// maxWindows is how many windows are remembered.
const maxWindows = 1 << 16

// An event is something whose rate can be limited.
type event int

const (
	connecting event = iota
	mailing          // MAIL
	naming           // RCPT
	loggingIn        // AUTH
	encrypting       // a TLS handshake that resumed no session
	events           // how many kinds there are
)

// A client is what is known about an address or a network.
type client struct {
	network netip.Addr
	conns   int
	began   time.Time     // of the window
	counts  [events]int   // in the window
	window  *list.Element // nil: there is none
}

// enter counts a connection, or returns the text of the reply that refuses it.
//
// The last tenth of MaxConns is for clients that have less than a tenth of
// MaxConnsPerIP, so that a few greedy ones cannot lock out all others. Who gets in
// there, and is not exempt, is served in a hurry.
func (k *Clients) enter(s *Server, ip netip.Addr) (hurry bool, refusal string) {
	counted := s.counted(ip)
	inTime := !counted || s.allows(connecting, ip)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all >= s.maxConns() {
		return false, "Error: too many connections"
	}
	if !counted {
		k.all++
		return false, ""
	}
	limit := s.maxConnsPerIP()
	if hurry = k.all >= s.maxConns()-s.maxConns()/10; hurry {
		limit = max(1, limit/10)
	}
	c := k.client(ip)
	if !inTime || c.conns >= limit {
		k.forget(c)
		return false, "Error: too many connections from " + ip.String()
	}
	c.conns++
	k.all++
	return hurry, ""
}

// leave undoes enter.
func (k *Clients) leave(s *Server, ip netip.Addr) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all--
	if s.counted(ip) {
		c := k.client(ip)
		c.conns--
		k.forget(c)
	}
}

// count adds n events and returns how many there were in a window of this length.
func (k *Clients) count(ip netip.Addr, e event, n int, length time.Duration) int {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire(now.Add(-length))
	c := k.client(ip)
	defer k.forget(c)
	if n == 0 && c.window == nil {
		return 0
	}
	if c.window == nil {
		c.began, c.window = now, k.windows.PushBack(c)
		if k.windows.Len() > maxWindows {
			k.close(k.windows.Front().Value.(*client))
		}
	}
	c.counts[e] += n
	return c.counts[e]
}

// expire closes the windows that began at an instant or before.
func (k *Clients) expire(began time.Time) {
	for e := k.windows.Front(); e != nil && !e.Value.(*client).began.After(began); e = k.windows.Front() {
		k.close(e.Value.(*client))
	}
}

// close ends a window.
func (k *Clients) close(c *client) {
	k.windows.Remove(c.window)
	c.window, c.counts = nil, [events]int{}
	k.forget(c)
}

// client finds a client, or makes it.
func (k *Clients) client(ip netip.Addr) *client {
	key := network(ip)
	c, ok := k.clients[key]
	if !ok {
		if k.clients == nil {
			k.clients = map[netip.Addr]*client{}
		}
		c = &client{network: key}
		k.clients[key] = c
	}
	return c
}

// forget drops a client of whom nothing is left to know.
func (k *Clients) forget(c *client) {
	if c.conns == 0 && c.window == nil {
		delete(k.clients, c.network)
	}
}

// network is what counts as one client: in IPv6 a customer has a /64 at least.
func network(ip netip.Addr) netip.Addr {
	if ip.Is4() {
		return ip
	}
	p, _ := ip.Prefix(64) // fails only for more bits than there are
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
