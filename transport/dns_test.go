package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/panelmail/panelmail/transport"
)

// nameServer is a real DNS server on loopback. Its handler gets each query with its
// number and network.
func nameServer(t *testing.T, handle func(n int, network string, q *dns.Msg, m *dns.Msg)) *transport.DNS {
	t.Helper()
	packets, streams := bothPorts(t)
	var (
		mu sync.Mutex
		n  int
	)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		mu.Lock()
		defer mu.Unlock()
		n++
		m := new(dns.Msg).SetReply(q)
		handle(n, w.RemoteAddr().Network(), q, m)
		if m.Opcode != silent {
			w.WriteMsg(m)
		}
	})
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: streams, Handler: handler}} {
		go s.ActivateAndServe()
		t.Cleanup(func() { s.Shutdown() })
	}
	return &transport.DNS{Server: packets.LocalAddr().String(), Timeout: 200 * time.Millisecond}
}

// bothPorts listens on one port by UDP and TCP.
func bothPorts(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	var failed error
	for range 10 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		streams, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, streams
		}
		failed = err // somebody has that port
		packets.Close()
	}
	t.Fatal(failed)
	return nil, nil
}

// silent as an opcode makes the server say nothing.
const silent = -1

// records makes resource records of zone file lines.
func records(t *testing.T, lines ...string) []dns.RR {
	t.Helper()
	var all []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rr)
	}
	return all
}

func TestDNSAnswers(t *testing.T) {
	zone := map[string][]dns.RR{}
	for _, rr := range records(t,
		"x.test. MX 10 a.x.test.", "x.test. MX 5 b.x.test.", "null.test. MX 0 .",
		"a.x.test. A 192.0.2.1", "a.x.test. AAAA 2001:db8::1", "b.x.test. A 192.0.2.2",
		"alias.test. CNAME a.x.test.", "loop1.test. CNAME loop2.test.", "loop2.test. CNAME loop1.test.") {
		key := rr.Header().Name + dns.TypeToString[rr.Header().Rrtype]
		zone[key] = append(zone[key], rr)
	}
	server := nameServer(t, func(_ int, _ string, q, m *dns.Msg) {
		question := q.Question[0]
		m.Answer = zone[question.Name+dns.TypeToString[question.Qtype]]
		if m.Answer == nil {
			m.Answer = zone[question.Name+"CNAME"] // the rest is for us to ask
		}
		switch {
		case question.Name == "gone.test.":
			m.Rcode = dns.RcodeNameError
		case question.Name == "broken.test.", question.Name == "half.test." && question.Qtype == dns.TypeAAAA:
			m.Rcode = dns.RcodeServerFailure
		case question.Name == "refused.test.":
			m.Rcode = dns.RcodeRefused
		case question.Name == "half.test.":
			m.Answer = records(t, "half.test. A 192.0.2.9")
		case question.Name == "chain.test.":
			m.Answer = records(t, "chain.test. CNAME c2.test.", "c2.test. CNAME C3.test.", "c3.test. "+dns.TypeToString[question.Qtype]+" "+
				map[uint16]string{dns.TypeA: "192.0.2.3", dns.TypeAAAA: "2001:db8::3", dns.TypeMX: "1 m.test."}[question.Qtype], "evil.test. A 192.0.2.66")
		}
	})
	tests := map[string]struct {
		mx, addrs string
	}{
		"x.test":                          {"[{10 a.x.test. false} {5 b.x.test. false}]", "not found"},
		"X.TEST.":                         {"[{10 a.x.test. false} {5 b.x.test. false}]", "not found"},
		"null.test":                       {"[{0 . false}]", "not found"},
		"a.x.test":                        {"not found", "[192.0.2.1 2001:db8::1]"},
		"b.x.test":                        {"not found", "[192.0.2.2]"},
		"alias.test":                      {"not found", "[192.0.2.1 2001:db8::1]"},
		"chain.test":                      {"[{1 m.test. false}]", "[192.0.2.3 2001:db8::3]"},
		"loop1.test":                      {"temporary", "temporary"},
		"gone.test":                       {"not found", "not found"},
		"broken.test":                     {"temporary", "temporary"},
		"refused.test":                    {"temporary", "temporary"},
		"half.test":                       {"not found", "[192.0.2.9]"},
		strings.Repeat("x", 64) + ".test": {"not found", "not found"},
	}
	for name, want := range tests {
		mx, err := server.MX(context.Background(), name)
		if got := shown(mx, err); got != want.mx && name != "half.test" {
			t.Errorf("MX %s: %s, want %s", name, got, want.mx)
		}
		addrs, err := server.Addrs(context.Background(), name)
		if got := shown(addrs, err); got != want.addrs {
			t.Errorf("Addrs %s: %s, want %s", name, got, want.addrs)
		}
	}
}

