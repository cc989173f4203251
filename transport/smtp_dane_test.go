package transport_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

// demanding is a delivery to mx.x.test, which shows a certificate, under a plan, with
// what is published. It returns how the delivery ended and the tally.
func demanding(t *testing.T, cert tls.Certificate, roots *x509.CertPool, mxSecure bool, p published, change func(*transport.Delivery)) (string, []transport.TLSCount) {
	t.Helper()
	l := newLab(t)
	l.TLSConfig, l.TLSA, l.STS, l.Tally = &tls.Config{RootCAs: roots}, p, p, &transport.TLSTally{}
	l.zone.mx["x.test"][0].Secure = mxSecure
	l.at(t, "192.0.2.1", &exchanger{offers: []string{"STARTTLS"}, tls: &tls.Config{Certificates: []tls.Certificate{cert}}})
	d := mail("b@x.test")
	change(d)
	o := l.Deliver(t.Context(), d)[0]
	if o.Delivered() {
		return "delivered " + string(o.TLS.Trust), l.Tally.Counts()
	}
	return short(o), l.Tally.Counts()
}

func digest256(b []byte) []byte { d := sha256.Sum256(b); return d[:] }
func digest512(b []byte) []byte { d := sha512.Sum512(b); return d[:] }

func TestTLSARecordsDecideAsTheyAreUsable(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	cert := ca.server(t, inADay(), "mx.x.test")
	old := ca.server(t, time.Now().Add(-time.Hour), "mx.x.test")
	stray := ca.server(t, inADay(), "stray.test")
	leaf, oldLeaf := leafOf(t, cert), leafOf(t, old)
	const (
		verified = "delivered Verified"
		no       = "deferred 451 4.7.5 Server certificate not verified: host mx.x.test[192.0.2.1]: "
		none     = no + "no TLSA record matches the certificate by mx.x.test"
	)
	tests := map[string]struct {
		cert    tls.Certificate
		records []transport.TLSA
		want    string
	}{
		"3 1 1":                            {cert, []transport.TLSA{{Usage: 3, Selector: 1, MatchingType: 1, Data: digest256(leaf.RawSubjectPublicKeyInfo)}}, verified},
		"3 0 1":                            {cert, []transport.TLSA{{Usage: 3, Selector: 0, MatchingType: 1, Data: digest256(leaf.Raw)}}, verified},
		"3 0 2":                            {cert, []transport.TLSA{{Usage: 3, Selector: 0, MatchingType: 2, Data: digest512(leaf.Raw)}}, verified},
		"3 1 0":                            {cert, []transport.TLSA{{Usage: 3, Selector: 1, MatchingType: 0, Data: leaf.RawSubjectPublicKeyInfo}}, verified},
		"3 1 1 of one that has expired":    {old, []transport.TLSA{{Usage: 3, Selector: 1, MatchingType: 1, Data: digest256(oldLeaf.RawSubjectPublicKeyInfo)}}, verified},
		"2 0 1":                            {cert, []transport.TLSA{{Usage: 2, Selector: 0, MatchingType: 1, Data: digest256(ca.cert.Raw)}}, verified},
		"2 1 2":                            {cert, []transport.TLSA{{Usage: 2, Selector: 1, MatchingType: 2, Data: digest512(ca.cert.RawSubjectPublicKeyInfo)}}, verified},
		"2 0 0":                            {cert, []transport.TLSA{{Usage: 2, Selector: 0, MatchingType: 0, Data: ca.cert.Raw}}, verified},
		"2 0 1 of another authority":       {cert, []transport.TLSA{{Usage: 2, Selector: 0, MatchingType: 1, Data: digest256(other.cert.Raw)}}, none},
		"2 0 0 of another authority":       {cert, []transport.TLSA{{Usage: 2, Selector: 0, MatchingType: 0, Data: other.cert.Raw}}, no + "the certificate is signed by nobody who is trusted by mx.x.test"},
		"2 0 1 and a wrong name":           {stray, []transport.TLSA{{Usage: 2, Selector: 0, MatchingType: 1, Data: digest256(ca.cert.Raw)}}, no + "the certificate is for stray.test, and not for mx.x.test, x.test by mx.x.test"},
		"2 0 1 and one that has expired":   {old, []transport.TLSA{{Usage: 2, Selector: 0, MatchingType: 1, Data: digest256(ca.cert.Raw)}}, no + "the certificate has expired or is not valid yet by mx.x.test"},
		"the certificate as an authority":  {cert, []transport.TLSA{{Usage: 2, Selector: 0, MatchingType: 1, Data: digest256(leaf.Raw)}}, none},
		"one of two":                       {cert, []transport.TLSA{{Usage: 3, Selector: 1, MatchingType: 1, Data: digest256(nil)}, {Usage: 3, Selector: 1, MatchingType: 1, Data: digest256(leaf.RawSubjectPublicKeyInfo)}}, verified},
		"the weaker digest of two":         {cert, []transport.TLSA{{Usage: 3, Selector: 1, MatchingType: 2, Data: digest512(nil)}, {Usage: 3, Selector: 1, MatchingType: 1, Data: digest256(leaf.RawSubjectPublicKeyInfo)}}, none},
		"usages of the web":                {cert, []transport.TLSA{{Usage: 1, Selector: 1, MatchingType: 1, Data: digest256(leaf.RawSubjectPublicKeyInfo)}, {Usage: 0, Selector: 0, MatchingType: 1, Data: digest256(ca.cert.Raw)}}, "delivered Untrusted"},
		"a digest of another length":       {cert, []transport.TLSA{{Usage: 3, Selector: 1, MatchingType: 1, Data: []byte("short")}}, "delivered Untrusted"},
		"a selector nobody knows":          {cert, []transport.TLSA{{Usage: 3, Selector: 2, MatchingType: 1, Data: digest256(nil)}}, "delivered Untrusted"},
		"what does not parse":              {cert, []transport.TLSA{{Usage: 2, Selector: 0, MatchingType: 0, Data: []byte("x")}}, "delivered Untrusted"},
		"an unusable one and a usable one": {cert, []transport.TLSA{{Usage: 1}, {Usage: 3, Selector: 1, MatchingType: 1, Data: digest256(nil)}}, none},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := published{tlsa: transport.TLSAFacts{Status: transport.DNSSECSecure, Base: "mx.x.test", Records: test.records}}
			got, _ := demanding(t, test.cert, other.pool(), true, p, func(d *transport.Delivery) { d.Plan.TLS = transport.TLSDANE })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDANEGoesByWhatTheDNSVouchesFor(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.server(t, inADay(), "mx.x.test")
	match := []transport.TLSA{{Usage: 3, Selector: 1, MatchingType: 1, Data: digest256(leafOf(t, cert).RawSubjectPublicKeyInfo)}}
	miss := []transport.TLSA{{Usage: 3, Selector: 1, MatchingType: 1, Data: digest256(nil)}}
	const deferred = "deferred 451 4.7.5 "
	tests := map[string]struct {
		level    transport.TLSLevel
		mxSecure bool
		tlsa     transport.TLSAFacts
		want     string
		kind     transport.TLSFailureKind
	}{
		"match":                              {"dane", true, transport.TLSAFacts{Status: "secure", Records: match}, "delivered Verified", ""},
		"match, and the MX is nobody's word": {"dane", false, transport.TLSAFacts{Status: "secure", Records: match}, "delivered Trusted", ""},
		"records without AD":                 {"dane", true, transport.TLSAFacts{Status: "insecure", Records: miss}, "delivered Untrusted", ""},
		"none":                               {"dane", true, transport.TLSAFacts{Status: "secure"}, "delivered Untrusted", ""},
		"failed":                             {"dane", true, transport.TLSAFacts{Status: "failed", Detail: "SERVFAIL"}, deferred + "TLSA lookup error for mx.x.test:25: SERVFAIL", "dnssec-invalid"},
		"no resolver":                        {"dane", true, transport.TLSAFacts{}, "delivered Untrusted", ""},
		"only: match":                        {"dane-only", true, transport.TLSAFacts{Status: "secure", Records: match}, "delivered Verified", ""},
		"only: MX is nobody's word":          {"dane-only", false, transport.TLSAFacts{Status: "secure", Records: match}, deferred + "non DNSSEC destination: the mail exchangers of x.test are not secured", "dane-required"},
		"only: none":                         {"dane-only", true, transport.TLSAFacts{Status: "secure"}, deferred + "no TLSA records found for mx.x.test:25", "dane-required"},
		"only: records without AD":           {"dane-only", true, transport.TLSAFacts{Status: "insecure", Records: match}, deferred + "no TLSA records found for mx.x.test:25", "dane-required"},
		"only: unusable":                     {"dane-only", true, transport.TLSAFacts{Status: "secure", Records: []transport.TLSA{{Usage: 1}}}, deferred + "TLSA records unusable for mx.x.test:25", "tlsa-invalid"},
		"only: no resolver":                  {"dane-only", true, transport.TLSAFacts{}, deferred + "client TLS configuration problem: level dane-only, and no resolver whose validation is trusted, local", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, counts := demanding(t, cert, newAuthority(t).pool(), test.mxSecure, published{tlsa: test.tlsa}, func(d *transport.Delivery) { d.Plan.TLS = test.level })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			var kind transport.TLSFailureKind
			for _, c := range counts {
				for _, f := range c.Failures {
					kind = f.Kind
				}
			}
			if kind != test.kind {
				t.Errorf("counted %q, want %q: %+v", kind, test.kind, counts)
			}
		})
	}
}

func TestAPolicyOfMTASTSIsEnforcedOrOnlyCounted(t *testing.T) {
	ca := newAuthority(t)
	fine, stray := ca.server(t, inADay(), "mx.x.test"), ca.server(t, inADay(), "stray.test")
	const mismatch = "the certificate is for stray.test, and not for mx.x.test"
	tests := map[string]struct {
		cert tls.Certificate
		sts  transport.STSFacts
		want string
		kind transport.TLSFailureKind
	}{
		"enforce":                  {fine, transport.STSFacts{Mode: "enforce", MX: []string{"MX.x.test"}}, "delivered Verified", ""},
		"enforce, by a wildcard":   {fine, transport.STSFacts{Mode: "enforce", MX: []string{"*.x.test"}}, "delivered Verified", ""},
		"enforce, one label alone": {fine, transport.STSFacts{Mode: "enforce", MX: []string{"*.test", "x.test"}}, "deferred 451 4.7.5 the MTA-STS policy of x.test does not name host mx.x.test", "validation-failure"},
		"enforce, wrong name":      {stray, transport.STSFacts{Mode: "enforce", MX: []string{"mx.x.test"}}, "deferred 451 4.7.5 Server certificate not verified: host mx.x.test[192.0.2.1]: " + mismatch + " by mx.x.test", "certificate-host-mismatch"},
		"testing":                  {fine, transport.STSFacts{Mode: "testing", MX: []string{"mx.x.test"}}, "delivered Trusted", ""},
		"testing, wrong name":      {stray, transport.STSFacts{Mode: "testing", MX: []string{"mx.x.test"}}, "delivered Trusted", "certificate-host-mismatch"},
		"testing, wrong host":      {fine, transport.STSFacts{Mode: "testing", MX: []string{"y.test"}}, "delivered Trusted", "validation-failure"},
		"none":                     {stray, transport.STSFacts{Mode: "none"}, "delivered Trusted", ""},
		"it cannot be had":         {stray, transport.STSFacts{Trouble: "sts-webpki-invalid"}, "delivered Trusted", "sts-webpki-invalid"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, counts := demanding(t, test.cert, ca.pool(), false, published{sts: test.sts}, func(d *transport.Delivery) { d.Plan.TLSTerms.Published = true })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			var kind transport.TLSFailureKind
			for _, c := range counts {
				for _, f := range c.Failures {
					kind = f.Kind
					if c.Kind != transport.STSTLSPolicy || c.Domain != "x.test" {
						t.Errorf("counted for %s of %s", c.Kind, c.Domain)
					}
				}
			}
			if kind != test.kind {
				t.Errorf("counted %q, want %q: %+v", kind, test.kind, counts)
			}
		})
	}
}

