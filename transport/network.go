package transport

import (
	"context"
	"net"
	"net/netip"
)

// A Network opens connections: the one door to the world. Replace it, and
// everything else can stay real in a test.
type Network interface {
	// Dial opens a TCP connection from local, or from an address of the
	// system's choice if local is not valid. If local is not an address of this
	// machine Dial fails; it never connects from another one.
	Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error)
}

// NetworkFunc is a function that is a [Network].
type NetworkFunc func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error)

// Dial calls f.
func (f NetworkFunc) Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	return f(ctx, local, remote)
}

// A Resolver answers what delivery asks of the DNS. Names are absolute, with or
// without the final dot.
//
// Errors are, or wrap, a *[net.DNSError]: IsNotFound for a name without records of
// that type, IsTemporary or IsTimeout for trouble that may pass. Any other error
// counts as trouble that may pass.
type Resolver interface {
	// MX returns the mail exchangers of a domain in any order. A null MX
	// (RFC 7505) is returned as it is: one with the host ".".
	MX(ctx context.Context, domain string) ([]MX, error)

	// Addrs returns the addresses of a host, IPv4 and IPv6, in any order.
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
}

// An MX is a mail exchanger record.
type MX struct {
	Preference uint16
	Host       string

	// Secure says that the answer with this record was validated with DNSSEC by
	// a resolver whose word the configuration takes for it.
	Secure bool
}

// System is the operating system's network and DNS resolver.
type System struct{}

// Dial implements [Network].
func (System) Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	if local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	return d.DialContext(ctx, "tcp", remote.String())
}
