package dnscheck

import (
	"context"

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

// A resolver names the mail exchangers of a domain without their preferences.
type resolver struct{ transport.ClientResolver }

// MX implements dnstmpl.Resolver.
func (r resolver) MX(ctx context.Context, domain string) (hosts []string, err error) {
	all, err := r.ClientResolver.MX(ctx, domain)
	for _, mx := range all {
		hosts = append(hosts, mx.Host)
	}
	return hosts, err
}