func TestNamesOfACertificateMatchAsThePolicySays(t *testing.T) {
	ca := newAuthority(t)
	const refused = "refused"
	for _, test := range []struct {
		level transport.TLSLevel
		match string
		names []string // of the certificate
		want  string
	}{
		{"verify", "", []string{"mx.x.test"}, "delivered Verified"},
		{"verify", "", []string{"*.x.test"}, "delivered Verified"},
		{"verify", "", []string{"x.test"}, refused},
		{"verify", "", []string{"*.test"}, refused},
		{"secure", "", []string{"x.test"}, "delivered Verified"},
		{"secure", "", []string{"a.b.x.test"}, "delivered Verified"},
		{"secure", "", []string{"*.x.test"}, "delivered Verified"},
		{"secure", "", []string{"yx.test"}, refused},
		{"secure", "", []string{"mx.provider.test"}, refused},
		{"secure", "mx.provider.test", []string{"mx.provider.test"}, "delivered Verified"},
		{"secure", ".provider.test", []string{"a.b.provider.test"}, "delivered Verified"},
		{"secure", ".provider.test", []string{"provider.test"}, refused},
		{"secure", "provider.test", []string{"*.provider.test"}, refused},
		{"secure", "nexthop:hostname", []string{"mx.x.test"}, "delivered Verified"},
	} {
		cert := ca.server(t, inADay(), test.names...)
		got, _ := demanding(t, cert, ca.pool(), false, published{}, func(d *transport.Delivery) {
			d.Plan.TLS, d.Plan.TLSTerms.Match = test.level, test.match
		})
		if strings.Contains(got, "4.7.5 Server certificate not verified") {
			got = refused
		}
		if got != test.want {
			t.Errorf("%s match=%s, a certificate for %s: %s, want %s", test.level, test.match, test.names, got, test.want)
		}
	}
}