// shown is an answer or the kind of an error.
func shown(answer any, err error) string {
	var e *net.DNSError
	switch {
	case err == nil:
		return fmt.Sprint(answer)
	case !errors.As(err, &e):
		return err.Error()
	case e.IsNotFound:
		return "not found"
	case e.IsTimeout:
		return "timeout"
	case e.IsTemporary:
		return "temporary"
	}
	return err.Error()
}

func TestDNSAsksOverTCPWhatDoesNotFit(t *testing.T) {
	var large []dns.RR
	for i := range 300 {
		large = append(large, records(t, fmt.Sprintf("x.test. MX %d mail-%d.x.test.", i, i))...)
	}
	server := nameServer(t, func(_ int, network string, q, m *dns.Msg) {
		if o := q.IsEdns0(); o == nil || o.UDPSize() != 1232 {
			t.Errorf("EDNS0: %v", o)
		}
		if m.Answer = large; network == "udp" {
			m.Truncate(1232)
		}
	})
	mx, err := server.MX(context.Background(), "x.test")
	if err != nil || len(mx) != 300 {
		t.Errorf("%d exchangers, %v", len(mx), err)
	}
}

func TestDNSAsksAgainAndTakesNoAnswerToAnotherQuestion(t *testing.T) {
	answer := records(t, "x.test. MX 10 a.test.")
	for name, first := range map[string]func(m *dns.Msg){
		"silence":  func(m *dns.Msg) { m.Opcode = silent },
		"SERVFAIL": func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure },
		"another question": func(m *dns.Msg) {
			m.Question[0].Name = "evil.test."
			m.Answer = records(t, "evil.test. MX 1 evil.test.", "x.test. MX 1 evil.test.")
		},
		"another type": func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT; m.Answer = records(t, "x.test. MX 1 evil.test.") },
		"another ID":   func(m *dns.Msg) { m.Id++; m.Answer = records(t, "x.test. MX 1 evil.test.") },
		"a query":      func(m *dns.Msg) { m.Response = false; m.Answer = records(t, "x.test. MX 1 evil.test.") },
	} {
		server := nameServer(t, func(n int, _ string, _, m *dns.Msg) {
			if m.Answer = answer; n == 1 {
				first(m)
			}
		})
		mx, err := server.MX(context.Background(), "x.test")
		if got := shown(mx, err); got != "[{10 a.test. false}]" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestDNSGivesUpInTime(t *testing.T) {
	server := nameServer(t, func(_ int, _ string, _, m *dns.Msg) { m.Opcode = silent })
	server.Timeout = 20 * time.Millisecond
	if mx, err := server.MX(context.Background(), "x.test"); shown(mx, err) != "timeout" {
		t.Errorf("%v, %v", mx, err)
	}
	server.Timeout = time.Hour
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if addrs, err := server.Addrs(ctx, "x.test"); shown(addrs, err) != "timeout" {
		t.Errorf("%v, %v", addrs, err)
	}
	nobody := &transport.DNS{Server: "127.0.0.1:1"}
	if mx, err := nobody.MX(context.Background(), "x.test"); shown(mx, err) != "temporary" {
		t.Errorf("%v, %v", mx, err)
	}
}

func TestDNSAddressesAreOfBothFamilies(t *testing.T) {
	server := nameServer(t, func(_ int, _ string, q, m *dns.Msg) {
		m.Answer = records(t, map[uint16]string{dns.TypeA: "x.test. A 192.0.2.1", dns.TypeAAAA: "x.test. AAAA ::ffff:192.0.2.2"}[q.Question[0].Qtype])
	})
	got, err := server.Addrs(context.Background(), "x.test")
	slices.SortFunc(got, netip.Addr.Compare)
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestDNSAsksOnceWhatItMayRemember(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	server := nameServer(t, func(_ int, _ string, q, m *dns.Msg) {
		mu.Lock()
		defer mu.Unlock()
		name := q.Question[0].Name
		asked[name]++
		switch name {
		case "short.test.":
			m.Answer = records(t, "short.test. 0 MX 1 a.test.")
		case "long.test.":
			m.Answer = records(t, "long.test. 300 MX 1 a.test.")
		case "gone.test.":
			m.Rcode = dns.RcodeNameError
		}
	})
	for range 3 {
		for _, name := range []string{"short.test", "long.test", "LONG.test.", "gone.test"} {
			server.MX(context.Background(), name)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(map[string]int{"short.test.": 3, "long.test.": 1, "gone.test.": 3}, asked); diff != "" {
		t.Error(diff)
	}
}
