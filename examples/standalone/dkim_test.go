package main

import (
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/transport/transporttest"
)

// world serves the names of a world on a port of loopback, where the zones that the
// tests care about are served too, and returns its address.
func world(t *testing.T, names *transporttest.Names) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		at := netip.MustParseAddr("127.0.0.1")
		if q.RecursionDesired {
			at = netip.MustParseAddr("192.0.2.53")
		}
		if m, say := names.Answer(at, q); say && m != nil {
			_ = w.WriteMsg(m)
		}
	})}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return conn.LocalAddr().String()
}

// publishIn serves shop.example with these records.
func publishIn(names *transporttest.Names, records ...string) {
	servers := []string{"shop.example. 60 IN NS ns.shop.example.", "ns.shop.example. 60 IN A 127.0.0.1"}
	names.Serve("192.0.2.1", ".", append([]string{". 60 IN SOA root. root. 1 60 60 60 60", ". 60 IN NS root.", "root. 60 IN A 192.0.2.1"}, servers...)...)
	names.Serve("127.0.0.1", "shop.example", append(append([]string{"shop.example. 60 IN SOA ns.shop.example. x.shop.example. 1 60 60 60 60"}, servers...), records...)...)
}

func TestAKeyIsMadePublishedCheckedAndSignsThroughTheCommands(t *testing.T) {
	names := transporttest.NewNames()
	publishIn(names)
	l := newLab(t)
	l.configure(`hostname = "mail.panel.example"`, `delivery.resolver = "`+world(t, names)+`"`)
	l.do("", "site", "add", "shop")
	l.do("", "domain", "add", "shop.example", "--site", "shop")
	expect := func(a answer, status int, patterns ...string) {
		t.Helper()
		for _, p := range patterns {
			if a.Status != status || !regexp.MustCompile(p).MatchString(a.Stdout+a.Stderr) {
				t.Errorf("want status %d and %s; got %+v", status, p, a)
			}
		}
	}
	expect(l.run("", "dkim", "check", "shop.example"), 1, `shop.example has no DKIM key: see panelmail dkim generate`)
	expect(l.run("", "dkim", "generate", "shoop.example"), 1, `domain "shoop.example" not found`)
	expect(l.run("", "dkim", "generate", "shop.example", "--algorithm", "rsa512"), 2, `--algorithm rsa512 is not rsa, ed25519 or both`)
	made := l.do("", "dkim", "generate", "shop.example", "--algorithm", "ed25519", "--every", "90d")
	record := regexp.MustCompile(`(?m)^(e\d{8})\._domainkey\.shop\.example\. 3600 IN TXT "v=DKIM1; k=ed25519; p=[^"]+"$`).FindStringSubmatch(made)
	if record == nil {
		t.Fatalf("no record in\n%s", made)
	}
	expect(l.run("", "dkim", "list"), 0, `shop.example +`+record[1]+` +ed25519 +pending `)
	expect(l.run("", "dkim", "record", "shop.example"), 0, `(?m)^; pending\n`+regexp.QuoteMeta(record[0])+`$`)
	expect(l.run("", "dkim", "check", "shop.example"), 1,
		`(?m)^`+record[1]+`\._domainkey\.shop\.example: pending, wrong$`,
		`ns\.shop\.example \(127\.0\.0\.1\), .*: there is no TXT record`, `publish .* as panelmail dkim record shows it`)
	publishIn(names, record[0])
	expect(l.run("", "dkim", "check", "shop.example"), 0, `: signing, ok\n`)
	expect(l.run("", "dkim", "check", "shop.example", "--json"), 0, `^\{"domain":"shop.example","selector":"`+record[1]+`","algorithm":"ed25519","state":"signing",`)
	expect(l.run("", "dkim", "generate", "shop.example", "--algorithm", "ed25519"), 0, `shop.example has its keys`)
	expect(l.run("", "dkim", "rotate", "shop.example"), 0, record[1]+`b\._domainkey`)
	expect(l.run("", "dkim", "rotate", "shop.example"), 1, `is in use: publish it, or remove it`)
	expect(l.run("", "dkim", "delete", "shop.example", record[1]+"b"), 0, `is retired: take its record out of the DNS`)
	expect(l.run("", "dkim", "delete", "shop.example", record[1]+"b"), 1, `not found`)
	expect(l.run("", "dkim", "record", "shop.example", "--json"), 0, `^\{"name":"`+record[1]+`._domainkey.shop.example","type":"TXT","text":"v=DKIM1; k=ed25519; p=[^"]+","state":"signing"\}\n$`)
	publishIn(names, strings.Replace(record[0], "p=", "p=AAAA", 1))
	expect(l.run("", "dkim", "check", "shop.example"), 1, `pending, wrong`, `verifiers cannot use the record|another public key`)
}

func TestAKeyOfOneselfIsImportedAndNeverShown(t *testing.T) {
	l := newLab(t)
	l.do("", "site", "add", "shop")
	l.do("", "domain", "add", "shop.example", "--site", "shop")
	key, err := dkim.GenerateKey("shop.example", "mine", dkim.RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := key.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	canary := strings.Split(string(pem), "\n")[5]
	var all strings.Builder
	for _, c := range []struct {
		stdin  string
		status int
		args   string
	}{
		{string(pem), 0, "dkim import shop.example mine"},
		{string(pem), 1, "dkim import shop.example mine"},
		{string(pem)[:len(pem)/2], 1, "dkim import shop.example other"},
		{string(pem), 1, "dkim import shop.example not_a_selector"},
		{"", 0, "dkim generate panel.example --algorithm ed25519"}, // of our own host name
		{"", 0, "dkim list --json"},
		{"", 0, "dkim record shop.example --json"},
		{"", 1, "dkim check shop.example --json"},
		{"", 0, "dkim signer add [smtp.provider.example]:587"},
		{"", 0, "dkim signer list"},
		{"", 0, "dkim signer delete [smtp.provider.example]:587"},
		{"", 1, "dkim signer delete [smtp.provider.example]:587"},
	} {
		got := l.run(c.stdin, strings.Fields(c.args)...)
		if got.Status != c.status {
			t.Errorf("%s: %+v", c.args, got)
		}
		all.WriteString(got.Stdout + got.Stderr)
	}
	if strings.Contains(all.String(), canary) || strings.Contains(all.String(), "PRIVATE KEY") {
		t.Errorf("a private key is shown:\n%s", all.String())
	}
	if want := key.Record()[:100]; !strings.Contains(all.String(), want) {
		t.Errorf("the record is not shown:\n%s", all.String())
	}
}
