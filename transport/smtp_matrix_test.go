package transport_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/transport"
)

// An authority signs certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{key: newKey(t)}
	a.cert = sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: inADay(),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, a.key, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func inADay() time.Time { return time.Now().Add(24 * time.Hour) }

// sign signs a certificate for key; without a parent it signs itself.
func sign(t *testing.T, c, parent *x509.Certificate, key, with *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), with)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// server makes a certificate for names, by this authority or, if that is zero, by
// itself. The chain is sent whole.
func (a authority) server(t *testing.T, until time.Time, names ...string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	c := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: names, NotBefore: until.Add(-100 * 24 * time.Hour), NotAfter: until}
	if a.cert == nil {
		return tls.Certificate{Certificate: [][]byte{sign(t, c, nil, key, key).Raw}, PrivateKey: key}
	}
	return tls.Certificate{Certificate: [][]byte{sign(t, c, a.cert, key, a.key).Raw, a.cert.Raw}, PrivateKey: key}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// leafOf is the certificate itself.
func leafOf(t *testing.T, c tls.Certificate) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// published answers for the DNS and for MTA-STS.
type published struct {
	tlsa transport.TLSAFacts
	sts  transport.STSFacts
}

func (p published) TLSA(context.Context, string, uint16) transport.TLSAFacts { return p.tlsa }
func (p published) STS(context.Context, string) transport.STSFacts           { return p.sts }

// A tlsPeer is a column of the matrix.
type tlsPeer struct {
	name string
	x    exchanger       // as which it is played by us
	cert tls.Certificate // zero: it has none
	published
	postfix []string // as which it is played by Postfix; nil: it cannot be
	like    string   // the name of a peer whose server looks the same
}

// matrixPeers are the columns: what a host does wrong, or whoever stands before it,
// and in front one that does all right. Its records and the policy of its domain are in
// order but where that is what is wrong.
func matrixPeers(t *testing.T) (columns []tlsPeer, roots *x509.CertPool) {
	ca := newAuthority(t)
	good := ca.server(t, inADay(), "mx.x.test", "x.test")
	starttls, withTLS := []string{"STARTTLS", "AUTH PLAIN"}, []string{"smtpd_tls_security_level = may"}
	enforce := transport.STSFacts{Mode: transport.STSEnforce, MX: []string{"*.x.test"}}
	cached, gone := enforce, transport.STSFacts{}
	cached.Trouble, gone.Trouble = transport.STSPolicyFetchError, transport.STSPolicyFetchError
	columns = []tlsPeer{
		{name: "all right", cert: good, postfix: withTLS},
		{name: "no STARTTLS", x: exchanger{offers: starttls[1:]}, postfix: []string{}},
		{name: "STARTTLS stripped", x: exchanger{offers: []string{"XXXXXXXA", "AUTH PLAIN"}, answer: on("STARTTLS", "500 5.5.1 XXXXXXXX")}},
		{name: "454", x: exchanger{offers: starttls, answer: on("STARTTLS", "454 4.7.0 not now")},
			postfix: append([]string{"smtpd_tls_cert_file = /nonexistent"}, withTLS...)},
		{name: "broken handshake", x: exchanger{offers: starttls, garbled: true}},
		{name: "expired", cert: ca.server(t, time.Now().Add(-time.Hour), "mx.x.test", "x.test"), postfix: withTLS},
		{name: "wrong name", cert: ca.server(t, inADay(), "mx.y.test", "y.test"), postfix: withTLS},
		{name: "self-signed", cert: authority{}.server(t, inADay(), "mx.x.test", "x.test"), postfix: withTLS},
		{name: "TLS 1.0", cert: good, x: exchanger{tls: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}},
			postfix: append([]string{"smtpd_tls_protocols = TLSv1", "tls_medium_cipherlist = ALL:@SECLEVEL=0", "tls_high_cipherlist = ALL:@SECLEVEL=0"}, withTLS...)},
		{name: "TLSA mismatch", cert: good, like: "all right"},
		{name: "TLSA SERVFAIL", cert: good, like: "all right"},
		{name: "STS fetch fails, cached", x: exchanger{offers: starttls[1:]}, published: published{sts: cached}, like: "no STARTTLS"},
		{name: "STS fetch fails", x: exchanger{offers: starttls[1:]}, published: published{sts: gone}, like: "no STARTTLS"},
	}
	for i := range columns {
		p := &columns[i]
		if p.cert.Certificate != nil {
			if p.x.tls == nil {
				p.x.tls = &tls.Config{}
			}
			p.x.offers, p.x.tls.Certificates = starttls, []tls.Certificate{p.cert}
		}
		p.tlsa = transport.TLSAFacts{Status: transport.DNSSECSecure, Base: "mx.x.test", Records: []transport.TLSA{p.record(t)}}
		switch p.name {
		case "TLSA mismatch":
			p.tlsa.Records[0].Data[0] ^= 1
		case "TLSA SERVFAIL":
			p.tlsa = transport.TLSAFacts{Status: transport.DNSSECFailed, Detail: "SERVFAIL"}
		}
		if p.sts.Trouble == "" {
			p.sts = enforce
		}
	}
	return columns, ca.pool()
}

