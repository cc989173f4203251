package mailcore

import (
	"context"
	"fmt"

	"github.com/panelmail/panelmail/dnstmpl"
)

// DNSZone is the records that a mail domain is to have: [Server.DNSData], as
// [Server.RenderDNS] renders it.
func (s *Server) DNSZone(ctx context.Context, domain string) (dnstmpl.Zone, error) {
	data, err := s.DNSData(ctx, domain)
	if err != nil {
		return dnstmpl.Zone{}, err
	}
	return s.RenderDNS(ctx, data)
}

// RenderDNS renders data of [Server.DNSData] with the template in force for its domain.
// Errors of the template are dnstmpl.Problems.
func (s *Server) RenderDNS(ctx context.Context, data dnstmpl.Data) (dnstmpl.Zone, error) {
	t, err := s.dnsTemplate(ctx, data.Domain())
	if err != nil {
		return dnstmpl.Zone{}, fmt.Errorf("mailcore: DNS of %s: %w", data.Domain(), err)
	}
	return t.Render(data)
}

// dnsTemplate is the template for a domain: that of its site, or the default that is
// stored, or else dnstmpl.Default.
func (s *Server) dnsTemplate(ctx context.Context, domain string) (*dnstmpl.Template, error) {
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return nil, err
	}
	d, _ := settings.Domain(domain)
	t, ok, err := s.sites.TemplateFor(ctx, d.Site)
	if err != nil || !ok {
		return dnstmpl.Default(), err
	}
	return t.Parse()
}
