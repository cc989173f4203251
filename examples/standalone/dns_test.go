package main

import (
	"strings"
	"testing"

	"github.com/panelmail/panelmail/transport/transporttest"
)

// dnsLab is a lab whose resolver knows shop.example on two servers, with the site shop
// that takes mail for it.
func dnsLab(t *testing.T) (*lab, *transporttest.Names) {
	t.Helper()
	names := transporttest.NewNames()
	names.Serve("192.0.2.1", ".", ". 60 IN SOA root. root. 1 60 60 60 60", ". 60 IN NS root.", "root. 60 IN A 192.0.2.1",
		"example. 60 IN NS ns.example.", "ns.example. 60 IN A 127.0.0.2")
	names.Serve("127.0.0.2", "example.", "example. 60 IN SOA ns.example. x. 1 60 60 60 60", "example. 60 IN NS ns.example.", "ns.example. 60 IN A 127.0.0.2",
		"shop.example. 60 IN NS ns1.example.", "shop.example. 60 IN NS ns2.example.", "ns1.example. 60 IN A 127.0.0.3", "ns2.example. 60 IN A 127.0.0.4",
		"mail.panel.example. 60 IN A 192.0.2.25")
	serveShop(names)
	l := newLab(t)
	l.configure(`hostname = "mail.panel.example"`, `delivery.resolver = "`+names.Listen(t)+`"`)
	l.do("", "site", "add", "shop")
	l.do("", "domain", "add", "shop.example", "--site", "shop")
	l.do(`{{fqdn .Domain}} 3600 IN MX 10 {{fqdn .Hostname}}
{{fqdn .Domain}} 3600 IN TXT "v=spf1 ip4:192.0.2.25 ~all"
`, "template", "set", "default", "-")
	return l, names
}

// serveShop has both servers of shop.example publish these records.
func serveShop(names *transporttest.Names, lines ...string) {
	for _, addr := range []string{"127.0.0.3", "127.0.0.4"} {
		names.Serve(addr, "shop.example.", append([]string{"shop.example. 60 IN SOA ns1.example. x. 1 60 60 60 60",
			"shop.example. 60 IN NS ns1.example.", "shop.example. 60 IN NS ns2.example."}, lines...)...)
	}
}

func TestDNSRenderPrintsTheRecordsOfTheTemplateInForce(t *testing.T) {
	l, _ := dnsLab(t)
	const mx, spf = "shop.example. 3600 IN MX 10 mail.panel.example.\n", "shop.example. 3600 IN TXT \"v=spf1 ip4:192.0.2.25 ~all\"\n"
	l.steps(nil,
		step{args: "dns render shop.example", stdout: mx + spf},
		step{args: "dns render Shop.Example. --json", stdout: `{"name":"shop.example.","ttl":3600,"class":"IN","type":"MX","data":"10 mail.panel.example.","value":{"preference":10,"host":"mail.panel.example."}}
{"name":"shop.example.","ttl":3600,"class":"IN","type":"TXT","data":"\"v=spf1 ip4:192.0.2.25 ~all\"","value":{"text":"v=spf1 ip4:192.0.2.25 ~all"}}
`},
		step{args: "template set shop -", stdin: "{{fqdn .Domain}} 60 IN MX 5 mx.own.example.\n", stdout: "template shop: standard input, go, 44 octets\n"},
		step{args: "dns render shop.example", stdout: "shop.example. 60 IN MX 5 mx.own.example.\n"},
		step{args: "dns render nobody.example", status: 1, stderr: "not found"},
		step{args: "dns render", status: 2, stderr: "usage: panelmail dns render DOMAIN"},
	)
	if got := l.do("", "dns", "render", "shop.example", "--paste"); !strings.Contains(got, "mx.own.example\n") || !strings.Contains(got, "Full name:  shop.example\n") {
		t.Errorf("to paste:\n%s", got)
	}
	l.do("", "template", "delete", "shop")
	l.do("", "template", "delete", "default")
	if got := l.do("", "dns", "render", "shop.example"); !strings.Contains(got, "v=spf1 ") || !strings.Contains(got, "_dmarc.shop.example. ") {
		t.Errorf("compiled:\n%s", got)
	}
}

