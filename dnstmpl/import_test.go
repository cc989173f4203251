package dnstmpl_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
)

// imported are templates of other panels, what they make for example.com with an
// address of each family, and the report.
var imported = []struct {
	panel        dnstmpl.Panel
	name, text   string
	zone, report string
}{
	{dnstmpl.CPanel, "standard", `; made by hand
$TTL %ttl%
@  %nsttl%  IN  SOA  %nameserver%. %rpemail%. (
	%serial%  ; serial
	3600 600 1209600 3600 )
%domain%. %nsttl% IN NS %nameserver%.
%domain%. IN A %ip%
%domain%. IN AAAA %ipv6%
	300 IN MX 0 %domain%.
mail IN CNAME @
ftp 600 A %ftpip%
_caldav._tcp IN SRV 0 1 2080 dav
@ IN CAA 0 issue "ca.test"
@ IN TXT "v=spf1 +mx +ip4:%ip% " "~all" ; policy
help IN CNAME %reseller%.example.net.
help2 IN CNAME %reseller%.example.net.
$INCLUDE /etc/passwd
`, `example.com. 3600 IN A 192.0.2.1
example.com. 3600 IN AAAA 2001:db8::1
example.com. 300 IN MX 0 example.com.
mail.example.com. 3600 IN CNAME example.com.
ftp.example.com. 600 IN A 192.0.2.1
_caldav._tcp.example.com. 3600 IN SRV 0 1 2080 dav.example.com.
example.com. 3600 IN CAA 0 issue "ca.test"
example.com. 3600 IN TXT "v=spf1 +mx +ip4:192.0.2.1 ~all"
help.example.com. 3600 IN CNAME var-reseller.example.net.
help2.example.com. 3600 IN CNAME var-reseller.example.net.
`, `standard:3: SOA records are the DNS provider's: this one is left out
standard:6: NS records are the DNS provider's: this one is left out
standard:15: what reseller stands for is not known here; write its value as "reseller" into Vars
standard:17: $INCLUDE is left out; write whole names, and records in the template itself`},

	{dnstmpl.OpenPanel, "ipv6", "mail IN AAAA {server_ip}\n{domain}. IN TXT \"a {{ b {rpemail}\"\n", `mail.example.com. 3600 IN AAAA 2001:db8::1
example.com. 3600 IN TXT "a {{ b var-rpemail"
`, `ipv6:2: what rpemail stands for is not known here; write its value as "rpemail" into Vars`},

	{dnstmpl.Hestia, "default.tpl", `ID='1' RECORD='@' TYPE='NS' PRIORITY='' VALUE='%ns1%.' SUSPENDED='no' TIME='%time%' DATE='%date%'
ID='2' RECORD='mail' TYPE='A' PRIORITY='' VALUE='%ip%' SUSPENDED='no' TIME='%time%' DATE='%date%'
ID='3' RECORD='www' TYPE='CNAME' PRIORITY='' VALUE='%domain%' SUSPENDED='no' TIME='%time%' DATE='%date%'
ID='4' RECORD='@' TYPE='MX' PRIORITY='5' VALUE='mail.%domain%.' SUSPENDED='no' TIME='%time%' DATE='%date%'
ID='5' RECORD='@' TYPE='TXT' PRIORITY='' VALUE='"v=spf1 a mx ip4:%ip% -all"' SUSPENDED='no' TIME='%time%' DATE='%date%'
ID='6' RECORD='_dmarc' TYPE='TXT' PRIORITY='' VALUE='v=DMARC1; p=none' TTL='60'
ID='7' RECORD='_imaps._tcp' TYPE='SRV' PRIORITY='0' VALUE='1 993 mail.%domain%'
ID='8' RECORD='old' TYPE='A' PRIORITY='' VALUE='%ip%' SUSPENDED='yes'

not a record
`, `mail.example.com. 3600 IN A 192.0.2.1
www.example.com. 3600 IN CNAME example.com.
example.com. 3600 IN MX 5 mail.example.com.
example.com. 3600 IN TXT "v=spf1 a mx ip4:192.0.2.1 -all"
_dmarc.example.com. 60 IN TXT "v=DMARC1; p=none"
_imaps._tcp.example.com. 3600 IN SRV 0 1 993 mail.example.com.
`, `default.tpl:1: NS records are the DNS provider's: this one is left out
default.tpl:8: the record is suspended and is left out
default.tpl:10: the line has no TYPE and is left out`},

	{dnstmpl.ISPConfig, "Default", `[ZONE]
origin={DOMAIN}.
ns={NS1}.

[DNS_RECORDS]
A|{DOMAIN}.|{IP}|0|3600
AAAA|mail|{IPV6}|0|600
MX|{DOMAIN}.|mail.{DOMAIN}.|10|3600
TXT|{DOMAIN}.|v=spf1 mx ip6:{IPV6} ~all|0|3600
A|short
`, `example.com. 3600 IN A 192.0.2.1
mail.example.com. 600 IN AAAA 2001:db8::1
example.com. 3600 IN MX 10 mail.example.com.
example.com. 3600 IN TXT "v=spf1 mx ip6:2001:db8::1 ~all"
`, `Default:1: [ZONE] is about the zone and is left out
Default:10: the line is not TYPE|name|data|aux|ttl and is left out`},

	{dnstmpl.Plesk, "template", "<domain>.\tA\t<ip.web>\nmail.<domain>.\tAAAA\t<ipv6.mail>\n<domain>. MX (10) mail.<domain>.\nwww.<domain> CNAME <domain>\n<domain>. TXT v=spf1 +a +mx +a:<hostname> -all\n\n<domain>.\n", `example.com. 3600 IN A 192.0.2.1
mail.example.com. 3600 IN AAAA 2001:db8::1
example.com. 3600 IN MX 10 mail.example.com.
www.example.com. 3600 IN CNAME example.com.
example.com. 3600 IN TXT "v=spf1 +a +mx +a:mail.example.com -all"
`, `template:7: the line is not a host, a type and a value, and is left out`},

	{dnstmpl.DirectAdmin, "dns_a.conf", `|?LOCAL=127.0.0.1|
localhost=|LOCAL|
|$/usr/local/bin/php
<?php echo "php=192.0.2.9" ?>
DONE|
|*if IS_IPV6!="yes"|
|DOMAIN|.=|IP|
mail=|IP|
|*endif|
|*if PLAN="big"|
big=|IP|
|*endif|
nothing
`, `localhost.example.com. 3600 IN A 127.0.0.1
example.com. 3600 IN A 192.0.2.1
mail.example.com. 3600 IN A 192.0.2.1
`, `dns_a.conf:3: a program is not run: what it would write is left out; write its records into the template
dns_a.conf:6: whether there is IPv6 is seen from the addresses: the condition is left out, not its records
dns_a.conf:10: the condition and its records are left out; write {{if …}} with what decides in Vars
dns_a.conf:13: the line is not name=value and is left out`},
	{dnstmpl.DirectAdmin, "/templates/dns_mx.conf", "mail=10\n", "example.com. 3600 IN MX 10 mail.example.com.\n", ""},
	{dnstmpl.DirectAdmin, "dns_txt.conf", "|DOMAIN|.=\"v=spf1 a mx ip4:|SERVER_IP| ~all\"\n", "example.com. 3600 IN TXT \"v=spf1 a mx ip4:192.0.2.1 ~all\"\n", ""},
}

