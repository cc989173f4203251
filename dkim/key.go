package dkim

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
)

// An Algorithm is what [GenerateKey] can make. Its text is for files and databases and
// stays the same.
type Algorithm string

const (
	// RSA2048 is understood by every verifier. A signature takes about a
	// millisecond of CPU.
	RSA2048 Algorithm = "rsa2048"

	// Ed25519 (RFC 8463) signs ten times as fast, into a tenth of the space. Not
	// every large receiver verifies it: it is for a second signature.
	Ed25519 Algorithm = "ed25519"
)

// ErrAlgorithm means an Algorithm that is neither RSA2048 nor Ed25519.
var ErrAlgorithm = errors.New("dkim: unknown key algorithm")

// errNoKey is what the zero Key gives.
var errNoKey = errors.New("dkim: no key")

// A Key is a private key with the domain and the selector that it signs for. It is
// immutable and safe for concurrent use. The zero Key signs nothing.
//
// Whatever prints, encodes or logs a Key shows its names and its algorithm, also where
// the Key is part of something else; only [Key.MarshalPEM] gives the private key.
type Key struct {
	domain, selector string
	private          *private
}

// A private key is behind a function: of a Key in an unexported field fmt does not call
// methods, and for a verb that does not fit it follows pointers.
type private struct{ signer func() crypto.Signer }

func hide(signer crypto.Signer) *private {
	return &private{func() crypto.Signer { return signer }}
}

// GenerateKey makes a key. The domain may be given in U-labels; case does not matter.
// A selector is one or more labels of letters, digits and hyphens. Errors: ErrDomain,
// ErrSelector, ErrAlgorithm.
func GenerateKey(domain, selector string, alg Algorithm) (Key, error) {
	domain, err := keyName(domain, selector)
	if err != nil {
		return Key{}, err
	}
	k := Key{domain: domain, selector: selector}
	switch alg {
	case RSA2048:
		signer, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return Key{}, fmt.Errorf("dkim: generating a key: %w", err)
		}
		k.private = hide(signer)
	case Ed25519:
		_, signer, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return Key{}, fmt.Errorf("dkim: generating a key: %w", err)
		}
		k.private = hide(signer)
	default:
		return Key{}, ErrAlgorithm
	}
	return k, nil
}

// Domain is the signing domain (d=), in lower case and in A-labels.
func (k Key) Domain() string { return k.domain }

// Selector is the selector (s=) as it was given.
func (k Key) Selector() string { return k.selector }

// Algorithm is what to ask [GenerateKey] for to replace the key: RSA2048 for an RSA key
// of any size. It is empty for the zero Key.
func (k Key) Algorithm() Algorithm {
	switch k.public().(type) {
	case *rsa.PublicKey:
		return RSA2048
	case ed25519.PublicKey:
		return Ed25519
	}
	return ""
}

// Bits is the size of the key: that of the modulus for RSA, 256 for Ed25519, 0 for the
// zero Key.
func (k Key) Bits() int {
	switch public := k.public().(type) {
	case *rsa.PublicKey:
		return public.N.BitLen()
	case ed25519.PublicKey:
		return 8 * len(public)
	}
	return 0
}

// Equal reports whether both have the same names and the same private key.
func (k Key) Equal(other Key) bool {
	if k.domain != other.domain || k.selector != other.selector {
		return false
	}
	public, ok := k.public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return other.private == nil
	}
	return public.Equal(other.public())
}

func (k Key) public() crypto.PublicKey {
	if k.private == nil {
		return nil
	}
	return k.private.signer().Public()
}

// String names the key, for people.
func (k Key) String() string {
	if k.private == nil {
		return "no key"
	}
	return fmt.Sprintf("%s (%s)", k.RecordName(), k.Algorithm())
}

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON gives domain, selector and algorithm.
func (k Key) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Domain    string    `json:"domain"`
		Selector  string    `json:"selector"`
		Algorithm Algorithm `json:"algorithm"`
	}{k.domain, k.selector, k.Algorithm()})
}

// A KeyStore has the keys to sign with.
type KeyStore interface {
	// SigningKeys returns the keys for messages whose author is of a domain, which
	// is in lower case and in A-labels. Each makes a signature, in this order; none
	// means that such messages are not signed. A key may be of another domain, such
	// as a parent of this one. It is called by several goroutines at once.
	SigningKeys(ctx context.Context, domain string) ([]Key, error)
}

// A KeyStoreFunc is a function that is a KeyStore.
type KeyStoreFunc func(ctx context.Context, domain string) ([]Key, error)

// SigningKeys calls f.
func (f KeyStoreFunc) SigningKeys(ctx context.Context, domain string) ([]Key, error) {
	return f(ctx, domain)
}
