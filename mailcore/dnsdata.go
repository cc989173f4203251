package mailcore

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// DNSData is what the DNS records of a mail domain are rendered with: where its mail
// leaves from now ([Server.Egress]), who takes it, which keys sign it. The domain is
// one of a site, or one of the mail system's own: its host name, its origin, that of
// rewritten reverse-paths, or a name that a source says in HELO. Any other is
// [sites.ErrNotFound].
//
// The zone is the domain, or the shortest domain of the same site that it is below.
// Nothing is asked of the DNS, except for the addresses of the host name, if the
// configuration has none. That it has none in the DNS is no error; that there is no
// answer is one, because the records would be others then.
func (s *Server) DNSData(ctx context.Context, domain string) (dnstmpl.Data, error) {
	data, err := s.current().dnsData(ctx, domain)
	if err != nil {
		return dnstmpl.Data{}, fmt.Errorf("mailcore: DNS of %s: %w", domain, err)
	}
	return data, nil
}

func (s *desk) dnsData(ctx context.Context, name string) (dnstmpl.Data, error) {
	domain, err := address.ParseDomain(name)
	if err != nil {
		return dnstmpl.Data{}, fmt.Errorf("%w: it is no domain", sites.ErrInvalid)
	}
	x, err := s.exits(ctx)
	if err != nil {
		return dnstmpl.Data{}, err
	}
	settings := x.settings
	egress, err := x.of(ctx, domain)
	if err != nil {
		return dnstmpl.Data{}, err
	}
	d, ours := settings.Domain(domain)
	if !ours && !s.ownName(domain, egress) {
		return dnstmpl.Data{}, fmt.Errorf("%w: no site has it", sites.ErrNotFound)
	}
	ips, err := s.hostAddrs(ctx)
	if err != nil {
		return dnstmpl.Data{}, err
	}
	c := &s.config.DNS
	data := dnstmpl.Data{
		TTL: c.TTL, Hostname: s.config.Hostname, IPs: ips, SPF: c.SPF, DMARC: c.DMARC,
		PolicyHost: c.PolicyHost, Services: c.Services, Autoconfig: c.Autoconfig, Provider: c.Provider,
	}
	data.Zone, data.Subdomain = zoneOf(settings, d, domain)
	s.fillEgress(&data, egress)
	if data.Hosts, err = s.hosts(ctx, x, data); err != nil {
		return dnstmpl.Data{}, err
	}
	if data.DKIM, err = s.keyRecords(ctx, settings, domain); err != nil {
		return dnstmpl.Data{}, err
	}
	if err := s.fillExchangers(ctx, &data, settings, d, domain); err != nil {
		return dnstmpl.Data{}, err
	}
	return data, nil
}

// ownName reports whether a domain that no site has is the mail system's own.
func (s *desk) ownName(domain string, egress []Egress) bool {
	return domain == s.config.Hostname || domain == s.config.Origin || domain == s.config.Forwarding.Domain ||
		slices.ContainsFunc(egress, func(e Egress) bool { return e.Relay == nil && s.greeting(e.Source.HELO) == domain })
}

// greeting is what is said in HELO where a source has a name, or none.
func (s *desk) greeting(helo string) string {
	return strings.ToLower(strings.TrimSuffix(cmp.Or(helo, s.config.Hostname), "."))
}

// zoneOf is the zone that a domain is taken to be in, and what stands before it.
func zoneOf(settings *sites.Snapshot, d sites.Domain, domain string) (zone, subdomain string) {
	zone = domain
	for rest := domain; ; {
		_, parent, found := strings.Cut(rest, ".")
		if !found {
			break
		}
		rest = parent
		if p, ok := settings.Domain(parent); ok && d.Site != "" && p.Site == d.Site {
			zone = parent
		}
	}
	return zone, strings.TrimSuffix(strings.TrimSuffix(domain, zone), ".")
}

// fillEgress puts in where mail leaves from.
func (s *desk) fillEgress(data *dnstmpl.Data, egress []Egress) {
	for _, e := range egress {
		switch {
		case e.Relay != nil:
			data.Relays = append(data.Relays, s.relay(e.Relay))
		case e.Source.Bound():
			s.fillSource(data, e.Source.HELO, e.Source.IPv4, e.Source.IPv6)
		case len(s.config.DNS.Addrs) > 0:
			s.fillSource(data, e.Source.HELO, s.config.DNS.Addrs...)
		default:
			data.Relays = append(data.Relays, dnstmpl.Relay{Host: s.config.Hostname})
		}
	}
}

