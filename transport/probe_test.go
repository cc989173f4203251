package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

func TestAProbeShowsTheDialogueAndSendsNothing(t *testing.T) {
	c, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(leaf)
	four := netip.MustParseAddr("127.0.0.7")
	offers := []string{"STARTTLS", "PIPELINING", "AUTH PLAIN LOGIN"}
	over := []string{"EHLO out.test", "STARTTLS", "EHLO out.test", "QUIT"}
	for name, test := range map[string]struct {
		next     string
		x        *exchanger
		roots    *x509.CertPool
		missing  bool
		commands []string
		want     transport.Probe // but for From, HELO, Extensions, the transcript and the certificate
	}{
		"with a certificate of its name": {next: "[mx.test]", x: &exchanger{offers: offers}, roots: trusted, commands: over,
			want: transport.Probe{Host: "mx.test", Addr: "192.0.2.1:25", TLS: &transport.ProbeTLS{Version: "TLS 1.3", Verified: true}}},
		"with one that nobody trusts": {next: "[mx.test]", x: &exchanger{offers: offers}, commands: over,
			want: transport.Probe{Host: "mx.test", Addr: "192.0.2.1:25", TLS: &transport.ProbeTLS{Version: "TLS 1.3", Problem: "unknown authority"}}},
		"with one for another name": {next: "[mx.x.test]", x: &exchanger{offers: offers}, roots: trusted, commands: over,
			want: transport.Probe{Host: "mx.x.test", Addr: "192.0.2.1:25", TLS: &transport.ProbeTLS{Version: "TLS 1.3", Problem: "not mx.x.test"}}},
		"by its exchangers": {next: "x.test", x: &exchanger{offers: offers}, roots: trusted, commands: over,
			want: transport.Probe{Host: "mx.x.test", Addr: "192.0.2.1:25", TLS: &transport.ProbeTLS{Version: "TLS 1.3", Problem: "not mx.x.test"}}},
		"in clear": {next: "[mx.test]", x: &exchanger{}, commands: []string{"EHLO out.test", "QUIT"},
			want: transport.Probe{Host: "mx.test", Addr: "192.0.2.1:25"}},
		"that breaks in the handshake": {next: "[mx.test]", x: &exchanger{offers: offers, garbled: true}, commands: []string{"EHLO out.test", "STARTTLS"},
			want: transport.Probe{Host: "mx.test", Addr: "192.0.2.1:25", Problem: "Cannot start TLS"}},
		"that does not want us": {next: "[mx.test]", x: &exchanger{greeting: "554 5.7.1 listed"}, commands: []string{"QUIT"},
			want: transport.Probe{Host: "mx.test", Addr: "192.0.2.1:25", Problem: "listed"}},
		"from a source that is not here": {next: "[mx.test]", x: &exchanger{}, missing: true,
			want: transport.Probe{Host: "mx.test", Addr: "192.0.2.1:25", Problem: "source address 127.0.0.7 is not on this machine"}},
		"at another port": {next: "[mx.test]:26", x: &exchanger{},
			want: transport.Probe{Host: "mx.test", Addr: "192.0.2.1:26", Problem: "connect to mx.test[192.0.2.1]:26: connection refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.zone.addrs["mx.test"] = []string{"192.0.2.1"}
			l.TLSConfig = &tls.Config{RootCAs: test.roots}
			if test.roots == nil {
				l.TLSConfig.RootCAs = x509.NewCertPool()
			}
			if !test.missing {
				l.net.AddLocal(four)
			}
			test.x.tls = serverTLS(t)
			x := l.at(t, "192.0.2.1", test.x)
			all, err := l.Probe(context.Background(), test.next, transport.Source{IPv4: four, HELO: "out.test"})
			if err != nil || len(all) != 1 {
				t.Fatalf("%+v, %v", all, err)
			}
			got := all[0]
			if got.From != four.String() || got.HELO != "out.test" {
				t.Errorf("from %s as %s", got.From, got.HELO)
			}
			if over := test.want.TLS != nil; over && (!strings.Contains(got.Transcript, "S: 220 mx.test ESMTP\nC: EHLO out.test") ||
				!slices.Equal(got.Extensions, []string{"AUTH PLAIN LOGIN", "HELP", "PIPELINING", "STARTTLS"}) ||
				len(got.TLS.Chain) != 1 || got.TLS.Chain[0].Names[0] != "mx.test" || len(got.TLS.Chain[0].SHA256) != 64 || got.TLS.Cipher == "") {
				t.Errorf("%+v %+v", got, got.TLS)
			}
			if !strings.Contains(got.Problem, test.want.Problem) || (got.Problem == "") != (test.want.Problem == "") {
				t.Errorf("problem %q, want %q", got.Problem, test.want.Problem)
			}
			if w := test.want.TLS; w != nil && got.TLS != nil {
				if !strings.Contains(got.TLS.Problem, w.Problem) || w.Verified != got.TLS.Verified || got.TLS.Version != w.Version {
					t.Errorf("%+v, want %+v", got.TLS, w)
				}
			} else if (w == nil) != (got.TLS == nil) {
				t.Errorf("TLS %+v, want %+v", got.TLS, w)
			}
			if got.Host != test.want.Host || got.Addr != test.want.Addr {
				t.Errorf("%s at %s", got.Host, got.Addr)
			}
			l.Close()
			var said []string
			for _, v := range x.seen() {
				said = append(said, v.Commands...)
			}
			for _, line := range said {
				if !slices.Contains(test.commands, line) {
					t.Errorf("it said %q", line)
				}
			}
			if len(test.commands) > 1 {
				if diff := cmp.Diff(test.commands[:2], said[:min(2, len(said))]); diff != "" && len(test.commands) > 2 {
					t.Error(diff)
				}
			}
		})
	}
}

func TestAProbeOfNobodySaysWhy(t *testing.T) {
	l := newLab(t)
	for next, want := range map[string]string{
		"[none.test]": "Host not found", "[mx.x.test": "misplaced bracket", "x.test": "",
	} {
		_, err := l.Probe(context.Background(), next, transport.Source{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", next, err, want)
		}
	}
}
