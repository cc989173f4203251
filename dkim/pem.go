package dkim

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with a key that is imported; matched with errors.Is. No text
// repeats anything of the key.
var (
	ErrPEM       = errors.New("dkim: not one private key in PEM form")
	ErrEncrypted = errors.New("dkim: the private key is encrypted")
	ErrKeyType   = errors.New("dkim: the private key is neither RSA nor Ed25519")
	ErrKeySize   = errors.New("dkim: the RSA key has less than 2048 or more than 4096 bits")
)

const (
	// RFC 8301 section 3.2: signers should use 2048 bits at least; verifiers need not
	// take more than 4096.
	minBits = 2048
	maxBits = 4096

	// maxPEM is twice what the largest key takes, in octets. Checking a key costs
	// more than linear time in its size.
	maxPEM = 8 << 10
)

// ParseKey takes a private key in PEM form: PKCS #1 ("RSA PRIVATE KEY") or PKCS #8
// ("PRIVATE KEY"). Text around it is ignored, and so are blocks that are no private key.
// Names are those of [GenerateKey]. RSA keys have 2048 to 4096 bits. Errors: ErrDomain,
// ErrSelector, ErrPEM, ErrEncrypted, ErrKeyType, ErrKeySize.
func ParseKey(domain, selector string, pem []byte) (Key, error) {
	domain, err := keyName(domain, selector)
	if err != nil {
		return Key{}, err
	}
	private, err := parsePrivate(pem)
	if err != nil {
		return Key{}, err
	}
	return Key{domain: domain, selector: selector, private: private}, nil
}

func parsePrivate(text []byte) (*private, error) {
	block, err := onlyPrivate(text)
	if err != nil {
		return nil, err
	}
	var key any
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, ErrEncrypted
	default:
		return nil, ErrKeyType
	}
	if err != nil {
		return nil, ErrPEM // the detail may come from inside the key
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if n := key.N.BitLen(); n < minBits || n > maxBits {
			return nil, fmt.Errorf("%w: it has %d", ErrKeySize, n)
		}
		return hide(key), nil
	case ed25519.PrivateKey:
		return hide(key), nil
	}
	return nil, ErrKeyType
}

// onlyPrivate is the one block of text that holds a private key.
func onlyPrivate(text []byte) (*pem.Block, error) {
	if len(text) > maxPEM {
		return nil, ErrPEM
	}
	var only *pem.Block
	for {
		block, rest := pem.Decode(text)
		switch {
		case block == nil && only == nil:
			return nil, ErrPEM
		case block == nil:
			return only, nil
		case !strings.HasSuffix(block.Type, "PRIVATE KEY"):
		case only != nil:
			return nil, ErrPEM
		case block.Headers["DEK-Info"] != "": // RFC 1421 section 4.6.1.3
			return nil, ErrEncrypted
		default:
			only = block
		}
		text = rest
	}
}

// MarshalPEM gives the private key as a PEM block of PKCS #8, which ParseKey reads. It
// is a secret.
func (k Key) MarshalPEM() ([]byte, error) {
	if k.private == nil {
		return nil, errNoKey
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.private.signer())
	if err != nil {
		return nil, fmt.Errorf("dkim: encoding a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
