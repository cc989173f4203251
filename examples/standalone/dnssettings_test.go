package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTheRecordsOfADomainHaveWhatTheConfigurationSaysOfThisHost(t *testing.T) {
	l := newLab(t)
	l.configure(`hostname = "mail.panel.example"`, "[dns]", `addresses = ["192.0.2.1", "2001:db8::1"]`, `spf = "-all"`, `dmarc = "none"`)
	l.steps(nil, step{args: "config check", stdout: filepath.Join(l.data, "panelmail.toml") + ": ok\n"})
	l.do("", "site", "add", "shop")
	l.do("", "domain", "add", "shop.example", "--site", "shop", "--class", "alias")
	got := l.do("", "dns", "render", "shop.example")
	for _, want := range []string{
		"shop.example. 43200 IN MX 10 mail.panel.example.\n",
		`shop.example. 43200 IN TXT "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all"` + "\n",
		`_smtp._tls.shop.example. 43200 IN TXT "v=TLSRPTv1; rua=mailto:postmaster@shop.example"` + "\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "_dmarc") || strings.Contains(got, "_mta-sts") {
		t.Errorf("records that are not wanted:\n%s", got)
	}
	l.do("", "smarthost", "set", "shop", "[smtp.mailchannels.net]:587")
	if got := l.do("", "dns", "render", "shop.example"); !strings.Contains(got, `"v=spf1 include:relay.mailchannels.net -all"`) {
		t.Errorf("behind a smart host:\n%s", got)
	}
}

func TestConfigCheckRefusesWhatMakesRecordsOfNoUse(t *testing.T) {
	for setting, text := range map[string]string{
		`addresses = ["10.0.0.1"]`:                   "dns.addresses: DNS.Addrs: 10.0.0.1 is no address that others see",
		`addresses = ["x"]`:                          "dns.addresses: ",
		`dmarc = "garbage"`:                          `dns.dmarc: DNS.DMARC "garbage" is neither none nor a record`,
		`dmarc = "v=DMARC1; p=nothing"`:              "has no policy that anybody knows",
		`policy_host = "x y"`:                        "dns.policy_host: ",
		`autoconfig = "x y"`:                         "dns.autoconfig: ",
		`ttl = 4000000000`:                           "dns.ttl: ",
		`translated = ["10.0.0.2"]`:                  "is not local=public",
		`translated = ["10.0.0.2=2001:db8::1"]`:      "dns.translated: DNS.Translated: 10.0.0.2 cannot be seen as 2001:db8::1",
		"tls_reports = [\"mailto:x\\nx@y.example\"]": "dns.tls_reports: ",
	} {
		l := newLab(t, "[dns]", setting)
		if got := l.run("", "config", "check"); got.Status != 1 || !strings.Contains(got.Stdout+got.Stderr, text) {
			t.Errorf("%s: status %d, %q; want %q", setting, got.Status, got.Stdout+got.Stderr, text)
		}
	}
}

func TestTheRecordsFollowTheSettingsOfNATAndReports(t *testing.T) {
	l := newLab(t, "[dns]", `addresses = ["192.0.2.1"]`, `translated = ["10.0.0.2=192.0.2.2"]`, "ttl = 300", `tls_reports = ["https://r.example/tls"]`,
		`policy_host = "www.panel.example"`)
	l.do("", "site", "add", "shop")
	l.do("", "domain", "add", "shop.example", "--site", "shop", "--class", "alias")
	l.do("", "source", "set", "shop", "10.0.0.2")
	got := l.do("", "dns", "render", "shop.example")
	for _, want := range []string{`shop.example. 300 IN TXT "v=spf1 ip4:192.0.2.2 ~all"` + "\n", `"v=TLSRPTv1; rua=https://r.example/tls"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
	l.steps(nil, step{args: "dns policy", stdout: "version: STSv1\r\nmode: testing\r\nmx: mail.panel.example\r\nmax_age: 604800\r\n"})
	l.configure(`hostname = "mail.panel.example"`, "[dns]", `addresses = ["192.0.2.1"]`, `tls_reports = ["none"]`)
	l.steps(nil, step{args: "dns policy", status: 1, stderr: "there is no policy"})
	if got := l.do("", "dns", "render", "shop.example"); strings.Contains(got, "TLSRPT") {
		t.Errorf("without reports:\n%s", got)
	}
}

func TestAHostWithoutANameHasNoRecordsToPublish(t *testing.T) {
	l := newLab(t)
	l.configure(`hostname = "localhost.localdomain"`, `delivery.resolver = "127.0.0.1:9"`)
	l.do("", "site", "add", "shop")
	l.do("", "domain", "add", "shop.example", "--site", "shop")
	for _, command := range []string{"render", "check"} {
		l.steps(nil, step{args: "dns " + command + " shop.example", status: 1, stderr: "set hostname, and dns.addresses, in the configuration first"})
	}
}

func TestDNSRenderWarnsOfARecordThatFailsOurMail(t *testing.T) {
	l := newLab(t, "[dns]", `addresses = ["192.0.2.25"]`)
	l.do("", "site", "add", "shop")
	l.do("", "domain", "add", "shop.example", "--site", "shop")
	l.do("", "source", "set", "shop", "192.0.2.9")
	l.do(`{{fqdn .Domain}} 60 IN TXT "v=spf1 ip4:192.0.2.25 -all"`+"\n", "template", "set", "shop", "-")
	l.steps(nil, step{args: "dns render shop.example", stdout: `shop.example. 60 IN TXT "v=spf1 ip4:192.0.2.25 -all"` + "\n", stderr: "ip4:192.0.2.9 in it"})
}