func TestREQUIRETLSNeedsAHostThatIsProvedAndPromises(t *testing.T) {
	ca := newAuthority(t)
	proved, stray := ca.server(t, inADay(), "x.test"), ca.server(t, inADay(), "mx.y.test")
	for name, test := range map[string]struct {
		cert   tls.Certificate
		offers []string
		want   string
	}{
		"proved and promised": {proved, []string{"STARTTLS", "REQUIRETLS"}, "delivered Verified"},
		"not promised":        {proved, []string{"STARTTLS"}, "failed 550 5.7.30 REQUIRETLS is required, but was not offered by host mx.x.test[192.0.2.1] by mx.x.test, destination"},
		"not proved":          {stray, []string{"STARTTLS", "REQUIRETLS"}, "failed 550 5.7.10 Server certificate not verified: host mx.x.test[192.0.2.1]: the certificate is for mx.y.test, and not for x.test, .x.test by mx.x.test"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.TLSConfig = &tls.Config{RootCAs: ca.pool()}
			x := l.at(t, "192.0.2.1", &exchanger{offers: test.offers, tls: &tls.Config{Certificates: []tls.Certificate{test.cert}}})
			d := mail("b@x.test")
			d.Envelope.RequireTLS = true
			o := l.Deliver(t.Context(), d)[0]
			got := short(o)
			if o.Delivered() {
				got = "delivered " + string(o.TLS.Trust)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			said := strings.Join(x.seen()[0].Commands, "\n")
			if strings.Contains(said, "MAIL FROM") != o.Delivered() || strings.Contains(said, " REQUIRETLS") != o.Delivered() {
				t.Errorf("said %s", said)
			}
		})
	}
}

