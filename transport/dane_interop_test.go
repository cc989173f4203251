package transport_test

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/transport"
)

// A daneWorld is a validating resolver with a signed zone and one that is not, and an
// exchanger behind all names in them.
type daneWorld struct {
	*transport.SMTP
	x    *exchanger
	port int
}

// newDANEWorld makes one. What the exchanger proves is what the records of the host
// match say.
func newDANEWorld(t *testing.T, offers ...string) *daneWorld {
	t.Helper()
	interop.NeedTime(t)
	pair := authority{}.server(t, inADay(), "some.other.name")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	w := &daneWorld{
		x:    &exchanger{offers: offers, tls: &tls.Config{Certificates: []tls.Certificate{pair}}},
		port: listener.Addr().(*net.TCPAddr).Port,
	}
	if len(offers) == 0 {
		w.x.answer = func(line string) string {
			if line == "STARTTLS" {
				return "502 5.5.1 unknown"
			}
			return ""
		}
	}
	go w.x.serve(listener)

	key := fmt.Sprintf("%x", sha256.Sum256(leafOf(t, pair).RawSubjectPublicKeyInfo))
	other := strings.Repeat("ab", 32)
	var zone strings.Builder
	for host, data := range map[string]string{
		"match": "3 1 1 " + key, "mismatch": "3 1 1 " + other, "unusable": "1 1 1 " + key, "bogus": "3 1 1 " + other, "absent": "",
	} {
		fmt.Fprintf(&zone, "%s MX 10 mx.%[1]s\nmx.%[1]s A 127.0.0.1\n", host)
		if data != "" {
			fmt.Fprintf(&zone, "_%d._tcp.mx.%s TLSA %s\n", w.port, host, data)
		}
	}
	zone.WriteString("alias MX 10 mx.alias\nmx.alias CNAME mx.match\nitself A 127.0.0.1\n")
	fmt.Fprintf(&zone, "_%d._tcp.itself TLSA 3 1 1 %s\n", w.port, key)
	addr := interop.Unbound(t,
		interop.Zone{Name: "secure.test", Text: zone.String(), Signed: true, Spoil: func(text string) string {
			was := fmt.Sprintf("_%d._tcp.mx.bogus.secure.test.\t300\tIN\tTLSA\t3 1 1 %s", w.port, other)
			if !strings.Contains(text, was) {
				t.Fatalf("%q is not in the zone:\n%s", was, text)
			}
			return strings.Replace(text, was, strings.TrimSuffix(was, other)+key, 1)
		}},
		interop.Zone{Name: "plain.test", Text: "match MX 10 mx.match.secure.test.\nmismatch MX 10 mx.mismatch.secure.test.\n"})
	resolver := &transport.DNS{Server: addr}
	w.SMTP = &transport.SMTP{
		Hostname: "us.test", Port: uint16(w.port), AllowPrivate: true, Resolver: resolver, TLSA: resolver,
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// try delivers to a domain at a level and says what became of it.
func (w *daneWorld) try(t *testing.T, level transport.TLSLevel, domain string) string {
	t.Helper()
	d := mail("u@" + domain)
	d.Plan.Nexthop, d.Plan.TLS = domain, level
	o := w.Deliver(t.Context(), d)[0]
	switch {
	case o.Delivered() && o.TLS.Version == "":
		return "delivered in clear"
	case o.Delivered():
		return "delivered, " + string(o.TLS.Trust)
	case !o.Deferred():
		return "failed: " + o.Reply.Error()
	}
	text := strings.NewReplacer(fmt.Sprint(w.port), "PORT", "[127.0.0.1]", "").Replace(o.Reply.Error())
	return "deferred: " + text
}

func TestDANEAsADebianResolverValidatesIt(t *testing.T) {
	w := newDANEWorld(t, "STARTTLS")
	mismatch := "deferred: 451 4.7.5 Server certificate not verified: host mx.mismatch.secure.test: no TLSA record matches the certificate"
	lookup := "deferred: 451 4.7.5 TLSA lookup error for mx.bogus.secure.test:PORT: server answered SERVFAIL"
	for domain, want := range map[string]struct{ dane, only string }{
		"match.secure.test":    {"delivered, Verified", "delivered, Verified"},
		"alias.secure.test":    {"delivered, Verified", "delivered, Verified"},
		"itself.secure.test":   {"delivered, Verified", "delivered, Verified"}, // it has no MX, for certain
		"mismatch.secure.test": {mismatch, mismatch},
		"unusable.secure.test": {"delivered, Untrusted", "deferred: 451 4.7.5 TLSA records unusable for mx.unusable.secure.test:PORT"},
		"absent.secure.test":   {"delivered, Untrusted", "deferred: 451 4.7.5 no TLSA records found for mx.absent.secure.test:PORT"},
		"bogus.secure.test":    {lookup, lookup},
		"match.plain.test":     {"delivered, Trusted", "deferred: 451 4.7.5 non DNSSEC destination: the mail exchangers of match.plain.test are not secured"},
		"mismatch.plain.test":  {mismatch, "deferred: 451 4.7.5 non DNSSEC destination: the mail exchangers of mismatch.plain.test are not secured"},
	} {
		got := struct{ dane, only string }{w.try(t, transport.TLSDANE, domain), w.try(t, transport.TLSDANEOnly, domain)}
		if got != want {
			t.Errorf("%s:\n got %q\nwant %q", domain, got, want)
		}
	}
}

func TestDANESpeaksInClearOnlyWhereNothingIsPublished(t *testing.T) {
	w := newDANEWorld(t)
	for domain, want := range map[string]string{
		"match.secure.test":    "deferred: 451 4.7.4 TLS is required, but was not offered by host mx.match.secure.test",
		"unusable.secure.test": "deferred: 451 4.7.4 TLS is required, but was not offered by host mx.unusable.secure.test",
		"bogus.secure.test":    "deferred: 451 4.7.5 TLSA lookup error for mx.bogus.secure.test:PORT: server answered SERVFAIL",
		"match.plain.test":     "deferred: 451 4.7.4 TLS is required, but was not offered by host mx.match.secure.test",
		"absent.secure.test":   "delivered in clear",
	} {
		if got := w.try(t, transport.TLSDANE, domain); got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
	}
}
