package interop_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// newRelay starts a server that relays for loopback and sends nowhere until it
// is told. Commands go through the same helper as a panel's.
func newRelay(t *testing.T, sink *interop.Sink) *panel {
	t.Helper()
	interop.NeedTime(t)
	dir := openDir(t)
	binary, err := interop.BuildStandalone(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	p := &panel{sink: sink, dir: dir, Standalone: &interop.Standalone{
		Binary: binary, Dir: filepath.Join(dir, "state"),
		Settings: []string{`queue.backoff_min = "1h"`, `delivery.tls = "may"`},
	}}
	p.start(t)
	interop.StopAfter(t, p)
	return p
}

// submits hands in one message from a sender.
func (p *panel) submits(t *testing.T, from, to string) {
	t.Helper()
	c := submitter(t, p.Addr)
	if _, err := c.Send(from, []string{to}, interop.Stuffed([]byte("Subject: x\r\n\r\nhello\r\n"))); err != nil {
		t.Fatal(err)
	}
}

// waitsSaying waits until the queue shows a reason.
func (p *panel) waitsSaying(t *testing.T, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		queue := p.do(t, "", "queue", "list", "--json")
		if strings.Contains(queue, reason) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the queue does not say %q:\n%s", reason, queue)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestASmartHostWantsTheRightPassword(t *testing.T) {
	interop.NeedTime(t)
	interop.Need(t, "saslpasswd2")
	s := runSink(t, &interop.Sink{})
	host, _ := smartHost(t, s)
	p := newRelay(t, s)

	p.do(t, "wrong\n", "smarthost", "set", "default", bracketed(host.Addr), "panel")
	p.submits(t, "me@shop.example", "you@example.org")
	p.waitsSaying(t, "535 5.7.8")
	if n := s.Count(); n != 0 {
		t.Errorf("%d messages were relayed with a wrong password", n)
	}

	p.do(t, "right\n", "smarthost", "set", "default", bracketed(host.Addr), "panel")
	p.do(t, "", "queue", "retry", "--all")
	m := arrive(t, s, 1)[0]
	if m.From() != "me@shop.example" || m.To()[0] != "you@example.org" || !strings.Contains(string(m.Content()), "with ESMTPSA") {
		t.Errorf("arrived as %+v\n%s", m, m.Content())
	}
	if log := host.Log(); !strings.Contains(log, "sasl_username=panel") {
		t.Error("the smart host saw no login")
	}
}

func TestCredentialsAreNotSentInClear(t *testing.T) {
	var mu sync.Mutex
	var said []string
	s := runSink(t, &interop.Sink{Answer: func(verb, _ string) string {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, verb)
		return ""
	}})
	p := newRelay(t, s)
	p.do(t, "secret\n", "smarthost", "set", "default", bracketed(s.Addr), "panel")
	p.submits(t, "me@shop.example", "you@example.org")
	p.waitsSaying(t, "TLS")
	mu.Lock()
	defer mu.Unlock()
	if !slices.Contains(said, "EHLO") || slices.Contains(said, "AUTH") || slices.Contains(said, "MAIL") {
		t.Errorf("%q was said to a smart host without TLS", said)
	}
}

func TestARouteDoesNotChangeTheSendersSource(t *testing.T) {
	s := runSink(t, &interop.Sink{})
	p := newRelay(t, s)
	p.do(t, "", "source", "set", "@shop.example", "127.0.0.7", "--helo", "shop.panel.test")
	p.do(t, "", "source", "set", "@gone.example", "192.0.2.77", "--helo", "gone.panel.test")
	p.do(t, "", "route", "set", "example.org", "relaylim:"+bracketed(s.Addr))

	p.submits(t, "me@shop.example", "you@example.org")
	m := arrive(t, s, 1)[0]
	if !strings.HasPrefix(m.Peer, "127.0.0.7:") || m.HELO != "shop.panel.test" {
		t.Errorf("arrived from %s as %s", m.Peer, m.HELO)
	}
	p.submits(t, "me@gone.example", "you@example.org")
	p.waitsSaying(t, "192.0.2.77")
	if n := s.Count(); n != 1 {
		t.Errorf("%d messages left", n)
	}
}

// smartHost is a Postfix that relays to a sink for a login over TLS only.
func smartHost(t *testing.T, s *interop.Sink) (*interop.Postfix, *interop.Certificate) {
	t.Helper()
	cert, err := interop.NewCertificate("peer.test", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	p := &interop.Postfix{
		Certificate: &cert,
		Logins:      map[string]string{"panel": "right"},
		Main: []string{
			"relayhost = " + bracketed(s.Addr),
			"mynetworks =",
			"smtpd_tls_auth_only = yes",
			"smtpd_tls_security_level = encrypt",
			"smtpd_relay_restrictions = permit_sasl_authenticated, reject",
		},
	}
	interop.RunPostfix(t, p)
	return p, &cert
}