func TestTemplatesOfOtherPanelsMakeTheirRecords(t *testing.T) {
	data := example()
	data.Vars = map[string]string{"reseller": "var-reseller", "rpemail": "var-rpemail"}
	for _, c := range imported {
		t.Run(string(c.panel)+" "+c.name, func(t *testing.T) {
			text, report, err := dnstmpl.Import(c.panel, c.name, c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.report, report.Error()); diff != "" {
				t.Errorf("the report:\n%s", diff)
			}
			tmpl, err := dnstmpl.Parse(c.name, text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			zone, err := tmpl.Render(data)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if diff := cmp.Diff(c.zone, zone.String()); diff != "" {
				t.Errorf("%s\n%s", diff, text)
			}
		})
	}
}

func TestAnImportedTemplateHasARecordForEachAddress(t *testing.T) {
	text, _, err := dnstmpl.Import(dnstmpl.ISPConfig, "t", "[DNS_RECORDS]\nA|mail|{IP}|0|60\nTXT|{DOMAIN}.|v=spf1 ip4:{IP} ~all|0|60\n")
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := dnstmpl.Parse("t", text)
	if err != nil {
		t.Fatal(err)
	}
	zone, err := tmpl.Render(dnstmpl.Data{Zone: "example.com", IPs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}})
	if err != nil {
		t.Fatal(err)
	}
	want := `mail.example.com. 60 IN A 192.0.2.1
mail.example.com. 60 IN A 192.0.2.2
example.com. 60 IN TXT "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 ~all"
`
	if diff := cmp.Diff(want, zone.String()); diff != "" {
		t.Error(diff)
	}
}

