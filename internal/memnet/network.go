package memnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// A Network is a set of listeners that can be dialled, with the local
// addresses to dial from. Its methods may be called from several goroutines at
// once.
type Network struct {
	mu        sync.Mutex
	listeners map[netip.AddrPort]*listener
	locals    map[netip.Addr]bool
	holes     map[netip.Addr]bool
	port      uint16 // the last ephemeral port given out
}

// New returns an empty network. Loopback addresses (127.0.0.1 and ::1) can be
// dialled from; [Network.AddLocal] adds others.
func New() *Network {
	return &Network{
		listeners: map[netip.AddrPort]*listener{},
		locals: map[netip.Addr]bool{
			netip.AddrFrom4([4]byte{127, 0, 0, 1}): true,
			netip.IPv6Loopback():                   true,
		},
		holes: map[netip.Addr]bool{},
		port:  firstEphemeral - 1,
	}
}

const firstEphemeral = 32768

// AddLocal makes addresses available to [Network.Dial] as local ones.
func (n *Network) AddLocal(addrs ...netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range addrs {
		n.locals[a.Unmap()] = true
	}
}

// BlackHole makes an address swallow everything: dialling it ends only with
// the context.
func (n *Network) BlackHole(addr netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.holes[addr.Unmap()] = true
}

// Restore undoes [Network.BlackHole].
func (n *Network) Restore(addr netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.holes, addr.Unmap())
}

// Listen listens on an address. The port 0 takes a free one; the address
// 0.0.0.0 or :: answers for every address that has no listener of its own.
func (n *Network) Listen(addr netip.AddrPort) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if addr.Port() == 0 {
		addr = netip.AddrPortFrom(addr.Addr(), n.ephemeral())
	}
	if n.listeners[addr] != nil {
		return nil, opError("listen", netip.AddrPort{}, addr, syscall.EADDRINUSE)
	}
	l := &listener{net: n, addr: addr}
	l.wake.L = &l.mu
	n.listeners[addr] = l
	return l, nil
}

// Dial connects to a listener. If local is valid it must be one of the
// network's local addresses and of remote's family, else Dial fails with
// EADDRNOTAVAIL; if it is not, the loopback address of the family is used. If
// nobody listens Dial fails with ECONNREFUSED.
func (n *Network) Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, opError("dial", netip.AddrPort{}, remote, err)
	}
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	conn, hole, err := n.connect(local.Unmap(), remote)
	if hole {
		<-ctx.Done()
		err = ctx.Err()
		if errors.Is(err, context.DeadlineExceeded) {
			err = syscall.ETIMEDOUT
		}
	}
	if err != nil {
		return nil, opError("dial", netip.AddrPortFrom(local, 0), remote, err)
	}
	return conn, nil
}

// connect does everything in Dial that needs the lock.
func (n *Network) connect(local netip.Addr, remote netip.AddrPort) (conn net.Conn, hole bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !local.IsValid() && remote.Addr().Is4():
		local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case !local.IsValid():
		local = netip.IPv6Loopback()
	case !n.locals[local] || local.Is4() != remote.Addr().Is4():
		return nil, false, syscall.EADDRNOTAVAIL
	}
	if n.holes[remote.Addr()] {
		return nil, true, nil
	}
	l := n.listeners[remote]
	if l == nil {
		l = n.listeners[netip.AddrPortFrom(unspecified(remote.Addr()), remote.Port())]
	}
	if l == nil {
		return nil, false, syscall.ECONNREFUSED
	}
	near, far := Pipe(netip.AddrPortFrom(local, n.ephemeral()), remote)
	l.offer(far)
	return near, false, nil
}

// ephemeral returns the next port for a client.
func (n *Network) ephemeral() uint16 {
	n.port++
	if n.port < firstEphemeral {
		n.port = firstEphemeral
	}
	return n.port
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// A listener keeps the connections that nobody has accepted yet; there is no
// limit on their number.
type listener struct {
	net  *Network
	addr netip.AddrPort

	mu      sync.Mutex
	wake    sync.Cond
	backlog []*Conn
	closed  bool
}

func (l *listener) offer(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.Reset()
		return
	}
	l.backlog = append(l.backlog, c)
	l.wake.Signal()
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && len(l.backlog) == 0 {
		l.wake.Wait()
	}
	if l.closed {
		return nil, opError("accept", netip.AddrPort{}, l.addr, net.ErrClosed)
	}
	c := l.backlog[0]
	l.backlog = l.backlog[1:]
	return c, nil
}

// Close implements [net.Listener]. Connections not yet accepted are reset.
func (l *listener) Close() error {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return opError("close", netip.AddrPort{}, l.addr, net.ErrClosed)
	}
	l.closed = true
	delete(l.net.listeners, l.addr)
	for _, c := range l.backlog {
		c.Reset()
	}
	l.backlog = nil
	l.wake.Broadcast()
	return nil
}

// Addr implements [net.Listener]; it is a *[net.TCPAddr].
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

func opError(op string, local, remote netip.AddrPort, err error) error {
	e := &net.OpError{Op: op, Net: "tcp", Addr: net.TCPAddrFromAddrPort(remote), Err: err}
	if local.IsValid() {
		e.Source = net.TCPAddrFromAddrPort(local)
	}
	return e
}
