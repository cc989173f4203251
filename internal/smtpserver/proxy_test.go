package smtpserver

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	proxyLine = "PROXY TCP4 203.0.113.7 198.51.100.1 40000 25\r\n"
	ownHeader = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00" // of a proxy that checks our health
)

func behindProxies(s *Server) {
	s.ProxyNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
}

func TestTheClientIsWhomAListedProxyNames(t *testing.T) {
	for _, tt := range []struct {
		name, from, send, client string
		want                     string // the reply to NOOP
	}{
		{"a listed proxy", "10.0.0.1", proxyLine, "203.0.113.7", "250 2.0.0 Ok"},
		{"an IPv4 client written as IPv6", "10.0.0.1", "PROXY TCP6 ::ffff:203.0.113.7 ::1 40000 25\r\n", "203.0.113.7", "250 2.0.0 Ok"},
		{"the proxy itself", "10.0.0.1", ownHeader, "10.0.0.1", "250 2.0.0 Ok"},
		{"a stranger without a header", "192.0.2.1", "", "192.0.2.1", "250 2.0.0 Ok"},
		{"a stranger with a header", "192.0.2.1", proxyLine, "192.0.2.1", "500 5.5.2 Error: command not recognized"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d, log := newServer()
				behindProxies(s)
				dial, _ := serve(t, s)
				p := dial(tt.from)
				p.send(tt.send)
				got := p.say("NOOP", "RCPT TO:<u@local.test>")
				if len(got) < 2 || got[0] != "220 mx.local.test ESMTP" || got[1] != tt.want {
					t.Errorf("heard %q", got)
				}
				if !strings.Contains(log.String(), `msg="command refused" client=`+tt.client+" ") {
					t.Errorf("log: %s", log)
				}
				if diff := cmp.Diff([]string{tt.client}, d.clients); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestAProxyThatDoesNotSayForWhomIsLeft(t *testing.T) {
	for _, tt := range []struct {
		send string
		took time.Duration
	}{
		{"EHLO client.test\r\n", 0}, {"PROXY TCP4 203.0.113.7", headerTimeout}, {"", headerTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, d, log := newServer()
			behindProxies(s)
			dial, _ := serve(t, s)
			p := dial("10.0.0.1")
			start := time.Now()
			p.send(tt.send)
			got := p.hear()
			if len(got) != 1 || time.Since(start) != tt.took {
				t.Errorf("%q: heard %q after %v", tt.send, got, time.Since(start))
			}
			if len(d.clients) > 0 {
				t.Errorf("%q: served %q", tt.send, d.clients)
			}
			if !strings.Contains(log.String(), `msg="no PROXY header" proxy=10.0.0.1 `) {
				t.Errorf("%q: log: %s", tt.send, log)
			}
		})
	}
}

// TestLimitsAreForTheClientsOfAProxy: it may pass on more than one client may have.
func TestLimitsAreForTheClientsOfAProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		behindProxies(s)
		s.MaxConnsPerIP, s.MailRate = 1, 1
		dial, _ := serve(t, s)
		var got []string
		for _, client := range []string{"203.0.113.7", "203.0.113.8", "203.0.113.7"} {
			p := dial("10.0.0.1")
			p.send(strings.Replace(proxyLine, "203.0.113.7", client, 1))
			got = append(got, last(p.say("EHLO client.test", "MAIL FROM:<>", "RSET", "MAIL FROM:<>")))
		}
		want := []string{
			"450 4.7.1 Error: too much mail from 203.0.113.7",
			"450 4.7.1 Error: too much mail from 203.0.113.8",
			"(reset)",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTLSBeginsAfterTheHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, _ := newServer()
		behindProxies(s)
		s.TLS, s.ImplicitTLS = tlsConfig(t), true
		dial, _ := serve(t, s)
		p := dial("10.0.0.1")
		p.send(proxyLine)
		p.startTLS()
		if got := p.say("QUIT"); got[0] != "220 mx.local.test ESMTP" || !slices.Equal(d.clients, []string{"203.0.113.7"}) {
			t.Errorf("heard %q, served %q", got, d.clients)
		}
	})
}

// TestAStoppingServerDoesNotWaitForHeaders has a proxy that says nothing.
func TestAStoppingServerDoesNotWaitForHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, log := newServer()
		behindProxies(s)
		dial, stop := serve(t, s)
		dial("10.0.0.1")
		synctest.Wait()
		if took := stop(); took != 0 || log.String() != "" {
			t.Errorf("took %v, log: %s", took, log)
		}
	})
}

// TestLookingWhetherWeAreThereIsNoError has the health checks of load balancers.
func TestLookingWhetherWeAreThereIsNoError(t *testing.T) {
	for _, tt := range []struct {
		name, from, send string
		with             func(*Server)
	}{
		{"port 25", "192.0.2.1", "", func(*Server) {}},
		{"port 465", "192.0.2.1", "", func(s *Server) { s.TLS, s.ImplicitTLS = tlsConfig(t), true }},
		{"a proxy", "10.0.0.1", "", behindProxies},
		{"a proxy with a header", "10.0.0.1", ownHeader, behindProxies},
		{"a proxy with a header, port 465", "10.0.0.1", ownHeader, func(s *Server) {
			behindProxies(s)
			s.TLS, s.ImplicitTLS = tlsConfig(t), true
		}},
	} {
		for _, end := range []string{"close", "reset", "half-close"} {
			t.Run(tt.name+"/"+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, d, log := newServer()
					tt.with(s)
					dial, stop := serve(t, s)
					p := dial(tt.from)
					p.send(tt.send)
					synctest.Wait()
					switch end {
					case "close":
						p.raw.Close()
					case "reset":
						p.raw.Reset()
					case "half-close":
						p.raw.CloseWrite()
					}
					synctest.Wait()
					if log.String() != "" || d.sessions != 0 {
						t.Errorf("%d sessions, log: %s", d.sessions, log)
					}
					stop()
				})
			})
		}
	}
}
