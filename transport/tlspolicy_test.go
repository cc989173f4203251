package transport_test

import (
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/transport"
)

func TestATLSPolicyIsReadOrRefused(t *testing.T) {
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: newAuthority(t).cert.Raw}))
	digest := strings.Repeat("aB", 32)
	for _, test := range []struct {
		words string
		want  string // of the error; "": none
	}{
		{"none", ""}, {"may", ""}, {"encrypt", ""}, {"dane", ""}, {"dane-only", ""}, {"verify", ""}, {"secure", ""},
		{"may min=1.3 ciphers=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ""},
		{"secure match=nexthop match=.x.test", ""},
		{"secure match=nexthop:x.test", ""},
		{"fingerprint match=" + digest + "|" + digest, ""},
		{"fingerprint match=" + strings.Repeat("ab:", 31) + "ab", ""},
		{"verify ca=" + strings.ReplaceAll(ca, " ", "\x00"), ""},
		{"Secure", `level "Secure" is not known`},
		{"", `level "" is not known`},
		{"fingerprint", `needs attribute "match"`},
		{"fingerprint match=abcd", "no SHA-256 digest"},
		{"may match=x.test", `no use for attribute "match"`},
		{"dane match=x.test", `no use for attribute "match"`},
		{"encrypt ca=x", `no use for attribute "ca"`},
		{"none min=1.2", `no use for attribute "min"`},
		{"secure ca=x", "no certificate"},
		{"secure match=a..b", "no name"},
		{"secure match=x.test:", "no name"},
		{"encrypt min=1.4", `"1.4" is not`},
		{"encrypt min=1.2 min=1.3", "given twice"},
		{"encrypt ciphers=HIGH", `"HIGH" is not known`},
		{"encrypt ciphers=TLS_AES_128_GCM_SHA256", "not known for TLS 1.2"},
		{"encrypt protocols=TLSv1", `attribute "protocols" is not known`},
		{"encrypt match", "not name=value"},
		{"secure match=", "not name=value"},
	} {
		words := strings.Split(test.words, " ")
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "\x00", " ")
		}
		_, err := transport.ParseTLSPolicy(words[0], words[1:]...)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%.60s: %v, want %q", test.words, err, test.want)
		}
	}
}

func TestAMessageLowersTLSButNeverForAPassword(t *testing.T) {
	secret := transport.Credential{User: "u", Password: "p"}
	for _, test := range []struct {
		level      transport.TLSLevel
		q          transport.Query
		credential transport.Credential
		want       transport.TLSLevel
		required   bool
	}{
		{"secure", transport.Query{TLSOptional: true}, transport.Credential{}, "may", false},
		{"dane-only", transport.Query{TLSOptional: true}, transport.Credential{}, "may", false},
		{"none", transport.Query{TLSOptional: true}, transport.Credential{}, "none", false},
		{"secure", transport.Query{TLSOptional: true}, secret, "secure", false},
		{"may", transport.Query{TLSOptional: true}, secret, "encrypt", false},
		{"secure", transport.Query{TLSOptional: true, RequireTLS: true}, transport.Credential{}, "secure", true},
		{"may", transport.Query{RequireTLS: true}, transport.Credential{}, "may", true},
	} {
		p := &transport.Planner{TLS: tlsIs(test.level), SmartHost: "[h]:587"}
		if test.credential != (transport.Credential{}) {
			p.Credentials = credentialIs(test.credential)
		}
		test.q.Recipient = "u@x.test"
		plan, err := p.Plan(t.Context(), test.q)
		if err != nil || plan.TLS != test.want || plan.TLSTerms.Required != test.required {
			t.Errorf("%s, %+v: %s, required %v, %v", test.level, test.q, plan.TLS, plan.TLSTerms.Required, err)
		}
	}
}

func TestTheTallyIsBoundedInDomainsHostsAndDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.Tally = &transport.TLSTally{}
		x := &exchanger{}
		l.at(t, "192.0.2.1", x)
		deliver := func(nexthop, host string) {
			l.zone.mx[nexthop] = []transport.MX{{Preference: 10, Host: host}}
			l.zone.addrs[host] = []string{"192.0.2.1"}
			d := mail("b@" + nexthop)
			d.Plan.Nexthop, d.Plan.TLS = nexthop, transport.TLSEncrypt
			l.deliver(d)
		}
		for i := range 30 {
			deliver("x.test", fmt.Sprintf("mx%d.x.test", i))
		}
		day := time.Now().UTC().Format(time.DateOnly)
		got := l.Tally.Counts()
		if len(got) != 1 || got[0].Day != day || got[0].Domain != "x.test" || got[0].Failure != 30 || len(got[0].Failures) != 21 {
			t.Errorf("%d policies: %+v", len(got), got)
		}
		for i := range 5010 {
			deliver(fmt.Sprintf("d%d.test", i), "mx.d.test")
		}
		if got = l.Tally.Counts(); len(got) != 5001 || got[0].Domain != "" || got[0].Failure != 11 {
			t.Errorf("%d policies, the first %+v", len(got), got[0])
		}
		time.Sleep(72 * time.Hour)
		deliver("x.test", "mx.x.test")
		if got = l.Tally.Counts(); len(got) != 1 || got[0].Failure != 1 {
			t.Errorf("three days later: %d policies", len(got))
		}
		l.Close()
	})
}