// record is the TLSA record of the peer's key, or of some key if it has none.
func (p *tlsPeer) record(t *testing.T) transport.TLSA {
	var key []byte
	if p.cert.Certificate != nil {
		key = leafOf(t, p.cert).RawSubjectPublicKeyInfo
	}
	digest := sha256.Sum256(key)
	return transport.TLSA{Usage: 3, Selector: 1, MatchingType: 1, Data: digest[:]}
}

// matrix has a row for each policy and a cell for each peer of matrixPeers: how a
// second attempt ends. C is delivered in clear; U, T and V are delivered over TLS to an
// untrusted, trusted and verified host; a number is the status of a deferral.
var matrix = map[string]string{
	//                      no    strip 454   broken expi  name  self  1.0   TLSA  SERVF cache fetch
	"none":        "C     C     C     C     C     C     C     C     C     C     C     C     C",
	"may":         "T     C     C     C     C     U     T     U     T     T     T     C     C",
	"encrypt":     "T     4.7.4 4.7.4 4.7.0 4.7.5 U     T     U     4.7.5 T     T     4.7.4 4.7.4",
	"fingerprint": "V     4.7.4 4.7.4 4.7.0 4.7.5 V     V     V     4.7.5 V     V     4.7.4 4.7.4",
	"verify":      "V     4.7.4 4.7.4 4.7.0 4.7.5 4.7.5 4.7.5 4.7.5 4.7.5 V     V     4.7.4 4.7.4",
	"secure":      "V     4.7.4 4.7.4 4.7.0 4.7.5 4.7.5 4.7.5 4.7.5 4.7.5 V     V     4.7.4 4.7.4",
	"dane":        "V     4.7.4 4.7.4 4.7.0 4.7.5 V     V     V     4.7.5 4.7.5 4.7.5 4.7.4 4.7.4",
	"dane-only":   "V     4.7.4 4.7.4 4.7.0 4.7.5 V     V     V     4.7.5 4.7.5 4.7.5 4.7.4 4.7.4",
	"mta-sts":     "V     4.7.4 4.7.4 4.7.0 4.7.5 4.7.5 4.7.5 4.7.5 4.7.5 V     V     4.7.4 C",
}

// plan is the plan for a row. mta-sts is the default level, to which the policy of the
// domain comes.
func (p *tlsPeer) plan(t *testing.T, policy string) transport.Plan {
	plan := transport.Plan{Transport: "smtp", Nexthop: "x.test", TLS: transport.TLSLevel(policy)}
	switch policy {
	case "mta-sts":
		plan.TLS, plan.TLSTerms.Published = transport.TLSMay, true
	case "fingerprint":
		plan.TLSTerms.Match = hex.EncodeToString(p.record(t).Data)
	}
	return plan
}

// opportunistic reports whether a cell may end in clear.
func (p *tlsPeer) opportunistic(policy string) bool {
	return policy == "none" || policy == "may" || policy == "mta-sts" && p.sts.Mode == ""
}

// A tap is the network of one cell: real sockets, and all that we write on them.
type tap struct {
	mu      sync.Mutex
	written bytes.Buffer
}

func (n *tap) Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	conn, err := transport.System{}.Dial(ctx, local, remote)
	return &tapped{conn, n}, err
}

type tapped struct {
	net.Conn
	tap *tap
}

func (c *tapped) Write(b []byte) (int, error) {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.tap.written.Write(b)
	return c.Conn.Write(b)
}

// clear are the commands among what was written that say whom mail is for or who we
// are. What is encrypted has none.
func (n *tap) clear() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, verb := range []string{"MAIL FROM", "RCPT TO", "DATA\r\n", "AUTH "} {
		if bytes.Contains(n.written.Bytes(), []byte(verb)) {
			all = append(all, strings.TrimSpace(verb))
		}
	}
	return all
}

// A matrixCell is what a delivery came to.
type matrixCell struct {
	ended string   // as in matrix
	clear []string // what went in clear
	reply string
}