// A host that has us on a list of spammers may hide STARTTLS and say so only when it is
// asked for that all the same.
func TestWhatIsBehindTLSThatIsNotOfferedIsTold(t *testing.T) {
	const listed = "553 5.3.0 DNSBL:RBL 521< 192.0.2.7 >_is_blocked. For assistance forward this error"
	for name, test := range map[string]struct {
		x    *exchanger
		want string
	}{
		"a list of spammers": {&exchanger{answer: on("STARTTLS", listed)}, "deferred 451 4.3.0 host mx.x.test[192.0.2.1] refused to talk to me: " + listed + " by mx.x.test, destination"},
		"421":                {&exchanger{answer: on("STARTTLS", "421 4.7.0 too many of you")}, "deferred 451 4.7.0 host mx.x.test[192.0.2.1] refused to talk to me: 421 4.7.0 too many of you by mx.x.test, destination"},
		"a greeting of 554":  {&exchanger{greeting: listed}, "deferred 451 4.3.0 host mx.x.test[192.0.2.1] refused to talk to me: " + listed + " by mx.x.test, destination"},
		"EHLO refused":       {&exchanger{answer: func(string) string { return listed }}, "deferred 451 4.3.0 host mx.x.test[192.0.2.1] refused to talk to me: " + listed + " by mx.x.test, destination"},
		"nothing":            {&exchanger{}, notOffer},
		"it closes":          {&exchanger{answer: on("STARTTLS", "close")}, notOffer},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.at(t, "192.0.2.1", test.x)
			d := mail("b@x.test")
			d.Plan.TLS = transport.TLSEncrypt
			if diff := cmp.Diff([]string{test.want}, l.deliver(d)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a host has proved to be for one domain it has not proved for another.
func TestAKeptConnectionIsForThoseWhoWouldHaveTakenTheSameProof(t *testing.T) {
	ca := newAuthority(t)
	l := newLab(t)
	l.TLSConfig = &tls.Config{RootCAs: ca.pool()}
	l.zone.mx["y.test"] = l.zone.mx["x.test"]
	x := l.at(t, "192.0.2.1", &exchanger{
		offers: []string{"STARTTLS"}, tls: &tls.Config{Certificates: []tls.Certificate{ca.server(t, inADay(), "x.test")}},
	})
	for i, nexthop := range []string{"x.test", "x.test", "y.test"} {
		d := mail("b@" + nexthop)
		d.Plan.Nexthop, d.Plan.TLS = nexthop, transport.TLSSecure
		if o := l.Deliver(t.Context(), d)[0]; o.Delivered() != (nexthop == "x.test") {
			t.Errorf("delivery %d to %s: %s", i, nexthop, short(o))
		}
	}
	if n := len(x.seen()); n != 2 {
		t.Errorf("%d connections", n)
	}
}
