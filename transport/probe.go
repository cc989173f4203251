package transport

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/netip"
	"time"

	"github.com/panelmail/panelmail/internal/smtpclient"
)

// A Probe is what the dialogue with one address of a host showed.
type Probe struct {
	Host       string     `json:"host"`
	Addr       string     `json:"address"`              // with the port
	From       string     `json:"from,omitempty"`       // the address connected from; empty: the system's choice
	HELO       string     `json:"helo"`                 // what we said in EHLO
	Extensions []string   `json:"extensions,omitempty"` // offered last: over TLS, if there was any
	TLS        *ProbeTLS  `json:"tls,omitempty"`        // nil: there was no handshake that came to an end
	DANE       *TLSAFacts `json:"dane,omitempty"`       // nil: nobody was asked
	Transcript string     `json:"transcript"`           // the dialogue
	Problem    string     `json:"problem,omitempty"`    // what it came to grief of
}

// A ProbeTLS is how a host presented itself over TLS.
type ProbeTLS struct {
	Version  string             `json:"version"`
	Cipher   string             `json:"cipher"`
	Verified bool               `json:"verified"`          // the chain is trusted, in force, and for the name of the host
	Problem  string             `json:"problem,omitempty"` // why it is not
	Chain    []ProbeCertificate `json:"chain"`             // as sent, the host's own first
}

// A ProbeCertificate is a certificate as shown to people. The digests are SHA-256 in
// hexadecimal: of the whole, and of the public key, as the level fingerprint takes both.
type ProbeCertificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names,omitempty"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	SHA256    string    `json:"sha256"`
	KeySHA256 string    `json:"key_sha256"`
}

// Probe talks to each address of a next hop, as deliveries from the source find them, up
// to STARTTLS and the EHLO after it: no sender, no recipient and no password is
// sent. It accepts any certificate, and says what it is worth. The error says why there
// is nobody to talk to.
func (s *SMTP) Probe(ctx context.Context, next string, source Source) ([]Probe, error) {
	hops, err := parseNexthops(next, s.port())
	if err != nil {
		return nil, err
	}
	plan := Plan{Nexthop: next, Source: source, SmartHost: true}
	if s.helo(&plan) == "" {
		return nil, errors.New("no name to say in EHLO is configured")
	}
	var all []Probe
	for _, hop := range hops {
		hosts, out := s.hosts(ctx, hop, &plan)
		if len(hosts) == 0 {
			return all, out.Reply
		}
		for _, h := range hosts {
			all = append(all, s.probe(ctx, h, plan))
		}
	}
	return all, ctx.Err()
}

// probe talks to one address.
func (s *SMTP) probe(ctx context.Context, h host, plan Plan) Probe {
	p := Probe{Host: h.name, Addr: h.addr.String(), HELO: s.helo(&plan)}
	if local, _ := plan.Source.Local(h.addr.Addr()); local.IsValid() {
		p.From = local.String()
	}
	if _, err := netip.ParseAddr(h.name); err != nil && s.TLSA != nil {
		facts := s.TLSA.TLSA(ctx, h.name, h.addr.Port())
		p.DANE = &facts
	}
	o := opening{s: s, d: &Delivery{Plan: plan}, h: h}
	conn, err := o.dial(ctx)
	if err != nil {
		p.Problem = o.unreached(err).Reply.Text
		return p
	}
	options := o.options()
	config := &tls.Config{ServerName: h.name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
	if options.TLS != nil {
		options.TLS = config
	}
	c, err := smtpclient.Greet(ctx, conn, options)
	if err != nil {
		p.Problem = o.broken(err, "").Reply.Text
		return p
	}
	defer c.Quit()
	if _, offered := c.Ext("STARTTLS"); offered && c.TLSState() == nil {
		if err := c.StartTLS(ctx, config); err != nil {
			p.Problem = o.broken(err, "").Reply.Text
		}
	}
	p.Extensions, p.Transcript = c.Extensions(), c.Transcript()
	if state := c.TLSState(); state != nil {
		p.TLS = s.present(state, h.name)
	}
	return p
}

// present describes a handshake, and what a host proved with it.
func (s *SMTP) present(state *tls.ConnectionState, name string) *ProbeTLS {
	p := &ProbeTLS{Version: tls.VersionName(state.Version), Cipher: tls.CipherSuiteName(state.CipherSuite)}
	options := x509.VerifyOptions{DNSName: name, Roots: s.roots(), Intermediates: x509.NewCertPool()}
	for i, c := range state.PeerCertificates {
		if i > 0 {
			options.Intermediates.AddCert(c)
		}
		whole, key := sha256.Sum256(c.Raw), sha256.Sum256(c.RawSubjectPublicKeyInfo)
		shown := ProbeCertificate{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: c.DNSNames, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
			SHA256: hex.EncodeToString(whole[:]), KeySHA256: hex.EncodeToString(key[:]),
		}
		for _, ip := range c.IPAddresses {
			shown.Names = append(shown.Names, ip.String())
		}
		p.Chain = append(p.Chain, shown)
	}
	if len(state.PeerCertificates) == 0 {
		p.Problem = "no certificate"
		return p
	}
	_, err := state.PeerCertificates[0].Verify(options)
	if p.Verified = err == nil; err != nil {
		p.Problem = err.Error()
	}
	return p
}
