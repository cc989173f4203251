package transport_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/panelmail/panelmail/transport"
)

// A signed answer is what a validating resolver says to one question: records, a code
// and whether they were validated.
type signed struct {
	records []string
	rcode   int
	secure  bool
}

// validating is a validating resolver with the given answers, by name and type. Other
// names do not exist, securely below secure.test.
func validating(t *testing.T, answers map[string]signed) (server *transport.DNS, asked func() map[string]int) {
	t.Helper()
	var mu sync.Mutex
	seen := map[string]int{}
	server = nameServer(t, func(_ int, network string, q, m *dns.Msg) {
		key := q.Question[0].Name + " " + dns.TypeToString[q.Question[0].Qtype]
		mu.Lock()
		seen[key]++
		mu.Unlock()
		a, ok := answers[key]
		if !ok {
			a = signed{rcode: dns.RcodeNameError, secure: strings.HasSuffix(q.Question[0].Name, ".secure.test.")}
			m.Ns = records(t, "test. 60 SOA ns.test. root.test. 1 1 1 1 60")
		}
		m.Answer, m.Rcode = records(t, a.records...), a.rcode
		m.AuthenticatedData = a.secure && q.AuthenticatedData
		if network == "udp" {
			m.Truncate(1232)
		}
	})
	return server, func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

const digest = "8cb0fc6c527506a053f4f14c8464bebbd6dede2738d11468dd953d7d6a3021f1"

func TestTLSARecordsOfAHostAreFoundOrItIsSaidWhyNot(t *testing.T) {
	tlsa := func(owner string) []string { return []string{owner + " 300 TLSA 3 1 1 " + digest} }
	found := func(base string) string { return "secure " + base + " [3 1 1]" }
	for name, tt := range map[string]struct {
		answers map[string]signed
		want    string
	}{
		"a secure host": {map[string]signed{
			"mx.secure.test. A":             {records: []string{"mx.secure.test. A 192.0.2.1"}, secure: true},
			"_25._tcp.mx.secure.test. TLSA": {records: tlsa("_25._tcp.mx.secure.test."), secure: true},
		}, found("mx.secure.test")},
		"an IPv6 host": {map[string]signed{
			"mx.secure.test. AAAA":          {records: []string{"mx.secure.test. AAAA 2001:db8::1"}, secure: true},
			"_25._tcp.mx.secure.test. TLSA": {records: tlsa("_25._tcp.mx.secure.test."), secure: true},
		}, found("mx.secure.test")},
		"one family fails": {map[string]signed{
			"mx.secure.test. A":             {records: []string{"mx.secure.test. A 192.0.2.1"}, secure: true},
			"mx.secure.test. AAAA":          {rcode: dns.RcodeServerFailure},
			"_25._tcp.mx.secure.test. TLSA": {records: tlsa("_25._tcp.mx.secure.test."), secure: true},
		}, found("mx.secure.test")},
		"a secure host without": {map[string]signed{
			"mx.secure.test. A": {records: []string{"mx.secure.test. A 192.0.2.1"}, secure: true},
		}, "secure mx.secure.test []"},
		"an insecure host, whose records are not looked at": {map[string]signed{
			"mx.secure.test. A":             {records: []string{"mx.secure.test. A 192.0.2.1"}},
			"_25._tcp.mx.secure.test. TLSA": {records: tlsa("_25._tcp.mx.secure.test."), secure: true},
		}, "insecure  []"},
		"one family is insecure": {map[string]signed{
			"mx.secure.test. A":             {records: []string{"mx.secure.test. A 192.0.2.1"}, secure: true},
			"mx.secure.test. AAAA":          {records: []string{"mx.secure.test. AAAA 2001:db8::1"}},
			"_25._tcp.mx.secure.test. TLSA": {records: tlsa("_25._tcp.mx.secure.test."), secure: true},
		}, "insecure  []"},
		"insecure records": {map[string]signed{
			"mx.secure.test. A":             {records: []string{"mx.secure.test. A 192.0.2.1"}, secure: true},
			"_25._tcp.mx.secure.test. TLSA": {records: tlsa("_25._tcp.mx.secure.test.")},
		}, "insecure mx.secure.test []"},
		"an insecure denial": {map[string]signed{
			"mx.secure.test. A":             {records: []string{"mx.secure.test. A 192.0.2.1"}, secure: true},
			"_25._tcp.mx.secure.test. TLSA": {},
		}, "insecure mx.secure.test []"},
		"a failure": {map[string]signed{
			"mx.secure.test. A":             {records: []string{"mx.secure.test. A 192.0.2.1"}, secure: true},
			"_25._tcp.mx.secure.test. TLSA": {rcode: dns.RcodeServerFailure},
		}, "failed mx.secure.test [] server answered SERVFAIL"},
		"addresses that fail": {map[string]signed{
			"mx.secure.test. A":    {rcode: dns.RcodeServerFailure},
			"mx.secure.test. AAAA": {rcode: dns.RcodeServerFailure},
		}, "failed mx.secure.test [] server answered SERVFAIL"},
		"a secure alias": {map[string]signed{
			"mx.secure.test. A":               {records: []string{"mx.secure.test. CNAME real.secure.test.", "real.secure.test. A 192.0.2.1"}, secure: true},
			"_25._tcp.real.secure.test. TLSA": {records: tlsa("_25._tcp.real.secure.test."), secure: true},
			"_25._tcp.mx.secure.test. TLSA":   {rcode: dns.RcodeServerFailure},
		}, found("real.secure.test")},
		"a secure alias of a host without": {map[string]signed{
			"mx.secure.test. A":             {records: []string{"mx.secure.test. CNAME real.secure.test.", "real.secure.test. A 192.0.2.1"}, secure: true},
			"_25._tcp.mx.secure.test. TLSA": {records: tlsa("_25._tcp.mx.secure.test."), secure: true},
		}, found("mx.secure.test")},
		"a secure alias of a host whose records fail": {map[string]signed{
			"mx.secure.test. A":               {records: []string{"mx.secure.test. CNAME real.secure.test.", "real.secure.test. A 192.0.2.1"}, secure: true},
			"_25._tcp.real.secure.test. TLSA": {rcode: dns.RcodeServerFailure},
			"_25._tcp.mx.secure.test. TLSA":   {records: tlsa("_25._tcp.mx.secure.test."), secure: true},
		}, "failed real.secure.test [] server answered SERVFAIL"},
		"a secure alias of an insecure host": {map[string]signed{
			"mx.secure.test. A":             {records: []string{"mx.secure.test. CNAME real.plain.", "real.plain. A 192.0.2.1"}},
			"mx.secure.test. CNAME":         {records: []string{"mx.secure.test. CNAME real.plain."}, secure: true},
			"_25._tcp.mx.secure.test. TLSA": {records: tlsa("_25._tcp.mx.secure.test."), secure: true},
			"_25._tcp.real.plain. TLSA":     {records: tlsa("_25._tcp.real.plain."), secure: true},
		}, found("mx.secure.test")},
		"an insecure alias": {map[string]signed{
			"mx.secure.test. A":             {records: []string{"mx.secure.test. CNAME real.secure.test.", "real.secure.test. A 192.0.2.1"}},
			"mx.secure.test. CNAME":         {records: []string{"mx.secure.test. CNAME real.secure.test."}},
			"_25._tcp.mx.secure.test. TLSA": {records: tlsa("_25._tcp.mx.secure.test."), secure: true},
		}, "insecure  []"},
		"an alias that fails": {map[string]signed{
			"mx.secure.test. A":     {records: []string{"mx.secure.test. CNAME real.plain.", "real.plain. A 192.0.2.1"}},
			"mx.secure.test. CNAME": {rcode: dns.RcodeServerFailure},
		}, "failed mx.secure.test [] server answered SERVFAIL"},
		"records that are an alias": {map[string]signed{
			"mx.secure.test. A": {records: []string{"mx.secure.test. A 192.0.2.1"}, secure: true},
			"_25._tcp.mx.secure.test. TLSA": {records: append([]string{"_25._tcp.mx.secure.test. CNAME _dane.secure.test."},
				tlsa("_dane.secure.test.")...), secure: true},
		}, found("mx.secure.test")},
		"nothing to connect to": {nil, "insecure  []"},
	} {
		server, _ := validating(t, tt.answers)
		server.Tries = 1
		if got := shownTLSA(server.TLSA(t.Context(), "MX.secure.test", 25)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// shownTLSA is the facts in short.
func shownTLSA(f transport.TLSAFacts) string {
	var all []string
	for _, r := range f.Records {
		all = append(all, fmt.Sprint(r.Usage, r.Selector, r.MatchingType))
	}
	return strings.TrimSuffix(fmt.Sprintf("%s %s %v %s", f.Status, f.Base, all, f.Detail), " ")
}

func TestTLSARecordsKeepTheirData(t *testing.T) {
	server, _ := validating(t, map[string]signed{
		"mx.secure.test. A":              {records: []string{"mx.secure.test. A 192.0.2.1"}, secure: true},
		"_587._tcp.mx.secure.test. TLSA": {records: []string{"_587._tcp.mx.secure.test. TLSA 2 0 255 00ff10"}, secure: true},
	})
	want := transport.TLSAFacts{Status: transport.DNSSECSecure, Base: "mx.secure.test", Records: []transport.TLSA{
		{Usage: 2, Selector: 0, MatchingType: 255, Data: []byte{0, 0xff, 0x10}},
	}}
	if diff := cmp.Diff(want, server.TLSA(t.Context(), "mx.secure.test.", 587)); diff != "" {
		t.Error(diff)
	}
}

func TestTooManyTLSARecordsAreNoAnswer(t *testing.T) {
	many := func(n, octets int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("_25._tcp.mx.secure.test. TLSA 3 1 1 %04x%s", i, strings.Repeat("ab", octets-2)))
		}
		return all
	}
	for _, tt := range []struct {
		n, octets int
		want      transport.DNSSECStatus
	}{
		{64, 32, transport.DNSSECSecure},
		{65, 32, transport.DNSSECFailed},
		{64, 512, transport.DNSSECSecure},
		{64, 513, transport.DNSSECFailed},
	} {
		server, _ := validating(t, map[string]signed{
			"mx.secure.test. A":             {records: []string{"mx.secure.test. A 192.0.2.1"}, secure: true},
			"_25._tcp.mx.secure.test. TLSA": {records: many(tt.n, tt.octets), secure: true},
		})
		f := server.TLSA(t.Context(), "mx.secure.test", 25)
		if f.Status != tt.want || (f.Status == transport.DNSSECSecure) != (len(f.Records) == tt.n) {
			t.Errorf("%d records of %d octets: %s with %d records, %s", tt.n, tt.octets, f.Status, len(f.Records), f.Detail)
		}
	}
}

func TestTLSARecordsAreRememberedAndThatThereAreNone(t *testing.T) {
	server, asked := validating(t, map[string]signed{
		"mx.secure.test. A":             {records: []string{"mx.secure.test. 300 A 192.0.2.1"}, secure: true},
		"mx.secure.test. AAAA":          {records: []string{"mx.secure.test. 300 AAAA 2001:db8::1"}, secure: true},
		"_25._tcp.mx.secure.test. TLSA": {records: []string{"_25._tcp.mx.secure.test. 300 TLSA 3 1 1 " + digest}, secure: true},
	})
	for range 3 {
		for port, want := range map[uint16]string{25: "secure mx.secure.test [3 1 1]", 26: "secure mx.secure.test []"} {
			if got := shownTLSA(server.TLSA(t.Context(), "mx.secure.test", port)); got != want {
				t.Errorf("port %d: %s", port, got)
			}
		}
	}
	want := map[string]int{
		"mx.secure.test. A": 1, "mx.secure.test. AAAA": 1, "_25._tcp.mx.secure.test. TLSA": 1, "_26._tcp.mx.secure.test. TLSA": 1,
	}
	if diff := cmp.Diff(want, asked()); diff != "" {
		t.Error(diff)
	}
}

func TestATLSALookUpEndsInTimeAndSaysSo(t *testing.T) {
	server := nameServer(t, func(_ int, _ string, q, m *dns.Msg) {
		if q.Question[0].Qtype == dns.TypeTLSA {
			m.Opcode = silent
			return
		}
		m.Answer, m.AuthenticatedData = records(t, "mx.secure.test. A 192.0.2.1"), true
	})
	server.Timeout = 20 * time.Millisecond
	if got, want := shownTLSA(server.TLSA(t.Context(), "mx.secure.test", 25)), "failed mx.secure.test [] timed out"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f := server.TLSA(ctx, "mx.secure.test", 25); f.Status != transport.DNSSECFailed {
		t.Errorf("with no time: %+v", f)
	}
}

func TestExchangersAreSecureIfTheAnswerWasValidated(t *testing.T) {
	server, _ := validating(t, map[string]signed{
		"secure.test. MX":   {records: []string{"secure.test. MX 1 a.test."}, secure: true},
		"insecure.test. MX": {records: []string{"insecure.test. MX 1 a.test."}},
		"chain.test. MX":    {records: []string{"chain.test. CNAME half.test."}, secure: true},
		"half.test. MX":     {records: []string{"half.test. MX 1 a.test."}},
	})
	for domain, want := range map[string]bool{"secure.test": true, "insecure.test": false, "chain.test": false} {
		for range 2 { // the second is remembered
			mx, err := server.MX(t.Context(), domain)
			if err != nil || len(mx) != 1 || mx[0].Secure != want {
				t.Errorf("%s: %+v, %v", domain, mx, err)
			}
		}
	}
}
