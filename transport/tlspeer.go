package transport

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Trust says how far a peer has proved who it is, in the words of Postfix's log.
type Trust string

// The degrees of trust.
const (
	Untrusted Trust = "Untrusted" // its certificate is nobody's whom we trust
	Trusted   Trust = "Trusted"   // it has a trusted certificate, for whatever name
	Verified  Trust = "Verified"  // it is whom the plan demands
)

// A reference is a name that a certificate has to be for.
type reference struct {
	name  string // in A-labels, or an address
	below bool   // any name below it
}

func (r reference) String() string {
	if r.below {
		return "." + r.name
	}
	return r.name
}

// matchedBy reports whether a name of a certificate is that of the reference. A "*."
// in front stands for one label (RFC 9525 section 6.3).
func (r reference) matchedBy(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if r.below {
		head, ok := strings.CutSuffix(name, "."+r.name)
		return ok && head != ""
	}
	if below, ok := strings.CutPrefix(name, "*."); ok {
		_, parent, _ := strings.Cut(r.name, ".")
		return parent != "" && parent == below
	}
	return name == r.name
}

// named reports whether a certificate is for one of some references. The common name
// of the subject is no name of a host.
func named(cert *x509.Certificate, references []reference) bool {
	for _, r := range references {
		if ip, err := netip.ParseAddr(r.name); err == nil {
			for _, san := range cert.IPAddresses {
				if a, ok := netip.AddrFromSlice(san); ok && a.Unmap() == ip.Unmap() {
					return true
				}
			}
			continue
		}
		if slices.ContainsFunc(cert.DNSNames, r.matchedBy) {
			return true
		}
	}
	return false
}

// A distrust says why a peer has not proved who it is.
type distrust struct {
	kind TLSFailureKind
	text string
}

// Error implements error.
func (e *distrust) Error() string { return e.text }

// chained checks that a chain leads from the first certificate to a root, now. If
// roots is nil, those of the system count.
func chained(certs []*x509.Certificate, roots *x509.CertPool) error {
	if len(certs) == 0 {
		return &distrust{ValidationFailure, "there is no certificate"}
	}
	rest := x509.NewCertPool()
	for _, c := range certs[1:] {
		rest.AddCert(c)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: rest, CurrentTime: time.Now()})
	return distrusted(err)
}

// distrusted is an error of x509 as a kind of failure.
func distrusted(err error) error {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case err == nil:
		return nil
	case isInvalid && invalid.Reason == x509.Expired:
		return &distrust{CertificateExpired, "the certificate has expired or is not valid yet"}
	case unknown:
		return &distrust{CertificateNotTrusted, "the certificate is signed by nobody who is trusted"}
	}
	return &distrust{ValidationFailure, strings.TrimPrefix(err.Error(), "x509: ")}
}

// trusted checks a chain and the name on its first certificate.
func trusted(certs []*x509.Certificate, roots *x509.CertPool, references []reference) error {
	if err := chained(certs, roots); err != nil {
		return err
	}
	return forName(certs[0], references)
}

func forName(cert *x509.Certificate, references []reference) error {
	if named(cert, references) {
		return nil
	}
	return &distrust{CertificateHostMismatch, fmt.Sprintf("the certificate is for %s, and not for %s", names(cert), texts(references))}
}

// texts are references in one text.
func texts(references []reference) string {
	var all []string
	for _, r := range references {
		all = append(all, r.String())
	}
	return strings.Join(all, ", ")
}

// maxNames bounds how many names of a certificate are told.
const maxNames = 4

// names are those of a certificate, for people.
func names(cert *x509.Certificate) string {
	all := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	switch {
	case len(all) == 0:
		return "no name"
	case len(all) > maxNames:
		all = append(all[:maxNames], "…")
	}
	return strings.Join(all, ", ")
}

// pinned checks that a certificate or its public key has one of some digests. Neither
// name nor date counts.
func pinned(certs []*x509.Certificate, digests [][32]byte) error {
	if len(certs) > 0 && (slices.Contains(digests, sha256.Sum256(certs[0].Raw)) ||
		slices.Contains(digests, sha256.Sum256(certs[0].RawSubjectPublicKeyInfo))) {
		return nil
	}
	return &distrust{CertificateNotTrusted, "neither the certificate nor its public key has one of the fingerprints"}
}

// proved checks a chain against usable TLSA records (RFC 7671 section 5). A record
// with usage 3 is of the certificate itself, of which nothing else counts; one with
// usage 2 of an authority in the chain, under which dates and names count too.
func proved(certs []*x509.Certificate, records []TLSA, references []reference) error {
	if len(certs) == 0 {
		return &distrust{ValidationFailure, "there is no certificate"}
	}
	var why error = &distrust{CertificateNotTrusted, "no TLSA record matches the certificate"}
	for _, r := range records {
		if r.Usage == usageDANEEE {
			if r.matches(certs[0]) {
				return nil
			}
			continue
		}
		for _, anchor := range r.anchors(certs) {
			roots := x509.NewCertPool()
			roots.AddCert(anchor)
			err := trusted(certs, roots, references)
			if err == nil {
				return nil
			}
			why = err
		}
	}
	return why
}

// anchors are the authorities that a record with usage 2 is of: those in the chain,
// or the one in the record.
func (r TLSA) anchors(certs []*x509.Certificate) []*x509.Certificate {
	var all []*x509.Certificate
	for _, c := range certs[1:] {
		if r.matches(c) {
			all = append(all, c)
		}
	}
	if cert, ok := r.key().(*x509.Certificate); ok && r.MatchingType == matchingFull && len(all) == 0 {
		all = append(all, cert)
	}
	return all
}
