package main

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
)

func TestAListenerMayHaveSeveralAddressesAndProxiesBeforeThem(t *testing.T) {
	l := newLab(t)
	l.configure(`hostname = "mail.panel.example"`, "[listen]", `smtp = ["127.0.0.1:0", "127.0.0.2:0"]`, `submission = ""`, `smtp_tls = "none"`,
		`greeting = "ESMTP ready"`, `proxy_networks = ["127.0.0.2"]`)
	s := l.serve()
	at := regexp.MustCompile(`smtp +(127\.0\.0\.[12]:\d+)`).FindAllStringSubmatch(s.said(), -1)
	if len(at) != 2 || strings.Contains(s.said(), "submission") {
		t.Fatalf("listens at %q:\n%s", at, s.said())
	}
	for _, tt := range []struct{ from, header, want string }{
		{"127.0.0.1", "", "ESMTP ready|250-PIPELINING"},
		{"127.0.0.2", "PROXY TCP4 192.0.2.7 192.0.2.25 40000 25\r\n", "ESMTP ready|250-PIPELINING"},
	} {
		for _, to := range at {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(tt.from)}}
			c, err := d.Dial("tcp", to[1])
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(c, "%sEHLO c.test\r\nRSET now\r\nQUIT\r\n", tt.header)
			var got strings.Builder
			for sc := bufio.NewScanner(c); sc.Scan(); {
				got.WriteString(sc.Text() + "\n")
			}
			c.Close()
			for _, want := range strings.Split(tt.want, "|") {
				if !strings.Contains(got.String(), want) || strings.Contains(got.String(), "STARTTLS") {
					t.Errorf("from %s to %s: %s", tt.from, to[1], got.String())
				}
			}
		}
	}
	s.says("unknown[192.0.2.7]")
	s.end()
}

func TestAddressesAreShownAsTheyAreWritten(t *testing.T) {
	l := newLab(t)
	l.configure("[listen]", `smtp = ["192.0.2.1:25", "[2001:db8::1]:25"]`, `submission = "192.0.2.1:587"`, "submissions = []")
	l.steps(nil, step{args: "config show --changed", stdout: `listen.smtp = ["192.0.2.1:25","[2001:db8::1]:25"]` + "\n" +
		`listen.submission = "192.0.2.1:587"` + "\n"})
	for _, tt := range []struct{ line, want string }{
		{"smtp = 25", ":2: listen.smtp: 25 is no address"},
		{`smtp = ["192.0.2.1:25", 25]`, ":2: listen.smtp: 25 is no address"},
		{`smtp = ["192.0.2.1:25", "nowhere"]`, ":2: listen.smtp: address nowhere: missing port"},
		{`smtp = ["192.0.2.1:25", "192.0.2.1:25"]`, ":2: listen.smtp: 192.0.2.1:25 is named twice"},
		{`smtp_tls = "secure"`, ":2: listen.smtp_tls: "},
		{`greeting = "gr\u00fc\u00df"`, ":2: listen.greeting: "},
		{`proxy_networks = ["x"]`, ":2: listen.proxy_networks: "},
	} {
		l.configure("[listen]", tt.line)
		got := l.run("", "config", "check")
		if said := got.Stdout + got.Stderr; !strings.Contains(said, tt.want) {
			t.Errorf("%s: no %q in %q", tt.line, tt.want, said)
		}
	}
}

func TestAnAddressIsReachedHere(t *testing.T) {
	for listen, want := range map[string]string{
		"": "", ":587": "localhost:587", "0.0.0.0:587": "localhost:587", "[::]:587": "localhost:587",
		"127.0.0.1:2587": "127.0.0.1:2587", "mail.example:587": "mail.example:587",
	} {
		var a addresses
		if listen != "" {
			a = addresses{listen, "192.0.2.1:1"}
		}
		if got := a.here(); got != want {
			t.Errorf("%q: %q, want %q", listen, got, want)
		}
	}
}
