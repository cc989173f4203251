package transport_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

// peers are exchangers by what they do about TLS.
func peers(t *testing.T) map[string]func() *exchanger {
	return map[string]func() *exchanger{
		"offers":         func() *exchanger { return &exchanger{offers: []string{"starttls"}, tls: serverTLS(t)} },
		"does not offer": func() *exchanger { return &exchanger{} },
		"answers 454": func() *exchanger {
			return &exchanger{offers: []string{"STARTTLS"}, answer: on("STARTTLS", "454 4.7.0 not now")}
		},
		"answers 502": func() *exchanger {
			return &exchanger{offers: []string{"STARTTLS"}, answer: on("STARTTLS", "502 5.5.1 no")}
		},
		"fails":  func() *exchanger { return &exchanger{offers: []string{"STARTTLS"}, garbled: true} },
		"closes": func() *exchanger { return &exchanger{offers: []string{"STARTTLS"}, answer: on("STARTTLS", "close")} },
		"injects": func() *exchanger {
			return &exchanger{offers: []string{"STARTTLS"}, answer: on("STARTTLS", "220 go\r\n250 injected")}
		},
	}
}

const (
	overTLS  = "delivered 250 2.0.0 taken by mx.x.test over TLS"
	inClear  = "delivered 250 2.0.0 taken by mx.x.test in clear"
	noShake  = "deferred 451 4.7.5 Cannot start TLS: handshake failure with host mx.x.test[192.0.2.1]: tls: first record does not look like a TLS handshake"
	notOffer = "deferred 451 4.7.4 TLS is required, but was not offered by host mx.x.test[192.0.2.1] by mx.x.test, destination"
	isClosed = "deferred 451 4.4.2 lost connection with mx.x.test[192.0.2.1] at STARTTLS: closed by the other side, destination"
	injected = "deferred 451 4.5.0 host mx.x.test[192.0.2.1] at STARTTLS: protocol error: a reply to nothing that was asked, destination"
)

