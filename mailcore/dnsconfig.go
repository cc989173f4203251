package mailcore

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/transport"
)

// DNS is what the records of [Server.DNSData] say beside what follows from the other
// settings.
type DNS struct {
	// Addrs are the addresses of this host as others see them: those of its name, and
	// those that mail without a source leaves from. If empty, the SPF records name
	// the host in their place, which costs a look-up of ten.
	Addrs []netip.Addr

	// Translated says as which address others see a local address of a source that
	// is translated on the way out.
	Translated map[netip.Addr]netip.Addr

	// MailServices are providers of smart hosts, beside those of
	// [dnstmpl.MailServices] and before them.
	MailServices []dnstmpl.MailService

	// TTL is that of all records, in seconds. If zero, dnstmpl.DefaultTTL.
	TTL uint32

	// SPF is the last mechanism of SPF records: ~all or -all. If empty, ~all.
	SPF string

	// DMARC is the text of DMARC records. If empty, dnstmpl.DefaultDMARC; "none" is
	// for no records.
	DMARC string

	// MTASTS is the mode of [Server.MTASTSPolicy], which has to be served under a name
	// of each domain: until it is, it counts for nothing. none is for no policy and no
	// records. If empty, testing if there is a PolicyHost, and none if not.
	MTASTS transport.STSMode

	// PolicyHost is a host that serves the policy; records lead the names there. If
	// empty, they are not among the records.
	PolicyHost string

	// TLSRPT is where reports about TLS go: mailto: and https: URIs. If nil, to the
	// postmaster of each domain; if empty but not nil, there are no such records.
	TLSRPT []string

	// Services are announced by SRV records; a target of "." says that there is no
	// such service. If empty, there are no such records.
	Services []dnstmpl.Service

	// Autoconfig is the host that tells mail programs how to connect. If empty, there
	// are no such records.
	Autoconfig string

	// Provider says what the DNS provider takes.
	Provider dnstmpl.Provider
}

// check returns all that is wrong.
func (d *DNS) check() (problems []error) {
	complain := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("DNS."+format, args...))
	}
	for _, ip := range d.Addrs {
		if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Zone() != "" {
			complain("Addrs: %s is no address that others see", ip)
		}
	}
	for local, public := range d.Translated {
		if !local.IsValid() || !public.IsValid() || local.Is4() != public.Is4() {
			complain("Translated: %s cannot be seen as %s", local, public)
		}
	}
	switch d.SPF {
	case "", "~all", "-all":
	default:
		complain("SPF %q is neither ~all nor -all", d.SPF)
	}
	switch d.MTASTS {
	case "", transport.STSNone, transport.STSTesting, transport.STSEnforce:
	default:
		complain("MTASTS %q is not none, testing or enforce", d.MTASTS)
	}
	for _, s := range d.MailServices {
		if len(s.Hosts) == 0 || len(s.Include) == 0 {
			problems = append(problems, errors.New("DNS.MailServices: one has no Hosts or no Include"))
		}
	}
	return append(problems, d.checkRecords()...)
}

// checkRecords returns what is wrong with the records that the settings make. Those that
// are set to other than the default are looked at one by one, so that each problem is of
// one setting.
func (d *DNS) checkRecords() (problems []error) {
	const zone = "host.example"
	if d.DMARC != "" && d.DMARC != "none" && !strings.HasPrefix(d.DMARC, "v=DMARC1;") {
		problems = append(problems, fmt.Errorf("DNS.DMARC %q is neither none nor a record, which begins with v=DMARC1;", d.DMARC))
	}
	limited := len(d.Provider.Types) > 0 || d.Provider.MinTTL > 0 || d.Provider.MaxTTL > 0
	for _, setting := range []struct {
		set  bool
		data dnstmpl.Data
	}{
		{limited || d.TTL != 0 && d.TTL != dnstmpl.DefaultTTL, dnstmpl.Data{Zone: zone, TTL: d.TTL, Provider: d.Provider}},
		{d.DMARC != "" && d.DMARC != dnstmpl.DefaultDMARC, dnstmpl.Data{Zone: zone, DMARC: d.DMARC}},
		{d.PolicyHost != "", dnstmpl.Data{Zone: zone, MTASTS: "1", PolicyHost: d.PolicyHost}},
		{len(d.TLSRPT) > 0, dnstmpl.Data{Zone: zone, TLSRPT: d.TLSRPT}},
		{len(d.Services) > 0, dnstmpl.Data{Zone: zone, Services: d.Services}},
		{d.Autoconfig != "", dnstmpl.Data{Zone: zone, Autoconfig: d.Autoconfig}},
	} {
		if setting.set {
			problems = append(problems, recordProblems(setting.data)...)
		}
	}
	return problems
}

// recordProblems renders data, and returns what is wrong with its records and in its
// DMARC record.
func recordProblems(data dnstmpl.Data) (problems []error) {
	records, err := dnstmpl.Default().Render(data)
	if err != nil {
		return []error{fmt.Errorf("DNS: %w", err)}
	}
	for _, p := range records.Lint(context.Background(), data, nil) {
		if p.Rule == dnstmpl.RuleDMARC {
			problems = append(problems, fmt.Errorf("DNS.DMARC: %w", p))
		}
	}
	return problems
}
