package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What can be wrong with the record of a key; matched with errors.Is. Behind
// ErrRecord the text says more.
var (
	ErrNoRecord    = errors.New("there is no TXT record")
	ErrManyRecords = errors.New("there is more than one TXT record; verifiers may take any of them or none")
	ErrRevoked     = errors.New("the record revokes the key: its p= is empty")
	ErrOtherKey    = errors.New("the record has another public key")
	ErrTesting     = errors.New("the record is marked as a test (t=y): verifiers treat the mail as if it were not signed")
	ErrRecord      = errors.New("verifiers cannot use the record")
)

// CheckRecord compares what is published under [Key.RecordName] with the key, and says
// what is wrong. Of each TXT record there it is given the text, its
// character-strings joined. Spelling does not matter as long as a verifier finds this key
// and may use it for mail signed by a [Signer] (RFC 6376 section 3.6.1).
func (k Key) CheckRecord(published []string) error {
	switch {
	case k.private == nil:
		return errNoKey
	case len(published) == 0:
		return ErrNoRecord
	case len(published) > 1:
		return ErrManyRecords
	}
	text := published[0]
	tags, err := parseTags(text)
	switch {
	case strings.ContainsAny(text, `"\`):
		return fmt.Errorf("%w: quotes or backslashes of a zone file are in its text", ErrRecord)
	case err != nil:
		return fmt.Errorf("%w: it is not a list of name=value with semicolons between", ErrRecord)
	}
	if err := k.checkTerms(tags); err != nil {
		return err
	}
	if err := k.checkPublic(tags); err != nil {
		return err
	}
	if flags, _ := find(tags, "t"); has(flags, "y") {
		return ErrTesting
	}
	return nil
}

// checkTerms looks at what the record says about the use of its key.
func (k Key) checkTerms(tags []tag) error {
	if v, ok := find(tags, "v"); ok && (v != "DKIM1" || tags[0].name != "v") {
		return fmt.Errorf("%w: v=DKIM1 has to come first", ErrRecord)
	}
	if hashes, ok := find(tags, "h"); ok && !has(hashes, "sha256") {
		return fmt.Errorf("%w: its h= does not allow sha256", ErrRecord)
	}
	if services, ok := find(tags, "s"); ok && !has(services, "email") && !has(services, "*") {
		return fmt.Errorf("%w: its s= does not allow mail", ErrRecord)
	}
	want := "rsa"
	if k.Algorithm() == Ed25519 {
		want = "ed25519"
	}
	if got, ok := find(tags, "k"); ok && got != want || !ok && want != "rsa" {
		return fmt.Errorf("%w: its k= is not %s", ErrOtherKey, want)
	}
	return nil
}

// checkPublic compares the public key.
func (k Key) checkPublic(tags []tag) error {
	text, ok := find(tags, "p")
	text = withoutBlanks(text)
	switch {
	case !ok:
		return fmt.Errorf("%w: it has no p=", ErrRecord)
	case text == "":
		return ErrRevoked
	}
	want, _ := parseTags(k.Record())
	if whole, _ := find(want, "p"); text != whole && strings.HasPrefix(whole, text) {
		return fmt.Errorf("%w: the public key is cut off after %d of %d characters", ErrRecord, len(text), len(whole))
	}
	public, err := k.parsePublic(text)
	if err != nil {
		return err
	}
	if same, ok := k.public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !same.Equal(public) {
		return ErrOtherKey
	}
	return nil
}

// parsePublic reads a public key of the kind of k.
func (k Key) parsePublic(text string) (crypto.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: its p= is not base64", ErrRecord)
	}
	if k.Algorithm() == Ed25519 {
		return ed25519.PublicKey(der), nil
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err == nil {
		return public, nil
	}
	// Verifiers take the other form of an RSA key too (erratum 3017 of RFC 6376).
	var bare *rsa.PublicKey
	if bare, err = x509.ParsePKCS1PublicKey(der); err != nil {
		return nil, fmt.Errorf("%w: its p= is no public key", ErrRecord)
	}
	return bare, nil
}

// has reports whether a list with colons has an item.
func has(list, item string) bool {
	return slices.Contains(strings.Split(withoutBlanks(list), ":"), item)
}
