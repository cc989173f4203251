package transport_test

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

// promising are hosts, by what they do about a message with REQUIRETLS,
// and what trusts their certificates.
func promising(t *testing.T) (hosts map[string]func() *exchanger, config *tls.Config) {
	ca := newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.server(t, inADay(), "x.test")}}
	both, starttls := []string{"STARTTLS", "REQUIRETLS"}, []string{"STARTTLS"}
	return map[string]func() *exchanger{
		"promises":         func() *exchanger { return &exchanger{offers: both, tls: server} },
		"does not promise": func() *exchanger { return &exchanger{offers: starttls, tls: server} },
		"has no TLS":       func() *exchanger { return &exchanger{} },
		"refuses TLS":      func() *exchanger { return &exchanger{offers: both, answer: on("STARTTLS", "502 5.5.1 no")} },
		"has no TLS now":   func() *exchanger { return &exchanger{answer: on("STARTTLS", "454 4.7.0 not now")} },
		"closes":           func() *exchanger { return &exchanger{answer: on("STARTTLS", "close")} },
		"breaks":           func() *exchanger { return &exchanger{offers: both, garbled: true} },
		"greets with 421":  func() *exchanger { return &exchanger{greeting: "421 4.3.2 later"} },
	}, &tls.Config{RootCAs: ca.pool()}
}

// A connection or a handshake that broke is no host's word, and one host's word is not
// that of the others.
func TestREQUIRETLSFailsOnlyWhenAllHostsHaveSaidNo(t *testing.T) {
	hosts, config := promising(t)
	for sequence, want := range map[string]string{
		"breaks":                                          "deferred 4.7.5",
		"closes":                                          "deferred 4.7.4",
		"has no TLS now":                                  "deferred 4.7.4",
		"has no TLS":                                      "failed 5.7.10",
		"refuses TLS":                                     "failed 5.7.10",
		"does not promise":                                "failed 5.7.30",
		"breaks, does not promise":                        "deferred 4.7.5",
		"does not promise, breaks":                        "deferred 4.7.5",
		"does not promise, greets with 421":               "deferred 4.3.2",
		"greets with 421, has no TLS":                     "deferred 4.3.2",
		"does not promise, nobody":                        "deferred 4.4.1",
		"nobody, does not promise":                        "deferred 4.4.1",
		"has no TLS, does not promise, promises":          "delivered 2.0.0",
		"does not promise, does not promise, has no TLS":  "failed 5.7.10",
		"does not promise, has no TLS, breaks":            "deferred 4.7.5",
		"has no TLS, refuses TLS, has no TLS, breaks":     "deferred 4.7.5",
		"has no TLS, has no TLS, has no TLS, has no TLS":  "failed 5.7.10",
		"has no TLS now, breaks, promises: not asked now": "deferred 4.7.4",
	} {
		t.Run(sequence, func(t *testing.T) {
			l := newLab(t)
			l.TLSConfig, l.zone.mx["x.test"] = config, nil
			for i, name := range strings.Split(sequence, ", ") {
				n := string(rune('1' + i))
				l.zone.mx["x.test"] = append(l.zone.mx["x.test"], transport.MX{Preference: uint16(i), Host: "mx" + n + ".x.test"})
				l.zone.addrs["mx"+n+".x.test"] = []string{"192.0.2." + n}
				if host := hosts[strings.TrimSuffix(name, ": not asked now")]; host != nil {
					l.at(t, "192.0.2."+n, host())
				}
			}
			d := mail("b@x.test")
			d.Envelope.RequireTLS = true
			o := l.Deliver(t.Context(), d)[0]
			got := strings.Fields(short(o))[0] + " " + o.Reply.Status()
			if got != want {
				t.Errorf("%s, want %s", short(o), want)
			}
		})
	}
}

func TestREQUIRETLSThatWasInterruptedHasNotFailed(t *testing.T) {
	hosts, config := promising(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := newLab(t)
	l.TLSConfig = config
	l.zone.mx["x.test"] = []transport.MX{{Preference: 1, Host: "mx.x.test"}, {Preference: 2, Host: "second.x.test"}}
	l.zone.addrs["second.x.test"] = []string{"192.0.2.2"}
	l.at(t, "192.0.2.1", hosts["does not promise"]())
	l.at(t, "192.0.2.2", &exchanger{answer: func(string) string { cancel(); return "hang" }})
	d := mail("b@x.test")
	d.Envelope.RequireTLS = true
	if o := l.Deliver(ctx, d)[0]; !o.NotTried() {
		t.Error(short(o))
	}
}

// tlsaAt has records by host and port.
type tlsaAt map[uint16]transport.TLSAFacts

func (at tlsaAt) TLSA(_ context.Context, _ string, port uint16) transport.TLSAFacts { return at[port] }

func TestTLSARecordsAreThoseOfThePort(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.server(t, inADay(), "mx.x.test")
	record := func(data []byte) transport.TLSAFacts {
		return transport.TLSAFacts{Status: transport.DNSSECSecure, Records: []transport.TLSA{{Usage: 3, Selector: 1, MatchingType: 1, Data: data}}}
	}
	l := newLab(t)
	l.TLSA = tlsaAt{25: record(digest256(nil)), 587: record(digest256(leafOf(t, cert).RawSubjectPublicKeyInfo))}
	for _, at := range []string{"192.0.2.1:25", "192.0.2.1:587"} {
		l.at(t, at, &exchanger{offers: []string{"STARTTLS"}, tls: &tls.Config{Certificates: []tls.Certificate{cert}}})
	}
	d := mail("b@x.test")
	d.Plan.Nexthop, d.Plan.TLS = "[mx.x.test]:25, [mx.x.test]:587", transport.TLSDANE
	if diff := cmp.Diff([]string{"delivered 250 2.0.0 taken by mx.x.test"}, l.deliver(d)); diff != "" {
		t.Error(diff)
	}
}
