package mailcore

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"

	"github.com/panelmail/panelmail/transport"
)

// newPolicies finds MTA-STS policies, each time by way of the current desk, and keeps
// them beside the settings.
func (s *Server) newPolicies(log *slog.Logger) *transport.MTASTS {
	return &transport.MTASTS{
		Network: transport.NetworkFunc(func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
			return s.current().config.Network.Dial(ctx, local, remote)
		}),
		Resolver:     currentResolver{s},
		Store:        s.sites,
		Roots:        func() *x509.CertPool { return s.current().config.Roots },
		AllowPrivate: func() bool { return s.current().config.AllowPrivate },
		Log:          log,
	}
}

// Text implements transport.TextResolver. A resolver that knows no such records says
// that there are none.
func (r currentResolver) Text(ctx context.Context, name string) ([]string, error) {
	texts, ok := r.server.current().config.Resolver.(transport.TextResolver)
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return texts.Text(ctx, name)
}
