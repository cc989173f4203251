package transport

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// What the fields of a TLSA record can say that is of use in SMTP: the usages of the
// web's certification authorities are not (RFC 7672 section 3.1.3).
const (
	usageDANETA = 2
	usageDANEEE = 3

	selectorCert = 0
	selectorSPKI = 1

	matchingFull   = 0
	matchingSHA256 = 1
	matchingSHA512 = 2
)

// usable reports whether a record can match anything.
func (r TLSA) usable() bool {
	if r.Usage != usageDANETA && r.Usage != usageDANEEE || r.Selector != selectorCert && r.Selector != selectorSPKI {
		return false
	}
	switch r.MatchingType {
	case matchingFull:
		return r.key() != nil
	case matchingSHA256:
		return len(r.Data) == sha256.Size
	case matchingSHA512:
		return len(r.Data) == sha512.Size
	}
	return false
}

// key is what a record with the full data holds, nil if it does not parse.
func (r TLSA) key() any {
	if r.Selector == selectorCert {
		if cert, err := x509.ParseCertificate(r.Data); err == nil {
			return cert
		}
		return nil
	}
	key, err := x509.ParsePKIXPublicKey(r.Data)
	if err != nil {
		return nil
	}
	return key
}

// String is the record as in a zone file, in reports too (RFC 8460 section 4.2).
func (r TLSA) String() string {
	return fmt.Sprintf("%d %d %d %s", r.Usage, r.Selector, r.MatchingType, hex.EncodeToString(r.Data))
}

// usableTLSA returns the records to match. Of the digests for one usage and selector
// the strongest alone count (RFC 7671 section 9).
func usableTLSA(records []TLSA) []TLSA {
	stronger := func(r TLSA) bool {
		return slices.ContainsFunc(records, func(o TLSA) bool {
			return o.usable() && o.Usage == r.Usage && o.Selector == r.Selector &&
				o.MatchingType == matchingSHA512 && r.MatchingType == matchingSHA256
		})
	}
	var all []TLSA
	for _, r := range records {
		if r.usable() && !stronger(r) {
			all = append(all, r)
		}
	}
	return all
}

// matches reports whether a record is of a certificate.
func (r TLSA) matches(cert *x509.Certificate) bool {
	data := cert.Raw
	if r.Selector == selectorSPKI {
		data = cert.RawSubjectPublicKeyInfo
	}
	switch r.MatchingType {
	case matchingSHA256:
		sum := sha256.Sum256(data)
		data = sum[:]
	case matchingSHA512:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return bytes.Equal(data, r.Data)
}

// tlsaTexts are records as texts.
func tlsaTexts(records []TLSA) []string {
	var all []string
	for _, r := range records {
		all = append(all, r.String())
	}
	return all
}

// stsNames reports whether a pattern of an MTA-STS policy names a host (RFC 8461
// section 4.1).
func stsNames(patterns []string, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		pattern = strings.TrimSuffix(pattern, ".")
		if below, ok := strings.CutPrefix(pattern, "*."); ok {
			return parent != "" && strings.EqualFold(below, parent)
		}
		return strings.EqualFold(pattern, host)
	})
}
