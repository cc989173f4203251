package transport

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// TLSLevel is a security level as in Postfix's smtp_tls_security_level. One that is
// not known is refused, never lowered.
type TLSLevel string

// The levels, from weak to strong. Above encrypt the host has to prove who it is.
const (
	TLSNone        TLSLevel = "none"        // never
	TLSMay         TLSLevel = "may"         // if offered; any certificate
	TLSEncrypt     TLSLevel = "encrypt"     // or not at all; any certificate
	TLSFingerprint TLSLevel = "fingerprint" // the certificate or its public key is one of those listed
	TLSDANE        TLSLevel = "dane"        // as the TLSA records of the host demand; without records may
	TLSDANEOnly    TLSLevel = "dane-only"   // as the TLSA records demand; without records not at all
	TLSVerify      TLSLevel = "verify"      // a trusted certificate for the name of the host
	TLSSecure      TLSLevel = "secure"      // a trusted certificate for the next hop, whatever the DNS says
)

// strictness orders the levels; zero is of one that is not known.
func strictness(l TLSLevel) int {
	return slices.Index([]TLSLevel{
		TLSNone, TLSMay, TLSEncrypt, TLSFingerprint, TLSDANE, TLSDANEOnly, TLSVerify, TLSSecure,
	}, l) + 1
}

// covers reports whether a session that meets p plainly meets other too. Published is
// not looked at. dane covers no encrypt, for without records it is may, and a proof
// of one kind covers none of another.
func (p TLSPolicy) covers(other TLSPolicy) bool {
	p.Published = other.Published
	proves := p.Level == TLSVerify || p.Level == TLSSecure
	switch {
	case p == other:
		return true
	case p.Level == TLSNone:
		return false
	case other.Level == TLSNone, other == (TLSPolicy{TLSMay, TLSTerms{Published: other.Published}}):
		return true
	case !proves, p.Ciphers != other.Ciphers, cmp.Or(p.MinVersion, "1.2") < cmp.Or(other.MinVersion, "1.2"):
		return false
	case other.Level == TLSEncrypt:
		return true
	}
	return p.Level == TLSSecure && other.Level == TLSVerify && p.Match == "" && other.Match == "" && p.CA == other.CA
}

// A TLSPolicy is what a policy table says about a next hop. See [ParseTLSPolicy].
type TLSPolicy struct {
	Level TLSLevel `json:"level"`
	TLSTerms
}

// TLSTerms are what goes with a TLS level. The zero TLSTerms are the defaults.
type TLSTerms struct {
	// Match says whom the host must prove to be. At fingerprint: SHA-256 digests
	// in hexadecimal, of the certificate or of its public key, with "|" between
	// them. At verify and secure, with ":" between them: hostname, the name of the
	// host; nexthop, the domain of the next hop; dot-nexthop, any name below that;
	// another name; .name, any name below that. If empty, hostname at verify,
	// nexthop and dot-nexthop at secure.
	Match string `json:"match,omitempty"`

	// CA are certificates in PEM that are trusted instead of those of the system,
	// at verify and secure.
	CA string `json:"ca,omitempty"`

	// MinVersion is the least version of TLS. If empty, 1.2; at may, where what is
	// older is still better than clear text, 1.0.
	MinVersion TLSVersion `json:"min,omitempty"`

	// Ciphers are the cipher suites of TLS 1.2 and before, by their IANA names,
	// with ":" between them. Those of TLS 1.3 are not a matter of choice. If
	// empty, the defaults of crypto/tls.
	Ciphers string `json:"ciphers,omitempty"`

	// Published says that the MTA-STS policy of the next hop counts too, because the
	// level is a default and no word about this next hop. A [Planner] sets it with
	// its own.
	Published bool `json:"published,omitempty"`

	// Required says that the message goes to a host alone that has proved who it
	// is and promises the same for the way from there (REQUIRETLS, RFC 8689). A
	// [Planner] sets it.
	Required bool `json:"required,omitempty"`
}

// A TLSVersion is a version of TLS: "1.0", "1.1", "1.2" or "1.3".
type TLSVersion string

// number is the version as crypto/tls numbers it; zero if it is not known.
func (v TLSVersion) number() uint16 {
	switch v {
	case "1.0":
		return tls.VersionTLS10
	case "1.1":
		return tls.VersionTLS11
	case "1.2":
		return tls.VersionTLS12
	case "1.3":
		return tls.VersionTLS13
	}
	return 0
}

