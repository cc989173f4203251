package transport_test

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/panelmail/panelmail/transport"
)

func TestDNSAnswersAboutClients(t *testing.T) {
	var resolver transport.ClientResolver = nameServer(t, func(_ int, _ string, q, m *dns.Msg) {
		question := q.Question[0]
		switch question.Name + dns.TypeToString[question.Qtype] {
		case "7.113.0.203.in-addr.arpa.PTR":
			m.Answer = records(t, "7.113.0.203.in-addr.arpa. CNAME 7.sub.test.", "7.sub.test. PTR host.test.", "7.sub.test. PTR other.test.")
		case "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.PTR":
			m.Answer = records(t, question.Name+" PTR six.test.")
		case "2.0.0.127.rbl.test.A":
			m.Answer = records(t, question.Name+" A 127.0.0.2", question.Name+" A 127.0.0.4")
		case "2.0.0.127.rbl.test.TXT":
			m.Answer = records(t, question.Name+` TXT "listed: " "see x"`)
		case "broken.test.A", "broken.test.TXT":
			m.Rcode = dns.RcodeServerFailure
		default:
			m.Rcode = dns.RcodeNameError
		}
	})
	names := func(addr string) string {
		return shown(resolver.Names(t.Context(), netip.MustParseAddr(addr)))
	}
	text := func(name string) string { return shown(resolver.Text(t.Context(), name)) }
	ipv4 := func(name string) string { return shown(resolver.IPv4(t.Context(), name)) }
	for _, tt := range []struct{ question, got, want string }{
		{"names", names("203.0.113.7"), "[host.test. other.test.]"},
		{"names of a mapped address", names("::ffff:203.0.113.7"), "[host.test. other.test.]"},
		{"names in IPv6", names("2001:db8::1"), "[six.test.]"},
		{"no names", names("203.0.113.8"), "not found"},
		{"addresses", ipv4("2.0.0.127.rbl.test"), "[127.0.0.2 127.0.0.4]"},
		{"no addresses", ipv4("rbl.test"), "not found"},
		{"trouble", ipv4("broken.test"), "temporary"},
		{"text", text("2.0.0.127.rbl.test"), "[listed: see x]"},
		{"no text", text("rbl.test"), "not found"},
		{"trouble with text", text("broken.test"), "temporary"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.question, tt.got, tt.want)
		}
	}
}
