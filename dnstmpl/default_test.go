package dnstmpl_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
)

func addrs(list ...string) (all []netip.Addr) {
	for _, s := range list {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

func TestTheDefaultTemplateMakesEverythingThatTheDataHas(t *testing.T) {
	for _, row := range []struct {
		name string
		data dnstmpl.Data
		want string
	}{
		{"a zone and addresses are enough", dnstmpl.Data{Zone: "example.com", TTL: 60, IPs: addrs("192.0.2.1", "2001:db8::1")}, `
example.com. 60 IN MX 10 mail.example.com.
example.com. 60 IN TXT "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 ~all"
_dmarc.example.com. 60 IN TXT "v=DMARC1; p=none"
mail.example.com. 60 IN A 192.0.2.1
mail.example.com. 60 IN AAAA 2001:db8::1
`},
		{"everything", dnstmpl.Data{
			Zone: "example.com", Subdomain: "shop", TTL: 60, IPs: addrs("192.0.2.1"),
			Hostname: "mx.panel.example", MX: []dnstmpl.Exchanger{{Host: "mx1.panel.example", Preference: 5}, {Host: "mx2.panel.example", Preference: 20}},
			Egress: addrs("192.0.2.9", "192.0.2.8", "2001:db8::9"), Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/28")},
			Relays: []dnstmpl.Relay{{Host: "smtp.eu.sendgrid.net"}, {Host: "out.example.net"}, {Host: "example.net", MX: true}, {Host: "203.0.113.5"},
				{Host: "smtp.corp.example", Include: []string{"_spf.corp.example"}}},
			SPF:  "-all",
			HELO: []dnstmpl.Identity{{Name: "out.example.com", Addrs: addrs("192.0.2.9", "192.0.2.8")}, {Name: "mx.panel.example", Addrs: addrs("192.0.2.8")}},
			DKIM: []dnstmpl.DKIM{
				{Name: "a._domainkey.shop.example.com", Text: "v=DKIM1; p=" + strings.Repeat("A", 300)},
				{Name: "b._domainkey.shop.example.com", Target: "b.keys.example.net", Pending: true},
			},
			DMARC: "v=DMARC1; p=reject; rua=mailto:d@example.com", MTASTS: "20260101", PolicyHost: "www.panel.example",
			TLSRPT:     []string{"mailto:t@example.com", "https://t.example.com/x"},
			Services:   []dnstmpl.Service{{Name: "_submissions._tcp", Port: 465, Target: "mx.panel.example"}, {Name: "_pop3._tcp", Target: "."}},
			Autoconfig: "auto.panel.example",
		}, `
shop.example.com. 60 IN MX 5 mx1.panel.example.
shop.example.com. 60 IN MX 20 mx2.panel.example.
shop.example.com. 60 IN TXT "v=spf1 ip4:192.0.2.8/31 ip4:198.51.100.0/28 ip4:203.0.113.5 ip6:2001:db8::9 include:sendgrid.net a:out.example.net mx:example.net include:_spf.corp.example -all"
a._domainkey.shop.example.com. 60 IN TXT "v=DKIM1; p=` + strings.Repeat("A", 244) + `" "` + strings.Repeat("A", 56) + `"
b._domainkey.shop.example.com. 60 IN CNAME b.keys.example.net.
_dmarc.shop.example.com. 60 IN TXT "v=DMARC1; p=reject; rua=mailto:d@example.com"
_mta-sts.shop.example.com. 60 IN TXT "v=STSv1; id=20260101"
mta-sts.shop.example.com. 60 IN CNAME www.panel.example.
_smtp._tls.shop.example.com. 60 IN TXT "v=TLSRPTv1; rua=mailto:t@example.com,https://t.example.com/x"
_submissions._tcp.shop.example.com. 60 IN SRV 0 0 465 mx.panel.example.
_pop3._tcp.shop.example.com. 60 IN SRV 0 0 0 .
autoconfig.shop.example.com. 60 IN CNAME auto.panel.example.
autodiscover.shop.example.com. 60 IN CNAME auto.panel.example.
_autodiscover._tcp.shop.example.com. 60 IN SRV 0 0 443 auto.panel.example.
out.example.com. 60 IN A 192.0.2.8
out.example.com. 60 IN A 192.0.2.9
out.example.com. 60 IN TXT "v=spf1 a -all"
`},
		{"a domain that only sends", dnstmpl.Data{
			Zone: "example.com", TTL: 60, Hostname: "mx.panel.example", SendOnly: true, DMARC: "none", MTASTS: "1", TLSRPT: []string{"mailto:t@example.com"},
		}, `
example.com. 60 IN TXT "v=spf1 a:mx.panel.example ~all"
`},
		{"the domain that has the policy and autoconfig hosts of all", dnstmpl.Data{
			Zone: "panel.example", TTL: 60, Hostname: "mx.far.example", DMARC: "none", SPF: "-all", MTASTS: "1", PolicyHost: "mta-sts.panel.example", Autoconfig: "autoconfig.panel.example",
		}, `
panel.example. 60 IN MX 10 mx.far.example.
panel.example. 60 IN TXT "v=spf1 a:mx.far.example -all"
_mta-sts.panel.example. 60 IN TXT "v=STSv1; id=1"
autodiscover.panel.example. 60 IN CNAME autoconfig.panel.example.
_autodiscover._tcp.panel.example. 60 IN SRV 0 0 443 autoconfig.panel.example.
`},
		{"a HELO name that is the domain has addresses of its own", dnstmpl.Data{
			Zone: "example.com", TTL: 60, SendOnly: true, DMARC: "none",
			Egress: addrs("192.0.2.1"), HELO: []dnstmpl.Identity{{Name: "example.com", Addrs: addrs("192.0.2.1")}},
		}, `
example.com. 60 IN TXT "v=spf1 ip4:192.0.2.1 ~all"
`},
	} {
		t.Run(row.name, func(t *testing.T) {
			zone, err := dnstmpl.Default().Render(row.data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimPrefix(row.want, "\n"), zone.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAddressesThatDoNotFitIntoOneAnswerAreIncluded(t *testing.T) {
	d := dnstmpl.Data{Zone: "example.com"}
	for i := range 60 {
		d.Egress = append(d.Egress, netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", 2*i)))
	}
	records := d.SPFRecords()
	const first = "v=spf1 include:_spf1.example.com include:_spf2.example.com include:_spf3.example.com ~all"
	if len(records) != 4 || records[0] != (dnstmpl.Text{Name: "example.com", Text: first}) {
		t.Fatalf("%+v", records)
	}
	found := 0
	for i, r := range records[1:] {
		if want := fmt.Sprintf("_spf%d.example.com", i+1); r.Name != want || len(r.Name)+len(r.Text) >= 450 || !strings.HasSuffix(r.Text, " -all") {
			t.Errorf("%s, want %s: %d octets: %s", r.Name, want, len(r.Text), r.Text)
		}
		found += strings.Count(r.Text, " ip4:198.51.100.")
	}
	if found != 60 {
		t.Errorf("%d addresses, want 60", found)
	}
}

func TestASmartHostIsItsProvidersByName(t *testing.T) {
	for host, want := range map[string]string{
		"email-smtp.eu-west-1.amazonaws.com":            "Amazon SES",
		"Email-SMTP-FIPS.us-east-1.amazonaws.com.":      "Amazon SES",
		"ec2-192-0-2-1.eu-west-1.compute.amazonaws.com": "",
		"smtp.sendgrid.net":                             "SendGrid",
		"smtp.eu.mailgun.org":                           "Mailgun",
		"smtp.mailchannels.net":                         "MailChannels",
		"smtp-relay.gmail.com":                          "Google Workspace",
		"gmail.com":                                     "",
		"notsendgrid.net":                               "",
	} {
		if s, _ := dnstmpl.KnownService(host); s.Name != want {
			t.Errorf("%s: %q, want %q", host, s.Name, want)
		}
	}
}
