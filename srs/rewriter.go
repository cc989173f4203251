package srs

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// A Rewriter makes SRS addresses in one domain and reverses them. Fields are set
// before it is used; after that it is safe for concurrent use. It prints without its
// secrets.
type Rewriter struct {
	// Separator stands behind the tag SRS0 or SRS1: '=', '+' or '-'. Any of them is
	// understood on the way back. If zero, '='.
	Separator byte

	// HashLength is how many characters of the hash an address has, 4 to 27. One
	// that is to be guessed right takes on average 2 to the power of 5·HashLength
	// tries, for the case of letters does not count. If zero, 8.
	HashLength int

	// MinHashLength is how many characters an address must come back with, from 4 to
	// HashLength; all that are there, up to HashLength, must be right. It is for
	// taking over addresses that were made with shorter hashes, and lets guessed
	// ones of that length in. If zero, HashLength.
	MinHashLength int

	// MaxAge is for how many days after the one on which it was made an address is
	// valid, up to 1,000. Days are those of UTC. If zero, 21.
	MaxAge int

	// MaxLocalPart is how many octets the local-part of a rewritten address may
	// have; a longer one is [ErrTooLong]. RFC 5321 section 4.5.3.1.1 makes every
	// server take 64, and advises against limits; servers in use take more, and
	// senders of mailing lists need more. If zero, only the length of the whole
	// address counts: 254 octets (RFC 5321 section 4.5.3.1.3).
	MaxLocalPart int

	// AlwaysRewrite is for a sender in the domain of the Rewriter itself: it is left
	// alone if false.
	AlwaysRewrite bool

	domain  string
	secrets []secret // the first signs
}

// Limits and defaults of the fields.
const (
	defaultHashLength = 8
	leastHashLength   = 4
	mostHashLength    = 27 // base64 characters of a SHA-1 without the padding
	defaultMaxAge     = 21
	mostMaxAge        = 1000 // the stamp has 1,024 days
	maxAddress        = 254  // octets, RFC 5321 section 4.5.3.1.3 without the brackets
)

// New returns a Rewriter for addresses in domain, which is one whose mail comes to
// the caller and for which the caller's hosts may send. The first secret signs, all
// verify, so that addresses made with a secret that was replaced are understood for
// as long as it is given. A secret should be 16 random octets or more.
func New(domain string, secrets ...[]byte) (*Rewriter, error) {
	if _, err := address.Parse("x@" + domain); err != nil {
		return nil, fmt.Errorf("srs: the domain for rewritten addresses: %w", err)
	}
	if len(secrets) == 0 {
		return nil, errors.New("srs: there is no secret")
	}
	r := &Rewriter{domain: strings.TrimSuffix(domain, ".")}
	for i, s := range secrets {
		if len(s) == 0 {
			return nil, fmt.Errorf("srs: secret %d of %d is empty", i+1, len(secrets))
		}
		r.secrets = append(r.secrets, newSecret(bytes.Clone(s)))
	}
	return r, nil
}

// A settings has the fields of a Rewriter with their defaults.
type settings struct {
	separator        byte
	hash, minHash    int
	maxAge, maxLocal int
}

func (r *Rewriter) settings() (settings, error) {
	s := settings{
		separator: r.Separator,
		hash:      r.HashLength,
		minHash:   r.MinHashLength,
		maxAge:    r.MaxAge,
		maxLocal:  r.MaxLocalPart,
	}
	orElse(&s.separator, '=')
	orElse(&s.hash, defaultHashLength)
	orElse(&s.minHash, s.hash)
	orElse(&s.maxAge, defaultMaxAge)
	orElse(&s.maxLocal, maxAddress)
	switch {
	case !isSeparator(s.separator):
		return s, fmt.Errorf("srs: Separator is %q, want =, + or -", s.separator)
	case s.hash < leastHashLength || s.hash > mostHashLength:
		return s, fmt.Errorf("srs: HashLength is %d, want %d to %d", s.hash, leastHashLength, mostHashLength)
	case s.minHash < leastHashLength || s.minHash > s.hash:
		return s, fmt.Errorf("srs: MinHashLength is %d, want %d to HashLength, which is %d", s.minHash, leastHashLength, s.hash)
	case s.maxAge < 0 || s.maxAge > mostMaxAge:
		return s, fmt.Errorf("srs: MaxAge is %d days, want up to %d", s.maxAge, mostMaxAge)
	case s.maxLocal < 0:
		return s, fmt.Errorf("srs: MaxLocalPart is %d, want octets", s.maxLocal)
	}
	return s, nil
}

// orElse gives what is not set its default.
func orElse[T byte | int](value *T, unset T) {
	if *value == 0 {
		*value = unset
	}
}