// ParseTLSPolicy reads a level and its attributes, name=value: match, ca, min and
// ciphers, as in [TLSTerms]. More than one match is joined. A level or an attribute
// that is not known, that the level has no use for or whose value makes no sense is an
// error.
func ParseTLSPolicy(level string, attributes ...string) (TLSPolicy, error) {
	p := TLSPolicy{Level: TLSLevel(level)}
	for _, a := range attributes {
		name, value, ok := strings.Cut(a, "=")
		if !ok || value == "" {
			return TLSPolicy{}, fmt.Errorf("attribute %q is not name=value", a)
		}
		var set *string
		switch name {
		case "match":
			if p.Match != "" {
				value = p.Match + p.Level.separator() + value
				p.Match = ""
			}
			set = &p.Match
		case "ca":
			set = &p.CA
		case "min":
			set = (*string)(&p.MinVersion)
		case "ciphers":
			set = &p.Ciphers
		default:
			return TLSPolicy{}, fmt.Errorf("attribute %q is not known", name)
		}
		if *set != "" {
			return TLSPolicy{}, fmt.Errorf("attribute %q is given twice", name)
		}
		*set = value
	}
	return p, p.Check()
}

// separator stands between the values of Match.
func (l TLSLevel) separator() string {
	if l == TLSFingerprint {
		return "|"
	}
	return ":"
}

// Check reports what is wrong with a policy: a level or a value that is not known, or
// an attribute that the level has no use for.
func (p TLSPolicy) Check() error {
	if strictness(p.Level) == 0 {
		return fmt.Errorf("TLS level %q is not known", string(p.Level))
	}
	pki := p.Level == TLSVerify || p.Level == TLSSecure
	for _, a := range []struct {
		name, value string
		allowed     bool
	}{
		{"match", p.Match, pki || p.Level == TLSFingerprint},
		{"ca", p.CA, pki},
		{"min", string(p.MinVersion), p.Level != TLSNone},
		{"ciphers", p.Ciphers, p.Level != TLSNone},
	} {
		if a.value != "" && !a.allowed {
			return fmt.Errorf("level %s has no use for attribute %q", p.Level, a.name)
		}
	}
	if p.Level == TLSFingerprint && p.Match == "" {
		return fmt.Errorf("level %s needs attribute %q", p.Level, "match")
	}
	_, err := p.terms()
	return err
}

// tlsTerms are TLSTerms as they are worked with.
type tlsTerms struct {
	match   []string   // names, or "hostname" and the like
	digests [][32]byte // at fingerprint
	roots   *x509.CertPool
	min     uint16
	ciphers []uint16
}

// terms reads the terms of a policy. The error says which value makes no sense.
func (p TLSPolicy) terms() (t tlsTerms, err error) {
	if p.Match != "" {
		for value := range strings.SplitSeq(p.Match, p.Level.separator()) {
			if p.Level == TLSFingerprint {
				digest, err := parseDigest(value)
				if err != nil {
					return t, err
				}
				t.digests = append(t.digests, digest)
				continue
			}
			if err := checkMatch(value); err != nil {
				return t, err
			}
			t.match = append(t.match, strings.ToLower(value))
		}
	}
	if p.CA != "" {
		t.roots = x509.NewCertPool()
		if !t.roots.AppendCertsFromPEM([]byte(p.CA)) {
			return t, fmt.Errorf("there is no certificate in attribute %q", "ca")
		}
	}
	if t.min = p.MinVersion.number(); p.MinVersion != "" && t.min == 0 {
		return t, fmt.Errorf("TLS version %q is not 1.0, 1.1, 1.2 or 1.3", string(p.MinVersion))
	}
	if p.Ciphers != "" {
		t.ciphers, err = parseCiphers(p.Ciphers)
	}
	return t, err
}

// checkMatch refuses what no certificate can match.
func checkMatch(value string) error {
	if _, err := hostname(strings.TrimPrefix(value, ".")); err != nil {
		return fmt.Errorf("match %q is no name: %w", value, err)
	}
	return nil
}

// parseDigest reads a SHA-256 digest in hexadecimal, with or without colons.
func parseDigest(s string) (digest [32]byte, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(b) != len(digest) {
		return digest, fmt.Errorf("%q is no SHA-256 digest in hexadecimal", s)
	}
	return [32]byte(b), nil
}

// parseCiphers finds cipher suites by their names.
func parseCiphers(s string) ([]uint16, error) {
	var all []uint16
	for name := range strings.SplitSeq(s, ":") {
		suites := slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites())
		i := slices.IndexFunc(suites, func(c *tls.CipherSuite) bool {
			return c.Name == name && slices.Contains(c.SupportedVersions, uint16(tls.VersionTLS12))
		})
		if i < 0 {
			return nil, fmt.Errorf("cipher suite %q is not known for TLS 1.2", name)
		}
		all = append(all, suites[i].ID)
	}
	return all, nil
}
