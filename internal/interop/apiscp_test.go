package interop_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/panelmail/panelmail/internal/interop"
)

// records is a DNS server. Each domain has one exchanger, at the address given; at
// "SERVFAIL" there is no answer to be had.
func records(t *testing.T, exchangers map[string]string) (addr string) {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		name := strings.TrimSuffix(strings.ToLower(q.Question[0].Name), ".")
		at, known := exchangers[strings.TrimPrefix(name, "mx.")]
		head := dns.RR_Header{Name: q.Question[0].Name, Class: dns.ClassINET, Rrtype: q.Question[0].Qtype, Ttl: 60}
		switch kind := q.Question[0].Qtype; {
		case !known:
			m.Rcode = dns.RcodeNameError
		case at == "SERVFAIL":
			m.Rcode = dns.RcodeServerFailure
		case kind == dns.TypeMX && !strings.HasPrefix(name, "mx."):
			m.Answer = []dns.RR{&dns.MX{Hdr: head, Preference: 10, Mx: "mx." + name + "."}}
		case kind == dns.TypeA && strings.HasPrefix(name, "mx."):
			m.Answer = []dns.RR{&dns.A{Hdr: head, A: net.ParseIP(at)}}
		}
		w.WriteMsg(m)
	})}
	served := make(chan error, 1)
	started := make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	go func() { served <- s.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		s.Shutdown()
		<-served
	})
	return packets.LocalAddr().String()
}