func TestDNSCheckSaysWhatToDoAndItsStatusWhetherAnything(t *testing.T) {
	l, names := dnsLab(t)
	const mx, spf = "shop.example. 3600 IN MX 10 mail.panel.example.", `shop.example. 3600 IN TXT "v=spf1 ip4:192.0.2.25 ~all"`
	l.steps(nil, step{args: "dns check shop.example", status: 1, stdout: "+ " + mx + "\n  add: it is not published\n+ " + spf + "\n  add: it is not published\n"})
	serveShop(names, mx, `shop.example. 60 IN TXT "v=spf1 include:news.example -all"`, "shop.example. 60 IN MX 5 old.example.")
	l.steps(nil,
		step{args: "dns check shop.example", status: 1, stdout: "- shop.example. 60 IN MX 5 old.example.\n  remove: mail for shop.example. would go to 5 old.example. too, which is not in force\n" +
			"- shop.example. 60 IN TXT \"v=spf1 include:news.example -all\"\n+ shop.example. 3600 IN TXT \"v=spf1 include:news.example ip4:192.0.2.25 -all\"\n" +
			"  change: the SPF record that is published does not let all mail of this server through; what it says beside stays\n" +
			"include:news.example has 0 SPF records where there must be one: the whole record counts for nothing (RFC 7208 section 5.2); write a domain that has one\n"},
		step{args: "dns check shop.example --json", status: 1, stdout: `{"zone":"shop.example.","operations":[` +
			`{"op":"remove","have":{"name":"shop.example.","ttl":60,"class":"IN","type":"MX","data":"5 old.example.","value":{"preference":5,"host":"old.example."}},"why":"mail for shop.example. would go to 5 old.example. too, which is not in force"},` +
			`{"op":"change","have":{"name":"shop.example.","ttl":60,"class":"IN","type":"TXT","data":"\"v=spf1 include:news.example -all\"","value":{"text":"v=spf1 include:news.example -all"}},` +
			`"want":{"name":"shop.example.","ttl":3600,"class":"IN","type":"TXT","data":"\"v=spf1 include:news.example ip4:192.0.2.25 -all\"","value":{"text":"v=spf1 include:news.example ip4:192.0.2.25 -all"}},` +
			`"why":"the SPF record that is published does not let all mail of this server through; what it says beside stays"}],` +
			`"faults":[{"rule":"spf","text":"include:news.example has 0 SPF records where there must be one: the whole record counts for nothing (RFC 7208 section 5.2)",` +
			`"fix":"a domain that has one","record":"shop.example. 3600 IN TXT \"v=spf1 include:news.example ip4:192.0.2.25 -all\""}]}` + "\n"})
	serveShop(names, mx, spf)
	l.steps(nil,
		step{args: "dns check shop.example", stdout: "shop.example.: all 1 names are published as they are to be\n"},
		step{args: "dns check shop.example --json", stdout: `{"zone":"shop.example.","operations":[],"right":["shop.example."]}` + "\n"},
		step{args: "dns check nobody.example", status: 1, stderr: "not found"})
	names.Fault("127.0.0.4", transporttest.Lame)
	l.steps(nil,
		step{args: "dns check shop.example", status: 1, stdout: "ns2.example.[127.0.0.4], a name server of shop.example.: it answers REFUSED and does not serve shop.example; " +
			"have the zone set up there, or take the server out of the NS records and of the delegation\n"},
		step{args: "dns check shop.example --json", status: 1, stdout: `{"zone":"shop.example.","operations":[],"troubles":[{"zone":"shop.example.","server":"ns2.example.","address":"127.0.0.4","status":"lame",` +
			`"detail":"it answers REFUSED and does not serve shop.example","names":["shop.example."]}],"right":["shop.example."]}` + "\n"})
}

func TestADelegatedSelectorIsNotDoneBeforeTheKeyIsWhereItLeads(t *testing.T) {
	l, names := dnsLab(t)
	l.do("{{range .DKIM}}{{fqdn .Name}} 60 IN {{if .Target}}CNAME {{fqdn .Target}}{{else}}TXT {{txt .Text}}{{end}}\n{{end}}", "template", "set", "default", "-")
	l.do("", "dkim", "generate", "shop.example", "--algorithm", "ed25519", "--zone", "keys.example")
	const target = "e1._domainkey.shop.example.keys.example."
	alias := strings.TrimSpace(l.do("", "dns", "render", "shop.example"))
	serveShop(names, alias)
	_, text, _ := strings.Cut(l.do("", "dkim", "record", "shop.example"), target+" ")
	text = target + " " + strings.TrimSpace(text)
	l.steps(nil, step{args: "dns check shop.example", status: 1, stdout: "+ " + strings.Replace(text, " 3600 ", " 60 ", 1) + "\n" +
		"  add: e1._domainkey.shop.example. is an alias of it; the public key is not published: signatures with this selector cannot be verified\n"})
	l.do("", "domain", "add", "keys.example", "--site", "shop")
	if got := l.do("", "dns", "render", "keys.example"); got != strings.Replace(text, " 3600 ", " 60 ", 1)+"\n" {
		t.Errorf("the zone that holds the key has\n%swant\n%s", got, text)
	}
	names.Serve("127.0.0.3", "keys.example.", "keys.example. 60 IN SOA ns1.example. x. 1 60 60 60 60", "keys.example. 60 IN NS ns1.example.", text)
	names.Serve("127.0.0.2", "example.", "example. 60 IN SOA ns.example. x. 1 60 60 60 60", "example. 60 IN NS ns.example.", "ns.example. 60 IN A 127.0.0.2",
		"shop.example. 60 IN NS ns1.example.", "shop.example. 60 IN NS ns2.example.", "ns1.example. 60 IN A 127.0.0.3", "ns2.example. 60 IN A 127.0.0.4",
		"keys.example. 60 IN NS ns1.example.")
	l.steps(nil, step{args: "dns check shop.example", stdout: "shop.example.: all 2 names are published as they are to be\n"})
}
