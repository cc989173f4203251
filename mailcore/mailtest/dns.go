package mailtest

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/panelmail/panelmail/transport"
)

// DNS answers what servers ask, from literals. A name that is in none of the
// maps does not exist. Names are lower case, without a final dot.
type DNS struct {
	MX   map[string][]transport.MX
	Addr map[string][]string
	TXT  map[string][]string
	PTR  map[string][]string // by the address: "192.0.2.1"

	// Fail names domains and hosts whose look-up fails for now (SERVFAIL).
	Fail map[string]bool

	mu sync.Mutex
}

// NewDNS returns an empty one.
func NewDNS() *DNS {
	return &DNS{MX: map[string][]transport.MX{}, Addr: map[string][]string{}, TXT: map[string][]string{}, PTR: map[string][]string{}, Fail: map[string]bool{}}
}

// Resolver is what a server asks: d as a [transport.ClientResolver].
func (d *DNS) Resolver() transport.Resolver { return resolver{d} }

// set changes the records while servers may be asking.
func (d *DNS) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

type resolver struct{ dns *DNS }

// MX implements [transport.Resolver].
func (r resolver) MX(_ context.Context, domain string) ([]transport.MX, error) {
	return look(r.dns, domain, func(name string) []transport.MX { return r.dns.MX[name] })
}

// Addrs implements [transport.Resolver].
func (r resolver) Addrs(_ context.Context, host string) ([]netip.Addr, error) {
	return look(r.dns, host, func(name string) (addrs []netip.Addr) {
		for _, text := range r.dns.Addr[name] {
			addrs = append(addrs, netip.MustParseAddr(text))
		}
		return addrs
	})
}

// IPv4 implements [transport.ClientResolver].
func (r resolver) IPv4(_ context.Context, name string) ([]netip.Addr, error) {
	return look(r.dns, name, func(name string) (addrs []netip.Addr) {
		for _, text := range r.dns.Addr[name] {
			if a := netip.MustParseAddr(text); a.Is4() {
				addrs = append(addrs, a)
			}
		}
		return addrs
	})
}

// Names implements [transport.ClientResolver].
func (r resolver) Names(_ context.Context, addr netip.Addr) ([]string, error) {
	return look(r.dns, addr.String(), func(name string) []string { return r.dns.PTR[name] })
}

// Text implements [transport.ClientResolver].
func (r resolver) Text(_ context.Context, name string) ([]string, error) {
	return look(r.dns, name, func(name string) []string { return r.dns.TXT[name] })
}

// look answers one question, or says why not.
func look[T any](d *DNS, name string, records func(name string) []T) ([]T, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if d.Fail[name] {
		return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	}
	found := records(name)
	if len(found) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return found, nil
}