func TestTLSLevelsAreKept(t *testing.T) {
	tests := []struct {
		level   transport.TLSLevel
		attempt int
		want    map[string]string
	}{
		{transport.TLSNone, 1, map[string]string{
			"offers": inClear, "does not offer": inClear, "answers 454": inClear, "answers 502": inClear,
			"fails": inClear, "closes": inClear, "injects": inClear,
		}},
		{transport.TLSMay, 1, map[string]string{
			"offers": overTLS, "does not offer": inClear, "answers 454": inClear, "answers 502": inClear,
			"fails": noShake, "closes": isClosed, "injects": injected,
		}},
		{transport.TLSMay, 2, map[string]string{
			"offers": overTLS, "does not offer": inClear, "answers 454": inClear, "answers 502": inClear,
			"fails": inClear, "closes": isClosed, "injects": injected,
		}},
		{transport.TLSEncrypt, 2, map[string]string{
			"offers": overTLS, "does not offer": notOffer,
			"answers 454": "deferred 454 4.7.0 TLS is required, but host mx.x.test[192.0.2.1] refused to start TLS: 454 4.7.0 not now by mx.x.test, destination",
			"answers 502": "deferred 451 4.7.4 TLS is required, but host mx.x.test[192.0.2.1] refused to start TLS: 502 5.5.1 no by mx.x.test, destination",
			"fails":       noShake + ", destination", "closes": isClosed, "injects": injected,
		}},
	}
	for _, test := range tests {
		for name, peer := range peers(t) {
			t.Run(fmt.Sprintf("%s, attempt %d, peer %s", test.level, test.attempt, name), func(t *testing.T) {
				l := newLab(t)
				x := l.at(t, "192.0.2.1", peer())
				d := mail("b@x.test")
				d.Plan.TLS, d.Attempt = test.level, test.attempt
				got := l.deliver(d)[0]
				if strings.HasPrefix(got, "delivered") {
					if x.seen()[len(x.seen())-1].TLS {
						got += " over TLS"
					} else {
						got += " in clear"
					}
				}
				if diff := cmp.Diff(test.want[name], got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestABrokenHandshakeGoesToTheNextHostFirst(t *testing.T) {
	l := newLab(t)
	l.zone.mx["x.test"] = []transport.MX{{Preference: 10, Host: "mx.x.test"}, {Preference: 20, Host: "second.x.test"}}
	l.zone.addrs["second.x.test"] = []string{"192.0.2.2"}
	l.at(t, "192.0.2.1", peers(t)["fails"]())
	l.at(t, "192.0.2.2", peers(t)["offers"]())
	if diff := cmp.Diff([]string{"delivered 250 2.0.0 taken by second.x.test"}, l.deliver(mail("b@x.test"))); diff != "" {
		t.Error(diff)
	}
}

func TestPort465IsTLSFromTheStartWhateverTheLevel(t *testing.T) {
	for _, level := range []transport.TLSLevel{transport.TLSNone, transport.TLSMay, transport.TLSEncrypt} {
		l := newLab(t)
		x := l.at(t, "192.0.2.1:465", &exchanger{tls: serverTLS(t), implicit: true})
		d := mail("b@x.test")
		d.Plan.Nexthop, d.Plan.TLS, d.Attempt = "[mx.x.test]:465", level, 2
		if diff := cmp.Diff([]string{"delivered 250 2.0.0 taken by mx.x.test"}, l.deliver(d)); diff != "" {
			t.Error(diff)
		}
		if !x.seen()[0].TLS {
			t.Error("in clear")
		}

		clear := newLab(t)
		x = clear.at(t, "192.0.2.1:465", &exchanger{})
		if got := clear.deliver(d)[0]; !strings.HasPrefix(got, "deferred 451 4.7.5") {
			t.Errorf("%s: %s", level, got)
		}
		if v := x.seen(); len(v) != 1 || len(v[0].Contents) > 0 {
			t.Errorf("%s: tried again, or in clear: %+v", level, v)
		}
	}
}

const password = "c4nary-passw0rd"

func TestCredentialsGoOverTLSAloneAndShowNowhere(t *testing.T) {
	const none = "SASL authentication failed: server mx.x.test[192.0.2.1] offered no compatible authentication mechanisms for this type of connection security by mx.x.test, local"
	tests := map[string]struct {
		level transport.TLSLevel
		x     *exchanger
		want  string
		auth  string // how the AUTH command begins
	}{
		"PLAIN":                {transport.TLSEncrypt, &exchanger{offers: []string{"AUTH login plain", "STARTTLS"}}, "delivered 250 2.0.0 taken by mx.x.test", "AUTH PLAIN "},
		"LOGIN":                {transport.TLSEncrypt, &exchanger{offers: []string{"AUTH CRAM-MD5 LOGIN", "STARTTLS"}, answer: login}, "delivered 250 2.0.0 taken by mx.x.test", "AUTH LOGIN "},
		"no mechanism of ours": {transport.TLSEncrypt, &exchanger{offers: []string{"AUTH DIGEST-MD5", "STARTTLS"}}, "deferred 451 4.7.0 " + none, ""},
		"no AUTH":              {transport.TLSEncrypt, &exchanger{offers: []string{"STARTTLS"}}, "deferred 451 4.7.0 " + none, ""},
		"no TLS at may":        {transport.TLSMay, &exchanger{offers: []string{"AUTH PLAIN"}}, "deferred 451 4.7.0 " + none, ""},
		"TLS refused at may":   {transport.TLSMay, &exchanger{offers: []string{"AUTH PLAIN", "STARTTLS"}, answer: on("STARTTLS", "454 no")}, "deferred 451 4.7.0 " + none, ""},
		"TLS broken at may":    {transport.TLSMay, &exchanger{offers: []string{"AUTH PLAIN", "STARTTLS"}, garbled: true}, noShake + ", destination", ""},
		"none":                 {transport.TLSNone, &exchanger{offers: []string{"AUTH PLAIN"}}, "deferred 451 4.7.0 " + none, ""},
		"refused, told back": {transport.TLSEncrypt, &exchanger{offers: []string{"AUTH PLAIN", "STARTTLS"}, answer: on("AUTH", "535 5.7.8 bad "+password)},
			"deferred 451 4.7.0 SASL authentication failed; server mx.x.test[192.0.2.1] said: 535 5.7.8 bad *** by mx.x.test, local", "AUTH PLAIN "},
		"later": {transport.TLSEncrypt, &exchanger{offers: []string{"AUTH PLAIN", "STARTTLS"}, answer: on("AUTH", "454 4.7.0 later")},
			"deferred 451 4.7.0 SASL authentication failed; server mx.x.test[192.0.2.1] said: 454 4.7.0 later by mx.x.test, local", "AUTH PLAIN "},
		"told back at RCPT": {transport.TLSEncrypt, &exchanger{offers: []string{"AUTH PLAIN", "STARTTLS"}, answer: on("RCPT", "550 no "+password)},
			"failed 550 no *** by mx.x.test", "AUTH PLAIN "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			var logged strings.Builder
			l.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
			test.x.tls = serverTLS(t)
			x := l.at(t, "192.0.2.1", test.x)
			d := mail("b@x.test")
			d.Attempt = 2
			d.Plan.TLS, d.Plan.Credential = test.level, transport.Credential{User: "u", Password: password}
			report := l.Deliver(context.Background(), d)
			if diff := cmp.Diff(test.want, short(report[0])); diff != "" {
				t.Error(diff)
			}
			if all := fmt.Sprintf("%+v %#v %s", report, report, logged.String()); strings.Contains(all, password) {
				t.Errorf("the password is shown: %s", all)
			}
			auth := ""
			for _, v := range x.seen() {
				for _, c := range v.Commands {
					if strings.HasPrefix(c, "AUTH") {
						auth = c
						if !v.TLS {
							t.Error("AUTH in clear")
						}
					}
				}
			}
			if (test.auth == "") != (auth == "") || !strings.HasPrefix(auth, test.auth) {
				t.Errorf("said %q", auth)
			}
		})
	}
}

// login answers AUTH LOGIN with its initial response.
func login(line string) string {
	switch {
	case strings.HasPrefix(line, "AUTH LOGIN "):
		return "334 UGFzc3dvcmQ6"
	case strings.HasPrefix(line, "YzRu"):
		return "235 ok"
	}
	return ""
}
