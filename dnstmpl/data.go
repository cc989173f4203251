package dnstmpl

import "net/netip"

// DefaultTTL is used where Data.TTL is 0, in seconds.
const DefaultTTL = 43200

// DefaultDMARC is used where Data.DMARC is "": it asks for nothing, and without a
// record large receivers take less mail.
const DefaultDMARC = "v=DMARC1; p=none"

// Data is what a template is rendered with. Names are given with or without a final
// dot, in any case, with U-labels or A-labels; templates see them in lower case, as
// A-labels, without a final dot. A value with a control character is an error,
// because it could begin a line of its own.
type Data struct {
	Zone      string       // the DNS zone, such as example.com; required
	Subdomain string       // the mail domain's labels in front of Zone; "" if they are the same
	TTL       uint32       // seconds; if zero, DefaultTTL
	IPs       []netip.Addr // addresses of the mail server, IPv4 and IPv6

	Hostname string         // of the mail server, for MX records; if "", mail.Zone
	MX       []Exchanger    // the mail exchangers; if empty, Hostname with preference 10
	SendOnly bool           // the domain takes no mail here: there are no MX, MTA-STS and TLS-RPT records
	Egress   []netip.Addr   // addresses that the domain's mail leaves from
	Networks []netip.Prefix // the same, for pools that are published as a network
	Relays   []Relay        // smart hosts that the domain's mail leaves through
	SPF      string         // the last mechanism, ~all or -all; if "", ~all
	HELO     []Identity     // names that the addresses of Egress greet with
	Hosts    []Host         // hosts of the mail system; if nil, those of HELO, and Hostname with IPs

	DKIM       []DKIM    // keys to be published: active, and pending until they are seen; others' that are delegated to the domain are the last
	DMARC      string    // the text of the DMARC record; if "", DefaultDMARC; none for none
	MTASTS     string    // id of the MTA-STS policy (RFC 8461 section 3.1); "" for none
	PolicyHost string    // host that serves the policy at mta-sts.domain; "" if that has addresses already
	TLSRPT     []string  // where TLS reports go: mailto: and https: URIs (RFC 8460); none if empty
	Services   []Service // SRV records (RFC 6186, RFC 8314)
	Autoconfig string    // host that serves autoconfig and autodiscover; "" for none

	Provider Provider          // what the DNS provider of the zone takes
	Vars     map[string]string // variables of the panel's own; a missing one is an error
}

// An Exchanger is a host that takes mail for the domain.
type Exchanger struct {
	Host       string
	Preference uint16 // the lowest is tried first (RFC 5321 section 5.1)
}

// A Relay is a smart host, and what its provider wants to see in an SPF record.
type Relay struct {
	Host    string   // without brackets and port
	MX      bool     // Host is a domain: the hosts are its mail exchangers
	Include []string // domains for include: mechanisms; if empty, those of [KnownService], else Host itself

	// OwnReversePath is as in [MailService], which see.
	OwnReversePath bool
}

// An Identity is a name that mail hosts give in HELO and EHLO.
type Identity struct {
	Name  string
	Addrs []netip.Addr // of the hosts that give it
}

// A Host is a host of the mail system. Templates see those in the zone, without the apex
// and the mail domain. One with SPF records is a name in HELO (RFC 7208 section 2.3), and
// that may be a name of other hosts too: [Zone.Diff] removes no addresses from it.
type Host struct {
	Name  string
	Addrs []netip.Addr
	SPF   []Text // as of [Data.SPFRecords]
}

// A DKIM key as it is published.
type DKIM struct {
	Name    string // selector._domainkey.domain; of another domain's key the name that it is delegated to
	Text    string // the record, v=DKIM1; …
	Target  string // set where the selector is delegated: a CNAME to it is published in the place of Text
	Pending bool   // published, and not signed with yet
}

// A Service is announced by an SRV record (RFC 2782).
type Service struct {
	Name     string // such as _submissions._tcp
	Priority uint16
	Weight   uint16
	Port     uint16
	Target   string // "." says that the service is not offered
}

// A Provider says what a DNS provider takes. The zero Provider takes DefaultTypes,
// with any TTL of RFC 2181 section 8.
type Provider struct {
	Types  []string // record types, such as MX; if empty, DefaultTypes
	MinTTL uint32   // seconds
	MaxTTL uint32   // seconds; if zero, MaxTTL
}

// MaxTTL is the highest TTL there is, in seconds (RFC 2181 section 8).
const MaxTTL = 1<<31 - 1

// DefaultTypes lists the record types that DNS providers commonly take.
func DefaultTypes() []string {
	return []string{"A", "AAAA", "CAA", "CNAME", "DNAME", "HINFO", "MX", "NAPTR", "NS", "SOA", "SRV", "TLSA", "TXT"}
}

// Domain is the mail domain, Subdomain in front of Zone.
func (d Data) Domain() string {
	if d.Subdomain == "" {
		return d.Zone
	}
	return d.Subdomain + "." + d.Zone
}