// fillSource puts in addresses, as others see them, and the name that they greet with.
func (s *desk) fillSource(data *dnstmpl.Data, helo string, local ...netip.Addr) {
	name := s.greeting(helo)
	i := slices.IndexFunc(data.HELO, func(id dnstmpl.Identity) bool { return id.Name == name })
	if i < 0 {
		i, data.HELO = len(data.HELO), append(data.HELO, dnstmpl.Identity{Name: name})
	}
	for _, ip := range local {
		if !ip.IsValid() {
			continue
		}
		if public, ok := s.config.DNS.Translated[ip]; ok {
			ip = public
		}
		if !slices.Contains(data.Egress, ip) {
			data.Egress = append(data.Egress, ip)
		}
		if id := &data.HELO[i]; !slices.Contains(id.Addrs, ip) {
			id.Addrs = append(id.Addrs, ip)
		}
	}
}

// relay is a smart host, with what its provider wants to see.
func (s *desk) relay(h *transport.Hop) dnstmpl.Relay {
	r := dnstmpl.Relay{Host: h.Name, MX: h.MX}
	if service, ok := s.service(h.Name); ok {
		r.Include, r.OwnReversePath = service.Include, service.OwnReversePath
	}
	return r
}

// service is the provider that a smart host belongs to: one of the configuration, or
// one that is known.
func (s *desk) service(host string) (dnstmpl.MailService, bool) {
	for _, service := range s.config.DNS.MailServices {
		if service.Has(host) {
			return service, true
		}
	}
	return dnstmpl.KnownService(host)
}

// fillExchangers puts in who takes the mail of a domain, and what goes with that.
func (s *desk) fillExchangers(ctx context.Context, data *dnstmpl.Data, settings *sites.Snapshot, d sites.Domain, domain string) error {
	takes, err := s.takesMail(ctx, settings, d, domain)
	if err != nil || !takes {
		data.SendOnly = true
		return err
	}
	data.MX = []dnstmpl.Exchanger{{Host: s.config.Hostname, Preference: 10}}
	data.MTASTS = s.stsID()
	if data.TLSRPT = s.config.DNS.TLSRPT; data.TLSRPT == nil {
		data.TLSRPT = []string{"mailto:postmaster@" + domain}
	}
	return nil
}

// takesMail reports whether mail for a domain comes here. A hosted domain without
// mailboxes, aliases and a route is one that only sends through us.
func (s *desk) takesMail(ctx context.Context, settings *sites.Snapshot, d sites.Domain, domain string) (bool, error) {
	switch s.placeOf(settings, domain) {
	case elsewhere:
		return domain == s.config.Forwarding.Domain, nil
	case hosted:
		if _, _, routed := settings.OwnRoute("postmaster@" + domain); routed {
			return true, nil
		}
		return s.sites.TakesMail(ctx, domain)
	}
	return true, nil
}

// stsPolicy is the MTA-STS policy for the domains whose mail comes here (RFC 8461
// section 3.2); "" for none.
func (s *desk) stsPolicy() string {
	mode := s.config.DNS.MTASTS
	switch {
	case mode == transport.STSNone, mode == "" && s.config.DNS.PolicyHost == "":
		return ""
	case mode == "":
		mode = transport.STSTesting
	}
	return fmt.Sprintf("version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: %d\r\n", mode, s.config.Hostname, stsMaxAge)
}

// stsMaxAge is how long senders remember our policy, in seconds: a week.
const stsMaxAge = 7 * 24 * 60 * 60

// stsID is the id of the policy, another for each text.
func (s *desk) stsID() string {
	policy := s.stsPolicy()
	if policy == "" {
		return ""
	}
	h := fnv.New64a()
	h.Write([]byte(policy))
	return strconv.FormatUint(h.Sum64(), 16)
}

// MTASTSPolicy is the text to be served as https://mta-sts.DOMAIN/.well-known/mta-sts.txt
// for each domain whose mail comes here, as text/plain, under a certificate for that
// name (RFC 8461 section 3.3). It is "" if the configuration wants none. The records of
// [Server.DNSData] announce it.
func (s *Server) MTASTSPolicy() string { return s.current().stsPolicy() }
