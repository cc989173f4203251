package mailcore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/panelmail/panelmail/dnstmpl"
)

// hostLookup bounds how long the addresses of the host name are waited for.
const hostLookup = 5 * time.Second

// hostAddrs are the addresses of the host name: those of the configuration, or else
// of the DNS, if it has any.
func (s *desk) hostAddrs(ctx context.Context) ([]netip.Addr, error) {
	if len(s.config.DNS.Addrs) > 0 {
		return s.config.DNS.Addrs, nil
	}
	ctx, cancel := context.WithTimeout(ctx, hostLookup)
	defer cancel()
	addrs, err := s.config.Resolver.Addrs(ctx, s.config.Hostname)
	if problem, ok := errors.AsType[*net.DNSError](err); ok && problem.IsNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the addresses of %s are not known, and DNS.Addrs does not say them: %w", s.config.Hostname, err)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs, nil
}

// hosts are the host name and the names that sources say in HELO, those of all sites, as
// far as they are in the zone of data and no domain of a site's. Their SPF records are
// those that the names have if they are rendered themselves.
func (s *desk) hosts(ctx context.Context, x *exits, data dnstmpl.Data) ([]dnstmpl.Host, error) {
	names := []string{s.greeting("")}
	for _, src := range x.sources {
		names = append(names, s.greeting(src.HELO))
	}
	slices.Sort(names)
	hosts := []dnstmpl.Host{}
	for _, name := range slices.Compact(names) {
		_, hosted := x.settings.Domain(name)
		if hosted || name == data.Domain() || !strings.HasSuffix(name, "."+data.Zone) {
			continue
		}
		egress, err := x.of(ctx, name)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, s.host(name, data, egress))
	}
	return hosts, nil
}

// host is a host whose mail, that is judged by its name, leaves by egress.
func (s *desk) host(name string, data dnstmpl.Data, egress []Egress) dnstmpl.Host {
	own := dnstmpl.Data{Zone: name, Hostname: data.Hostname, IPs: data.IPs, SPF: data.SPF}
	s.fillEgress(&own, egress)
	h := dnstmpl.Host{Name: name, SPF: own.SPFRecords()}
	if name == s.greeting("") {
		h.Addrs = slices.Clone(data.IPs)
	}
	for _, id := range own.HELO {
		if id.Name == name {
			h.Addrs = append(h.Addrs, id.Addrs...)
		}
	}
	slices.SortFunc(h.Addrs, netip.Addr.Compare)
	h.Addrs = slices.Compact(h.Addrs)
	return h
}
