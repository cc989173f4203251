package transporttest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// Listen has the servers with addresses on loopback, and the recursive one at 127.0.0.1,
// answer on real sockets until the end of the test. All of them listen on one port, by
// UDP and TCP, at which a [transport.DNS] finds them. It returns the address of the
// recursive server with that port. The test is skipped where 127.0.0.2 and its like
// cannot be listened on, as on some systems other than Linux.
func (n *Names) Listen(t testing.TB) string {
	t.Helper()
	addrs := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	n.mu.Lock()
	for addr := range n.servers {
		if addr.IsLoopback() {
			addrs = append(addrs, addr)
		}
	}
	n.mu.Unlock()
	var failed error
	for range 20 {
		sockets, err := listenAll(addrs)
		if err == nil {
			for _, s := range sockets {
				n.answerAt(t, s)
			}
			return netip.AddrPortFrom(addrs[0], sockets[0].port).String()
		}
		failed = err
	}
	t.Skip("no name servers on loopback: ", failed)
	return ""
}

// A socket is a port of one address, by UDP and TCP.
type socket struct {
	addr    netip.Addr
	port    uint16
	packets net.PacketConn
	streams net.Listener
}

// listenAll listens at all addresses on one port.
func listenAll(addrs []netip.Addr) (all []socket, err error) {
	defer func() {
		if err != nil {
			for _, s := range all {
				err = errors.Join(err, s.packets.Close(), s.streams.Close())
			}
		}
	}()
	var port uint16
	for _, addr := range addrs {
		packets, err := net.ListenPacket("udp", netip.AddrPortFrom(addr, port).String())
		if err != nil {
			return all, err
		}
		at, err := netip.ParseAddrPort(packets.LocalAddr().String())
		if err != nil {
			return all, errors.Join(err, packets.Close())
		}
		streams, err := net.Listen("tcp", at.String())
		if err != nil {
			return all, errors.Join(err, packets.Close())
		}
		port = at.Port()
		all = append(all, socket{addr, port, packets, streams})
	}
	return all, nil
}

// answerAt answers on a socket until the end of the test.
func (n *Names) answerAt(t testing.TB, s socket) {
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m, say := n.Answer(s.addr, q)
		switch {
		case !say:
		case m == nil:
			_, _ = w.Write([]byte("och"))
		default:
			_ = w.WriteMsg(m)
		}
	})
	for _, server := range []*dns.Server{{PacketConn: s.packets, Handler: handler}, {Listener: s.streams, Handler: handler}} {
		ready, done := make(chan struct{}), make(chan error, 1)
		server.NotifyStartedFunc = func() { close(ready) }
		go func() { done <- server.ActivateAndServe() }()
		<-ready
		t.Cleanup(func() {
			if err := errors.Join(server.Shutdown(), <-done); err != nil {
				t.Error(fmt.Errorf("name server at %s: %w", s.addr, err))
			}
		})
	}
}
