package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/transport"
)

// dnsSettings is the table dns: what DNS records say beside the other settings. See
// [mailcore.DNS].
type dnsSettings struct {
	Addresses  []string `toml:"addresses"`   // of this host as others see them; []: SPF names the host
	Translated []string `toml:"translated"`  // "local=public": addresses of sources that are translated on the way out
	TTL        uint32   `toml:"ttl"`         // of all records, in seconds
	SPF        string   `toml:"spf"`         // ~all or -all
	DMARC      string   `toml:"dmarc"`       // the record, or none
	MTASTS     string   `toml:"mta_sts"`     // none, testing or enforce; "": testing with a policy_host, else none
	PolicyHost string   `toml:"policy_host"` // that serves the policy, which dns policy prints
	TLSReports []string `toml:"tls_reports"` // mailto: and https: URIs, or none; []: the postmaster of each domain
	Autoconfig string   `toml:"autoconfig"`  // host for mail programs
}

func defaultDNS() dnsSettings {
	return dnsSettings{Addresses: []string{}, Translated: []string{}, TLSReports: []string{}, TTL: dnstmpl.DefaultTTL, SPF: "~all", DMARC: dnstmpl.DefaultDMARC}
}

// check finds what is wrong with the settings.
func (s dnsSettings) check(complain func(key string, err error)) {
	only := func(d mailcore.DNS) error { return checked(mailcore.Config{Hostname: "host.example", DNS: d}) }
	for _, text := range s.Addresses {
		ip, err := netip.ParseAddr(text)
		if err == nil {
			err = only(mailcore.DNS{Addrs: []netip.Addr{ip}})
		}
		complain("dns.addresses", err)
	}
	for _, text := range s.Translated {
		local, public, err := parseTranslated(text)
		if err == nil {
			err = only(mailcore.DNS{Translated: map[netip.Addr]netip.Addr{local: public}})
		}
		complain("dns.translated", err)
	}
	complain("dns.ttl", only(mailcore.DNS{TTL: s.TTL}))
	complain("dns.dmarc", only(mailcore.DNS{DMARC: s.DMARC}))
	complain("dns.policy_host", only(mailcore.DNS{PolicyHost: s.PolicyHost}))
	complain("dns.autoconfig", only(mailcore.DNS{Autoconfig: s.Autoconfig}))
	complain("dns.tls_reports", only(mailcore.DNS{TLSRPT: s.tlsReports()}))
	complain("dns.spf", only(mailcore.DNS{SPF: s.SPF}))
	complain("dns.mta_sts", only(mailcore.DNS{MTASTS: transport.STSMode(s.MTASTS)}))
}

// parseTranslated reads a pair of addresses.
func parseTranslated(text string) (local, public netip.Addr, err error) {
	a, b, _ := strings.Cut(text, "=")
	if local, err = netip.ParseAddr(a); err == nil {
		public, err = netip.ParseAddr(b)
	}
	if err != nil {
		err = fmt.Errorf("%q is not local=public, such as 10.0.0.2=192.0.2.2", text)
	}
	return local, public, err
}

// tlsReports are the addresses of reports as the library takes them.
func (s dnsSettings) tlsReports() []string {
	switch {
	case len(s.TLSReports) == 0:
		return nil
	case len(s.TLSReports) == 1 && s.TLSReports[0] == "none":
		return []string{}
	}
	return s.TLSReports
}

// library is the settings as the library takes them, once they are checked.
func (s dnsSettings) library() mailcore.DNS {
	d := mailcore.DNS{
		TTL: s.TTL, SPF: s.SPF, DMARC: s.DMARC, MTASTS: transport.STSMode(s.MTASTS), PolicyHost: s.PolicyHost, Autoconfig: s.Autoconfig,
		TLSRPT: s.tlsReports(), Translated: map[netip.Addr]netip.Addr{},
	}
	for _, text := range s.Translated {
		if local, public, err := parseTranslated(text); err == nil {
			d.Translated[local] = public
		}
	}
	for _, text := range s.Addresses {
		if ip, err := netip.ParseAddr(text); err == nil {
			d.Addrs = append(d.Addrs, ip)
		}
	}
	return d
}
