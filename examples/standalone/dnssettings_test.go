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
