package mailcore

import (
	"context"

	"github.com/panelmail/panelmail/dnstmpl"
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
	return zone.Lint(ctx, data, d.dns)
}
