package mailcore

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/internal/restrict"
	"github.com/panelmail/panelmail/transport"
)

// LintDNS reports what is odd in the records of a zone that data was rendered to:
// [dnstmpl.Zone.Lint]. It asks the Resolver of the configuration, if that is a
// [transport.ClientResolver]; otherwise nobody.
func (s *Server) LintDNS(ctx context.Context, zone dnstmpl.Zone, data dnstmpl.Data) dnstmpl.Problems {
	d := s.current()
	if _, ok := d.config.Resolver.(transport.ClientResolver); !ok {
		return zone.Lint(ctx, data, nil)
	}
	return zone.Lint(ctx, data, lintDNS{d.dns})
}

// A lintDNS is a resolver for lint, to which what is not there is an empty answer.
type lintDNS struct{ dns restrict.Resolver }

// Text implements dnstmpl.Resolver.
func (l lintDNS) Text(ctx context.Context, name string) ([]string, error) {
	return orNone(l.dns.Text(ctx, name))
}

// MX implements dnstmpl.Resolver.
func (l lintDNS) MX(ctx context.Context, domain string) ([]string, error) {
	return orNone(l.dns.MX(ctx, domain))
}

// Addrs implements dnstmpl.Resolver.
func (l lintDNS) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	return orNone(l.dns.Addrs(ctx, host))
}

// Names implements dnstmpl.Resolver.
func (l lintDNS) Names(ctx context.Context, addr netip.Addr) ([]string, error) {
	return orNone(l.dns.Names(ctx, addr))
}

// orNone makes an empty answer of the error that there are no such records.
func orNone[T any](found []T, err error) ([]T, error) {
	var problem *net.DNSError
	if errors.As(err, &problem) && problem.IsNotFound {
		return nil, nil
	}
	return found, err
}
