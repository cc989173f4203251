package transport

import (
	"net"
	"net/netip"
	"slices"
)

// isPrivate reports whether an address has no meaning, or another one, outside its own
// network: what strangers, or their DNS, must not make us connect to.
func isPrivate(a netip.Addr) bool {
	a = a.Unmap()
	switch {
	case !a.IsGlobalUnicast(), a.IsPrivate(), a.IsLoopback(), a.IsUnspecified():
		return true
	case a.Is4():
		b := a.As4()
		return b[0] == 0 || b[0] >= 240 || b[0] == 100 && b[1]&0xc0 == 64 // RFC 1122, RFC 1112, RFC 6598
	}
	b := a.As16()
	switch head := [12]byte(b[:12]); {
	case head == [12]byte{0, 0x64, 0xff, 0x9b}: // RFC 6052: a gateway goes on to the IPv4 address behind it
		return isPrivate(netip.AddrFrom4([4]byte(b[12:])))
	case head == [12]byte{}, // IPv4-compatible (RFC 4291 section 2.5.5.1)
		b[0] == 0x20 && b[1] == 0x02,                            // 6to4 (RFC 3056)
		b[0] == 0xfe && b[1]&0xc0 == 0xc0,                       // site-local (RFC 3879)
		[6]byte(b[:6]) == [6]byte{0, 0x64, 0xff, 0x9b, 0, 0x01}: // local NAT64 (RFC 8215)
		return true
	}
	return false
}

// listens reports whether one of our listeners is at an address.
func (s *SMTP) listens(at netip.AddrPort) bool {
	if s.Listeners == nil {
		return false
	}
	return slices.ContainsFunc(s.Listeners(), func(l netip.AddrPort) bool {
		return netip.AddrPortFrom(l.Addr().Unmap(), l.Port()) == at
	})
}

// ListenerAddrs returns the addresses under which listeners are reached, for
// [SMTP.Listeners]: a wildcard address stands for all that the machine has now.
func ListenerAddrs(listeners ...net.Addr) ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for _, l := range listeners {
		tcp, ok := l.(*net.TCPAddr)
		if !ok {
			continue
		}
		at := netip.AddrPortFrom(tcp.AddrPort().Addr().Unmap(), tcp.AddrPort().Port())
		if !at.Addr().IsUnspecified() {
			all = append(all, at)
			continue
		}
		machine, err := net.InterfaceAddrs()
		if err != nil {
			return nil, err
		}
		for _, m := range machine {
			if p, err := netip.ParsePrefix(m.String()); err == nil {
				all = append(all, netip.AddrPortFrom(p.Addr().Unmap(), at.Port()))
			}
		}
	}
	return all, nil
}
