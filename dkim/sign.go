package dkim

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

// A Signer makes DKIM-Signature fields. It is safe for concurrent use and must not be
// changed meanwhile.
type Signer struct {
	// Keys has the keys. Required.
	Keys KeyStore

	// Lifetime is how long after signing a signature is valid (x=). If zero, for
	// ever: mail that is held, scheduled or retried may be old when it is verified.
	Lifetime time.Duration

	// Above are complete fields, each with its CRLF, that are put on top of the message
	// before the signatures are. They are signed as if they were in it, and do not count
	// towards the limits on its header.
	Above []byte
}

// Sign reads a message and returns the fields to put above it, one per key of the
// domain, each with its CRLF. Without a key it returns "" and reads nothing.
//
// The domain is that of the author (From), never that of the envelope. The message is
// read once, to its end, and takes the same memory whatever its size; of a header above
// the limit at most 102,401 octets are read. Lines end in CRLF; LF is taken for CRLF,
// which is what it becomes on its way.
//
// Errors: those at [ErrMalformed] and beside it for messages that cannot be signed, and
// for an Above that is not such fields, ErrDomain, and errors of the KeyStore, of msg and of ctx.
func (s *Signer) Sign(ctx context.Context, domain string, msg io.Reader) (fields string, err error) {
	domain, err = signingDomain(domain)
	if err != nil {
		return "", err
	}
	keys, err := s.Keys.SigningKeys(ctx, domain)
	if err != nil {
		return "", fmt.Errorf("dkim: keys of %s: %w", domain, err)
	}
	if len(keys) == 0 {
		return "", nil
	}
	m, err := readMessage(ctx, msg)
	if err != nil {
		return "", err
	}
	if m.header.Prepend(s.Above) != nil {
		return "", ErrMalformed
	}
	if err := m.checkFrom(); err != nil {
		return "", err
	}
	names, err := m.signedFields()
	if err != nil {
		return "", err
	}
	return s.sign(keys, names, m)
}

// sign feeds a message to one signer per key.
func (s *Signer) sign(keys []Key, names []string, m *message) (string, error) {
	var signers []*dkim.Signer
	var writers []io.Writer
	defer func() {
		for _, signer := range signers {
			signer.Close() // ends its goroutine, whatever happened; again is harmless
		}
	}()
	now := time.Now()
	for _, key := range keys {
		if key.private == nil {
			return "", errNoKey
		}
		options := dkim.SignOptions{
			Domain:                 key.domain,
			Selector:               key.selector,
			Signer:                 key.private.signer(),
			HeaderCanonicalization: dkim.CanonicalizationRelaxed,
			BodyCanonicalization:   dkim.CanonicalizationRelaxed,
			HeaderKeys:             names,
		}
		if s.Lifetime > 0 {
			options.Expiration = now.Add(s.Lifetime)
		}
		signer, err := dkim.NewSigner(&options)
		if err != nil {
			return "", fmt.Errorf("signing with %s: %w", key, err)
		}
		signers, writers = append(signers, signer), append(writers, signer)
	}
	if err := m.writeSigned(io.MultiWriter(writers...), names); err != nil {
		return "", err
	}
	var fields strings.Builder
	for i, signer := range signers {
		if err := signer.Close(); err != nil {
			return "", fmt.Errorf("signing with %s: %w", keys[i], err)
		}
		fields.WriteString(signer.Signature())
	}
	return fields.String(), nil
}
