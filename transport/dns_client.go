package transport

import (
	"context"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// A ClientResolver is a [Resolver] that also answers what a server asks about those who
// send to it. Its errors are those of a Resolver.
type ClientResolver interface {
	Resolver

	// IPv4 returns the A records of a name and asks for nothing else, as block lists
	// want it.
	IPv4(ctx context.Context, name string) ([]netip.Addr, error)

	// Names returns the names of an address: the PTR records below in-addr.arpa and
	// ip6.arpa. That the names lead back to the address is not checked.
	Names(ctx context.Context, addr netip.Addr) ([]string, error)

	// Text returns the TXT records of a name, the strings of each joined.
	Text(ctx context.Context, name string) ([]string, error)
}

// IPv4 implements [ClientResolver].
func (r *DNS) IPv4(ctx context.Context, name string) ([]netip.Addr, error) {
	records, err := r.lookup(ctx, name, dns.TypeA)
	var all []netip.Addr
	for _, rr := range records {
		if rr, ok := rr.(*dns.A); ok {
			if a, ok := netip.AddrFromSlice(rr.A); ok {
				all = append(all, a.Unmap())
			}
		}
	}
	return all, err
}

// Names implements [ClientResolver].
func (r *DNS) Names(ctx context.Context, addr netip.Addr) ([]string, error) {
	name, err := dns.ReverseAddr(addr.WithZone("").String())
	if err != nil {
		return nil, err
	}
	records, err := r.lookup(ctx, name, dns.TypePTR)
	var all []string
	for _, rr := range records {
		if rr, ok := rr.(*dns.PTR); ok {
			all = append(all, rr.Ptr)
		}
	}
	return all, err
}

// Text implements [ClientResolver].
func (r *DNS) Text(ctx context.Context, name string) ([]string, error) {
	records, err := r.lookup(ctx, name, dns.TypeTXT)
	var all []string
	for _, rr := range records {
		if rr, ok := rr.(*dns.TXT); ok {
			all = append(all, strings.Join(rr.Txt, ""))
		}
	}
	return all, err
}