func TestAnImportedTemplateSaysNothingOfAddressesThatThereAreNot(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	const old = "%domain%. 60 IN A %ip%\n%domain%. 60 IN TXT \"v=spf1 a +ip4:%ip% ip6:%ipv6% ~ip4:%ftpip% -all\"\n" +
		"a.%domain%. 60 IN TXT ip4:%ip%\nb 60 IN TXT x\n"
	for _, row := range []struct {
		ips  []netip.Addr
		want string
	}{
		{[]netip.Addr{six}, `example.com. 60 IN TXT "v=spf1 a ip6:2001:db8::1 -all"
a.example.com. 60 IN TXT ""
`},
		{[]netip.Addr{four, six, four.Next()}, `example.com. 60 IN A 192.0.2.1
example.com. 60 IN A 192.0.2.2
example.com. 60 IN TXT "v=spf1 a +ip4:192.0.2.1 +ip4:192.0.2.2 ip6:2001:db8::1 ~ip4:192.0.2.1 ~ip4:192.0.2.2 -all"
a.example.com. 60 IN TXT "ip4:192.0.2.1 ip4:192.0.2.2"
`},
		{nil, `example.com. 60 IN TXT "v=spf1 a -all"
a.example.com. 60 IN TXT ""
`},
	} {
		if diff := cmp.Diff(row.want+"b.example.com. 60 IN TXT \"x\"\n", importedZone(t, old, dnstmpl.Data{Zone: "example.com", IPs: row.ips})); diff != "" {
			t.Errorf("%v:\n%s", row.ips, diff)
		}
	}
}

// importedZone is what a template of cPanel's makes.
func importedZone(t *testing.T, old string, d dnstmpl.Data) string {
	t.Helper()
	text, _, err := dnstmpl.Import(dnstmpl.CPanel, "t", old)
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := dnstmpl.Parse("t", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	zone, err := tmpl.Render(d)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return zone.String()
}

func TestAnImportedTemplateIsOfTheDomainAndNotOfItsZone(t *testing.T) {
	const want = `sub.example.com. 60 IN MX 0 mail.sub.example.com.
mail.sub.example.com. 60 IN A 192.0.2.1
`
	got := importedZone(t, "@ 60 IN MX 0 mail.%domain%.\nmail 60 IN A %ip%\n", dnstmpl.Data{Zone: "example.com", Subdomain: "sub", IPs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestImportSaysWhichTypesItDoesNotKnow(t *testing.T) {
	_, _, err := dnstmpl.Import(dnstmpl.DirectAdmin, "da.tpl", "mail=10\n")
	if err == nil || err.Error() != `da.tpl: the name of the file does not tell the type of its records; write a name such as dns_mx.conf` {
		t.Error(err)
	}
	text, report, err := dnstmpl.Import(dnstmpl.ISPConfig, "t", "[DNS_RECORDS]\nALIAS|www|{DOMAIN}.|0|60\n")
	if err != nil || text != "" || report.Error() != `t:2: records of the type "ALIAS" are not known here: this one is left out` {
		t.Errorf("%q, %v, %v", text, report, err)
	}
}

func TestAPanelThatIsNotKnownIsAProblem(t *testing.T) {
	_, _, err := dnstmpl.Import("webmin", "t", "")
	if err == nil || err.Error() != `t: the panel "webmin" is not known; write one of [cpanel directadmin hestia ispconfig openpanel plesk]` {
		t.Error(err)
	}
}

// FuzzImport looks for templates of other panels that become none.
func FuzzImport(f *testing.F) {
	for _, c := range imported {
		f.Add(string(c.panel), c.name, c.text)
	}
	f.Fuzz(func(t *testing.T, panel, name, text string) {
		converted, _, err := dnstmpl.Import(dnstmpl.Panel(panel), name, text)
		if err != nil {
			return
		}
		tmpl, err := dnstmpl.Parse(name, converted)
		if err != nil {
			if strings.Contains(err.Error(), "octets at most") {
				return
			}
			t.Fatalf("%v\n%s", err, converted)
		}
		if _, err := tmpl.Render(example()); err != nil {
			checkProblems(t, err)
		}
	})
}