// try delivers once to a peer at an address, with a password or without.
func (p *tlsPeer) try(plan transport.Plan, roots *x509.CertPool, at netip.AddrPort, login bool) matrixCell {
	n := &tap{}
	s := &transport.SMTP{
		Hostname: "us.test", Network: n, Port: at.Port(), AllowPrivate: true, TLSConfig: &tls.Config{RootCAs: roots}, TLSA: p, STS: p,
		Resolver: &zone{
			mx:    map[string][]transport.MX{"x.test": {{Preference: 10, Host: "mx.x.test", Secure: true}}},
			addrs: map[string][]string{"mx.x.test": {at.Addr().String()}},
		},
	}
	defer s.Close()
	d := mail("b@x.test")
	d.Plan, d.Attempt = plan, 2
	if login {
		d.Plan.Credential = transport.Credential{User: "u", Password: password}
	}
	o := s.Deliver(context.Background(), d)[0]
	c := matrixCell{clear: n.clear(), reply: o.Reply.Error()}
	switch {
	case o.Delivered() && o.TLS.Trust == "":
		c.ended = "C"
	case o.Delivered():
		c.ended = string(o.TLS.Trust[0])
	case o.Deferred():
		c.ended = o.Reply.Status()
	}
	return c
}

// wrong says what is wrong with the cell of a policy and a peer.
func (p *tlsPeer) wrong(policy, want string, c matrixCell, login bool) []string {
	var all []string
	if !login && c.ended != want {
		all = append(all, "ended "+c.ended+", want "+want+": "+c.reply)
	}
	for _, said := range c.clear {
		if !p.opportunistic(policy) || said == "AUTH" || login {
			all = append(all, said+" in clear")
		}
	}
	return all
}

// loopback plays a peer on a real socket.
func (p *tlsPeer) loopback(t *testing.T) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	x := &exchanger{offers: p.x.offers, tls: p.x.tls, garbled: p.x.garbled, answer: p.x.answer}
	go x.serve(listener)
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// debian plays a peer by Debian's Postfix.
func (p *tlsPeer) debian(t *testing.T) netip.AddrPort {
	t.Helper()
	server := &interop.Postfix{Main: append([]string{"mydestination = x.test", "local_transport = discard:"}, p.postfix...)}
	if p.cert.Certificate != nil {
		server.Certificate = inPEM(t, p.cert)
	}
	interop.RunPostfix(t, server)
	return netip.MustParseAddrPort(server.Addr)
}

func inPEM(t *testing.T, c tls.Certificate) *interop.Certificate {
	t.Helper()
	secret, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	var chain []byte
	for _, der := range c.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return &interop.Certificate{Cert: chain, Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})}
}

func TestNoPolicyAboveMayIsTalkedDown(t *testing.T) {
	peers, roots := matrixPeers(t)
	column := func(t *testing.T, n int, at netip.AddrPort) {
		p := &peers[n]
		for policy, row := range matrix {
			for _, login := range []bool{false, true} {
				c := p.try(p.plan(t, policy), roots, at, login)
				for _, w := range p.wrong(policy, strings.Fields(row)[n], c, login) {
					t.Errorf("%s, %s, with a password %v: %s", policy, p.name, login, w)
				}
			}
		}
	}
	for n := range peers {
		p := &peers[n]
		t.Run(p.name+", played by us", func(t *testing.T) { column(t, n, p.loopback(t)) })
		if p.postfix == nil {
			continue
		}
		t.Run(p.name+", played by Postfix", func(t *testing.T) {
			t.Parallel()
			at := p.debian(t)
			for other := range peers {
				if other == n || peers[other].like == p.name {
					column(t, other, at)
				}
			}
		})
	}
}

// A planner that lowers what it is told would look like this.
func TestTheMatrixSeesALevelThatIsTalkedDown(t *testing.T) {
	peers, roots := matrixPeers(t)
	for column := range peers {
		p := &peers[column]
		at := p.loopback(t)
		for policy, row := range matrix {
			want := strings.Fields(row)[column]
			lowered := p.try(p.plan(t, "may"), roots, at, false)
			seen := len(p.wrong(policy, want, lowered, false)) > 0
			if should := lowered.ended != want; seen != should {
				t.Errorf("%s, %s: a defect is seen: %v", policy, p.name, seen)
			}
			leaks := lowered.ended == "C" && !p.opportunistic(policy)
			if leaks && !strings.Contains(strings.Join(p.wrong(policy, want, lowered, false), "\n"), "MAIL FROM in clear") {
				t.Errorf("%s, %s: mail in clear is not seen", policy, p.name)
			}
		}
	}
}
