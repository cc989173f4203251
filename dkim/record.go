package dkim

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
)

// RecordName is the name under which the record is published (RFC 6376 section
// 3.6.2.1), without a final dot. It is empty for the zero Key.
func (k Key) RecordName() string {
	if k.private == nil {
		return ""
	}
	return k.selector + infix + k.domain
}

// Record is the text of the TXT record with the public key (RFC 6376 section 3.6.1).
// That of an RSA key is longer than the 255 octets of one character-string of the DNS:
// whoever writes it into a zone cuts it. It is empty for the zero Key.
func (k Key) Record() string {
	switch public := k.public().(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return ""
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	}
	return ""
}
