package dnscheck

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/transport"
)

// resolverOf is what may be asked about names of others; nil if d answers no such
// questions.
func resolverOf(d DNS) dnstmpl.Resolver {
	if r, ok := d.(transport.ClientResolver); ok {
		return resolver{r}
	}
	return nil
}

// A resolver is one to which what is not there is an empty answer.
type resolver struct{ dns transport.ClientResolver }

// Text implements dnstmpl.Resolver.
func (r resolver) Text(ctx context.Context, name string) ([]string, error) {
	return orNone(r.dns.Text(ctx, name))
}

// MX implements dnstmpl.Resolver.
func (r resolver) MX(ctx context.Context, domain string) (hosts []string, err error) {
	all, err := orNone(r.dns.MX(ctx, domain))
	for _, mx := range all {
		hosts = append(hosts, mx.Host)
	}
	return hosts, err
}

// Addrs implements dnstmpl.Resolver.
func (r resolver) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	return orNone(r.dns.Addrs(ctx, host))
}

// Names implements dnstmpl.Resolver.
func (r resolver) Names(ctx context.Context, addr netip.Addr) ([]string, error) {
	return orNone(r.dns.Names(ctx, addr))
}

// orNone makes an empty answer of the error that there are no such records.
func orNone[T any](found []T, err error) ([]T, error) {
	var problem *net.DNSError
	if errors.As(err, &problem) && problem.IsNotFound {
		return nil, nil
	}
	return found, err
}