// newAlternatives starts a server with ApisCP's example of a transport map, whose mail
// goes to exchangers of these addresses, all on one port.
func newAlternatives(t *testing.T, exchangers map[string]string) (p *panel, port string) {
	t.Helper()
	_, port, err := net.SplitHostPort(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	p = newPanel(t, `relay.networks = ["127.0.0.0/8"]`, `queue.backoff_min = "1h"`, `queue.backoff_max = "2h"`,
		`delivery.port = `+port, `delivery.resolver = "`+records(t, exchangers)+`"`, `delivery.mta_sts = false`)
	file, err := filepath.Abs("testdata/apiscp_transport.txt")
	if err != nil {
		t.Fatal(err)
	}
	p.do(t, "", "route", "import", file)
	return p, port
}

// A turnstile stands in front of a sink and counts the connections that are open at
// once.
type turnstile struct {
	mu         sync.Mutex
	open, most int
	ended      chan struct{} // closed and replaced when a connection ends
}

func (c *turnstile) listen(t *testing.T, addr string, s *interop.Sink) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.ended = make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			c.enter()
			all.Go(func() {
				defer c.leave()
				c.pass(client, s.Addr)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
}

// enter counts a connection, once one that was closed before it had time to be seen
// to be closed.
func (c *turnstile) enter() {
	patience := time.After(2 * time.Second)
	for waited := false; ; {
		c.mu.Lock()
		ended := c.ended
		if c.open == 0 || waited {
			c.open++
			c.most = max(c.most, c.open)
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		select {
		case <-ended:
		case <-patience:
			waited = true
		}
	}
}

func (c *turnstile) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	close(c.ended)
	c.ended = make(chan struct{})
}

// pass carries a connection until the client ends it.
func (c *turnstile) pass(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go io.Copy(client, server)
	io.Copy(server, client)
}

func (c *turnstile) seen() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

func TestTwoRelaylimDestinationsGoInParallelWithOneConnectionEach(t *testing.T) {
	p, port := newAlternatives(t, map[string]string{"yahoo.test": "127.0.0.2", "aol.test": "127.0.0.3"})
	p.do(t, "", "route", "set", "aol.test", "relaylim:")
	p.do(t, "", "source", "set", "@two.example", "127.0.0.7")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var both sync.WaitGroup // the first delivery to each ends when both are under way
	both.Add(2)
	arrived := make(chan struct{})
	go func() {
		both.Wait()
		close(arrived)
	}()
	domains := []string{"yahoo.test", "aol.test"}
	sinks, counts := make([]*interop.Sink, 2), make([]turnstile, 2)
	for i := range domains {
		var first sync.Once
		sinks[i] = runSink(t, &interop.Sink{Answer: func(verb, _ string) string {
			if verb == "." {
				first.Do(both.Done)
				select {
				case <-arrived:
				case <-ctx.Done():
					return "451 4.0.0 the other did not come"
				}
			}
			return ""
		}})
		counts[i].listen(t, fmt.Sprintf("127.0.0.%d:%s", i+2, port), sinks[i])
	}
	const each = 6
	for n := range each {
		for _, domain := range domains {
			p.submits(t, []string{"me@one.example", "me@two.example"}[n%2], fmt.Sprintf("u%d@%s", n, domain))
		}
	}
	for i, s := range sinks {
		arrive(t, s, each)
		if most := counts[i].seen(); most != 1 {
			t.Errorf("%s: %d connections at once", domains[i], most)
		}
	}
}

func TestAOneshotBounceHasTheRealReasonAndTroubleOfOursIsNone(t *testing.T) {
	p, port := newAlternatives(t, map[string]string{
		"grey.ru": "127.0.0.4", "deep.in.ru": "127.0.0.4", "closed.ru": "127.0.0.5", "lost.ru": "SERVFAIL",
	})
	runSink(t, &interop.Sink{Addr: "127.0.0.4:" + port, Answer: func(verb, _ string) string {
		if verb == "RCPT" {
			return "451 4.7.1 Greylisted, come back in 300 s"
		}
		return ""
	}})
	p.do(t, "", "source", "set", "@gone.example", "192.0.2.77")
	p.submits(t, "me@gone.example", "you@grey.ru")
	p.submits(t, "me@here.example", "you@lost.ru")
	for _, to := range []string{"you@grey.ru", "you@deep.in.ru", "you@closed.ru"} {
		p.submits(t, "me@here.example", to)
	}
	bounces := map[string]string{}
	for _, m := range arrive(t, p.sink, 3) {
		text := strings.ReplaceAll(string(m.Content()), "\r\n\t", " ")
		_, to, _ := strings.Cut(text, "Final-Recipient: rfc822; ")
		to, _, _ = strings.Cut(to, "\r\n")
		bounces[to] = text
		if m.From() != "" || m.To()[0] != "me@here.example" {
			t.Errorf("bounce from %q to %q", m.From(), m.To())
		}
	}
	for to, parts := range map[string][]string{
		"you@grey.ru":    {"Status: 4.7.1", "Diagnostic-Code: smtp; 451 4.7.1 Greylisted, come back in 300 s", "Remote-MTA: dns; mx.grey.ru"},
		"you@deep.in.ru": {"Status: 4.7.1"},
		"you@closed.ru":  {"Status: 4.4.1", "onnection refused"},
	} {
		for _, part := range parts {
			if !strings.Contains(bounces[to], part) {
				t.Errorf("%s: no %q in\n%s", to, part, bounces[to])
			}
		}
	}
	waiting := map[string]string{}
	for _, e := range p.deferred(t, 2) {
		waiting[e.Recipients[0].Address] = e.Recipients[0].Reason
	}
	for to, reason := range map[string]string{
		"you@grey.ru": "451 4.4.0 source address 192.0.2.77 is not on this machine", "you@lost.ru": "451 4.4.3",
	} {
		if !strings.HasPrefix(waiting[to], reason) {
			t.Errorf("%s waits for %q, want %q", to, waiting[to], reason)
		}
	}
	if n := p.sink.Count(); n != 3 || len(waiting) != 2 {
		t.Errorf("%d bounces, waiting %v", n, waiting)
	}
}

func TestMailForABadDomainAndThoseBelowIsRefused(t *testing.T) {
	p, _ := newAlternatives(t, nil)
	c := submitter(t, p.Addr)
	if _, err := c.Command("MAIL FROM:<me@here.example>"); err != nil {
		t.Fatal(err)
	}
	for _, domain := range []string{"bad.test", "sub.bad.test", "a.b.bad.test"} {
		_, err := c.Command("RCPT TO:<you@" + domain + ">")
		if want := "550 5.1.1 <you@" + domain + ">: Recipient address rejected: Bad domain!"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := c.Command("RCPT TO:<you@notbad.test>"); err != nil {
		t.Error(err)
	}
}
