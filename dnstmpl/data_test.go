package dnstmpl_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
)

func TestDataThatDNSCannotHaveIsRefused(t *testing.T) {
	for _, test := range []struct {
		name    string
		spoil   func(*dnstmpl.Data)
		message string
	}{
		{"no zone", func(d *dnstmpl.Data) { d.Zone = "" }, "mail.tmpl: Zone is empty"},
		{"a line in the zone", func(d *dnstmpl.Data) { d.Zone = "example.com\n$INCLUDE /etc/passwd" }, `mail.tmpl: Zone: "com\n$INCLUDE /etc/passwd" has a character that no name has: "\n"`},
		{"a line in the subdomain", func(d *dnstmpl.Data) { d.Subdomain = "a\nb" }, `mail.tmpl: Subdomain: "a\nb" has a character that no name has: "\n"`},
		{"a name that is too long", func(d *dnstmpl.Data) { d.Subdomain = strings.Repeat("a.", 124) }, "mail.tmpl: Subdomain: the name has 259 octets; 253 is the most"},
		{"an address that is none", func(d *dnstmpl.Data) { d.IPs = []netip.Addr{{}} }, "mail.tmpl: IPs has an address that DNS cannot have: invalid IP"},
		{"an address with a zone", func(d *dnstmpl.Data) { d.Egress = []netip.Addr{netip.MustParseAddr("fe80::1%eth0")} }, "mail.tmpl: Egress has an address that DNS cannot have: fe80::1%eth0"},
		{"a network that is none", func(d *dnstmpl.Data) { d.Networks = []netip.Prefix{{}} }, "mail.tmpl: Networks has an invalid network"},
		{"a host with an underscore", func(d *dnstmpl.Data) { d.MX = []dnstmpl.Exchanger{{Host: "a_b.test"}} }, `mail.tmpl: MX: "a_b" is not a host name: it has an underscore`},
		{"a key without a name", func(d *dnstmpl.Data) { d.DKIM = []dnstmpl.DKIM{{Text: "v=DKIM1"}} }, "mail.tmpl: DKIM.Name is empty"},
		{"a line in a text", func(d *dnstmpl.Data) { d.DMARC = "v=DMARC1;\r\np=none" }, `mail.tmpl: DMARC has a control character: '\r'`},
		{"a line in a variable", func(d *dnstmpl.Data) { d.Vars = map[string]string{"x": "a\n", "a": "b\x00"} }, "mail.tmpl: Vars a has a control character: '\\x00'\nmail.tmpl: Vars x has a control character: '\\n'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			data := example()
			test.spoil(&data)
			tmpl, err := dnstmpl.Parse("mail.tmpl", "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = tmpl.Render(data)
			if err == nil || err.Error() != test.message {
				t.Errorf("got\n%v\nwant\n%s", err, test.message)
			}
			if p := (dnstmpl.Problem{}); !errors.As(err, &p) || p.Rule != dnstmpl.RuleData {
				t.Errorf("the rule is %q", p.Rule)
			}
		})
	}
}

func TestTemplatesSeeNamesInOneForm(t *testing.T) {
	tmpl, err := dnstmpl.Parse("mail.tmpl", "{{.Zone}} {{.Subdomain}} {{.Domain}} {{.Hostname}} {{index .IPs 0}} {{.TTL}}")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tmpl.Text(dnstmpl.Data{Zone: "BÜCHER.Example.", Subdomain: "2024.", Hostname: "Mail.Example.", IPs: []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1")}})
	const want = "xn--bcher-kva.example 2024 2024.xn--bcher-kva.example mail.example 192.0.2.1 43200"
	if err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestTheProviderSaysWhichTypesAndTTLsThereAre(t *testing.T) {
	data := example()
	data.Provider = dnstmpl.Provider{Types: []string{"mx", "PTR"}, MinTTL: 300, MaxTTL: 3600}
	tmpl, err := dnstmpl.Parse("mail.tmpl", `
example.com. 299 IN MX 0 .
a.example.com. 300 IN MX 0 .
b.example.com. 3600 IN mx 0 .
c.example.com. 3601 IN MX 0 .
d.example.com. 300 IN A 192.0.2.1
e.example.com. 300 IN PTR example.com.
`)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tmpl.Render(data)
	const want = `mail.tmpl:2:14: the TTL 299 is out of range; write seconds from 300 to 3600
mail.tmpl:5:16: the TTL 3601 is out of range; write seconds from 300 to 3600
mail.tmpl:6:23: the provider does not take records of type A; write one of mx PTR`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestRecordsOfOtherClassesAreCheckedAndLeftOut(t *testing.T) {
	z, err := dnstmpl.ParseZone("zone", "example.com", `
; a comment, and a line of blanks
   
example.com. 60 HS TXT "hesiod" ; with a comment
example.com. 60 ch TXT "chaos"
EXAMPLE.com.	60	in	a	192.0.2.1	; the same record twice is one
example.com. 60 IN A 192.0.2.1
`+"example.com. 60 IN MX 0 .\r\n")
	if err != nil {
		t.Fatal(err)
	}
	const want = "example.com. 60 IN A 192.0.2.1\nexample.com. 60 IN MX 0 .\n"
	if diff := cmp.Diff(want, z.String()); diff != "" {
		t.Error(diff)
	}
}
