package main

import (
	"net/netip"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/transport"
)

// dnsSettings is the table dns: what DNS records say beside the other settings. See
// [mailcore.DNS].
type dnsSettings struct {
	Addresses  []string `toml:"addresses"`   // of this host as others see them; []: SPF names the host
	SPF        string   `toml:"spf"`         // ~all or -all
	DMARC      string   `toml:"dmarc"`       // the record, or none
	MTASTS     string   `toml:"mta_sts"`     // none, testing or enforce; "": testing with a policy_host, else none
	PolicyHost string   `toml:"policy_host"` // that serves the policy
	Autoconfig string   `toml:"autoconfig"`  // host for mail programs
}

func defaultDNS() dnsSettings {
	return dnsSettings{Addresses: []string{}, SPF: "~all", DMARC: dnstmpl.DefaultDMARC}
}

// check finds what is wrong with the settings.
func (s dnsSettings) check(complain func(key string, err error)) {
	only := func(d mailcore.DNS) error { return checked(mailcore.Config{Hostname: "host.example", DNS: d}) }
	for _, text := range s.Addresses {
		_, err := netip.ParseAddr(text)
		complain("dns.addresses", err)
	}
	complain("dns.spf", only(mailcore.DNS{SPF: s.SPF}))
	complain("dns.mta_sts", only(mailcore.DNS{MTASTS: transport.STSMode(s.MTASTS)}))
}

// library is the settings as the library takes them, once they are checked.
func (s dnsSettings) library() mailcore.DNS {
	d := mailcore.DNS{SPF: s.SPF, DMARC: s.DMARC, MTASTS: transport.STSMode(s.MTASTS), PolicyHost: s.PolicyHost, Autoconfig: s.Autoconfig}
	for _, text := range s.Addresses {
		if ip, err := netip.ParseAddr(text); err == nil {
			d.Addrs = append(d.Addrs, ip)
		}
	}
	return d
}
