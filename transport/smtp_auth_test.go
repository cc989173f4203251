package transport_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

// passwords is an exchanger that takes the logins of some, with PLAIN or XOAUTH2.
func passwords(t *testing.T, right ...string) *exchanger {
	x := &exchanger{offers: []string{"STARTTLS", "AUTH PLAIN XOAUTH2"}, tls: serverTLS(t)}
	x.answer = func(line string) string {
		blob, ok := strings.CutPrefix(line, "AUTH ")
		if !ok {
			return ""
		}
		said, err := base64.StdEncoding.DecodeString(strings.Fields(blob)[1])
		if err != nil {
			return "501 5.5.2 what?"
		}
		for _, password := range right {
			if strings.Contains(string(said), password) {
				return "235 2.7.0 welcome"
			}
		}
		return "535 5.7.8 wrong: " + string(said[len(said)-4:]) + " of " + blob
	}
	return x
}

// logins are the commands with which somebody tried to log in.
func logins(x *exchanger) (all []string) {
	for _, v := range x.seen() {
		for _, line := range v.Commands {
			if verb, rest, _ := strings.Cut(line, " "); verb == "AUTH" {
				all = append(all, strings.Fields(rest)[0])
			}
		}
	}
	return all
}

func TestTheBestMechanismOfAServerIsUsedAndNoneInClear(t *testing.T) {
	const incompatible = "deferred 451 4.7.0 SASL authentication failed: server mx.x.test[192.0.2.1] offered no compatible " +
		"authentication mechanisms for this type of connection security by mx.x.test, local"
	for name, test := range map[string]struct {
		offers string
		level  transport.TLSLevel
		clear  bool
		oauth  bool
		login  []string
		want   string
	}{
		"PLAIN before LOGIN":        {offers: "LOGIN CRAM-MD5 PLAIN", login: []string{"PLAIN"}, want: taken},
		"LOGIN before CRAM-MD5":     {offers: "CRAM-MD5 login", login: []string{"LOGIN"}, want: taken},
		"CRAM-MD5 for want of them": {offers: "GSSAPI CRAM-MD5", login: []string{"CRAM-MD5"}, want: taken},
		"nothing we know":           {offers: "GSSAPI NTLM", want: incompatible},
		"a token by XOAUTH2":        {offers: "PLAIN XOAUTH2", oauth: true, login: []string{"XOAUTH2"}, want: taken},
		"a token by nothing else":   {offers: "PLAIN LOGIN", oauth: true, want: incompatible},
		"in clear, at none":         {offers: "PLAIN CRAM-MD5", level: transport.TLSNone, clear: true, want: incompatible},
		"in clear, at may":          {offers: "PLAIN CRAM-MD5", level: transport.TLSMay, clear: true, want: incompatible},
		"in clear, though it could": {offers: "PLAIN CRAM-MD5", level: transport.TLSNone, want: incompatible},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			x := &exchanger{offers: []string{"AUTH " + test.offers}, tls: serverTLS(t)}
			if !test.clear {
				x.offers = append(x.offers, "STARTTLS")
			}
			x.answer = func(line string) string {
				switch line {
				case "AUTH CRAM-MD5":
					return "334 " + base64.StdEncoding.EncodeToString([]byte("<1@x.test>"))
				case "AUTH LOGIN " + base64.StdEncoding.EncodeToString([]byte("acct")):
					return "334 UGFzc3dvcmQ6"
				case base64.StdEncoding.EncodeToString([]byte("canary")):
					return "235 ok"
				}
				if digest, err := base64.StdEncoding.DecodeString(line); err == nil && strings.HasPrefix(string(digest), "acct ") {
					return "235 ok"
				}
				return ""
			}
			l.at(t, "192.0.2.1", x)
			d := mail("b@x.test")
			d.Plan.TLS = transport.TLSEncrypt
			if test.level != "" {
				d.Plan.TLS = test.level
			}
			d.Plan.Credential = transport.Credential{User: "acct", Password: "canary", OAuth: test.oauth}
			if diff := cmp.Diff([]string{test.want}, l.deliver(d)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.login, logins(x)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestATokenThatIsOutOfDateIsReplacedOnce(t *testing.T) {
	const old, fresh, wrong = "t0ken-of-yesterday", "t0ken-of-today", "t0ken-of-another"
	for name, test := range map[string]struct {
		tokens []string // one for each time they are asked
		asked  []string // with which token refused
		logins int
		want   string // the beginning of the outcome
	}{
		"good at once":          {[]string{fresh}, []string{""}, 1, taken},
		"good the second time":  {[]string{old, fresh}, []string{"", old}, 2, taken},
		"never good":            {[]string{old, wrong, fresh}, []string{"", old}, 2, "deferred 451 4.7.0 SASL authentication failed; server mx.x.test[192.0.2.1] said: 535 5.7.8 wrong"},
		"no other to be had":    {[]string{old, old}, []string{"", old}, 1, "deferred 451 4.7.0 SASL authentication failed; server"},
		"none to be had":        {[]string{""}, []string{""}, 0, "deferred 451 4.7.0 SASL authentication failed: no access token can be had by mx.x.test, local"},
		"one that is no token":  {[]string{"a\x01b"}, []string{""}, 0, "deferred 451 4.7.0 SASL authentication failed: no access token can be had by mx.x.test, local"},
		"nobody to ask for one": {nil, nil, 0, "deferred 451 4.7.0 SASL authentication failed: no access token can be had by mx.x.test, local"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			x := l.at(t, "192.0.2.1", passwords(t, fresh))
			var asked []string
			if test.tokens != nil {
				l.Tokens = transport.TokenerFunc(func(_ context.Context, r transport.TokenRequest) (string, error) {
					if r.User != "acct" || r.Host != "mx.x.test" {
						t.Errorf("asked for %+v", r)
					}
					asked = append(asked, r.Rejected)
					if token := test.tokens[len(asked)-1]; token != "" {
						return token, nil
					}
					return "", errors.New("canary")
				})
			}
			d := mail("b@x.test")
			d.Plan.TLS, d.Plan.Credential = transport.TLSEncrypt, transport.Credential{User: "acct", OAuth: true}
			got := l.deliver(d)
			if !strings.HasPrefix(got[0], test.want) || strings.Contains(got[0], "t0ken") {
				t.Errorf("%q, want %q", got, test.want)
			}
			if diff := cmp.Diff(test.asked, asked); diff != "" {
				t.Error(diff)
			}
			if n := len(logins(x)); n != test.logins {
				t.Errorf("%d logins, want %d", n, test.logins)
			}
		})
	}
}

func withLogin(user, password string) *transport.Delivery {
	d := mail("b@x.test")
	d.Plan.TLS, d.Plan.Credential = transport.TLSEncrypt, transport.Credential{User: user, Password: password}
	return d
}

func TestAServerIsNotHammeredWithAWrongPassword(t *testing.T) {
	passwords(t) // makes the certificate outside of the bubble
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.zone.mx["x.test"] = []transport.MX{{Preference: 10, Host: "mx.x.test."}, {Preference: 20, Host: "mx2.x.test."}}
		l.zone.addrs["mx2.x.test"] = []string{"192.0.2.2"}
		slow := passwords(t, "right-one")
		answer := slow.answer
		slow.answer = func(line string) string {
			if strings.HasPrefix(line, "AUTH ") {
				time.Sleep(time.Second) // so that all have come before the first is answered
			}
			return answer(line)
		}
		x, second := l.at(t, "192.0.2.1", slow), l.at(t, "192.0.2.2", passwords(t, "right-one"))
		flood := func(d func() *transport.Delivery) (delivered int) {
			var wg sync.WaitGroup
			var mu sync.Mutex
			for range 20 {
				wg.Go(func() {
					got := l.deliver(d())
					mu.Lock()
					defer mu.Unlock()
					switch {
					case got[0] == taken:
						delivered++
					case !strings.HasPrefix(got[0], "deferred 451 4.7.0 SASL authentication failed; server mx.x.test[192.0.2.1] said: 535 5.7.8 wrong"),
						!strings.HasSuffix(got[0], ", local"):
						t.Errorf("%q", got)
					}
				})
			}
			wg.Wait()
			return delivered
		}
		wrong := func() *transport.Delivery { return withLogin("acct", "wrong-one") }
		for _, step := range []struct {
			after  time.Duration
			logins int
		}{
			{0, 1}, {50 * time.Second, 1}, {11 * time.Second, 2}, {110 * time.Second, 2}, {11 * time.Second, 3},
		} {
			time.Sleep(step.after)
			if n := flood(wrong); n > 0 {
				t.Errorf("%d delivered", n)
			}
			if n := len(logins(x)); n != step.logins {
				t.Errorf("%v later: %d logins in all, want %d", step.after, n, step.logins)
			}
		}
		if n := len(logins(second)); n > 0 {
			t.Errorf("%d logins at the other host of the next hop", n)
		}
		for range 12 { // it never becomes longer than half an hour
			time.Sleep(30*time.Minute + time.Second)
			flood(wrong)
		}
		if n := len(logins(x)); n < 14 || n > 15 {
			t.Errorf("%d logins after six hours", n)
		}
		if n := flood(func() *transport.Delivery { return withLogin("other", "right-one") }); n != 20 {
			t.Errorf("%d of 20 delivered with another credential", n)
		}
		if n := flood(func() *transport.Delivery { return withLogin("acct", "right-one") }); n != 20 {
			t.Errorf("%d of 20 delivered with the right password", n)
		}
		l.Close()
	})
}

func TestALoginThatIsRefusedForNowIsTriedAtAnotherHost(t *testing.T) {
	l := newLab(t)
	l.zone.mx["x.test"] = []transport.MX{{Preference: 10, Host: "mx.x.test."}, {Preference: 20, Host: "mx2.x.test."}}
	l.zone.addrs["mx2.x.test"] = []string{"192.0.2.2"}
	busy := l.at(t, "192.0.2.1", &exchanger{offers: []string{"STARTTLS", "AUTH PLAIN"}, tls: serverTLS(t), answer: func(line string) string {
		if strings.HasPrefix(line, "AUTH ") {
			return "454 4.7.0 the directory is away"
		}
		return ""
	}})
	l.at(t, "192.0.2.2", passwords(t, "right-one"))
	for range 3 {
		if got := l.deliver(withLogin("acct", "right-one")); got[0] != "delivered 250 2.0.0 taken by mx2.x.test" {
			t.Errorf("%q", got)
		}
	}
	if n := len(logins(busy)); n != 1 {
		t.Errorf("%d logins at the host that is out of order", n)
	}
}
