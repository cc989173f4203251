package srs

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// A secret makes the keyed hash of a text. It is a function so that nothing that
// prints a Rewriter can print what is in it.
type secret func(text string) [sha1.Size]byte

// newSecret returns the HMAC-SHA1 of RFC 2104 under a key.
func newSecret(key []byte) secret {
	return func(text string) (sum [sha1.Size]byte) {
		mac := hmac.New(sha1.New, key)
		mac.Write([]byte(text))
		mac.Sum(sum[:0])
		return sum
	}
}

// sign is the hash of the fields in base64, n characters of it.
func (s secret) sign(n int, fields ...string) string {
	sum := s(hashed(fields))
	return base64.StdEncoding.EncodeToString(sum[:])[:n]
}

// hashed is the text of which a hash is made: the fields one behind the other,
// without anything in between, in lower case.
// Only the letters of ASCII have one.
func hashed(fields []string) string {
	text := []byte(strings.Join(fields, ""))
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c + 'a' - 'A'
		}
	}
	return string(text)
}

// verify reports whether one of the secrets made the hash of the fields. Of given,
// which has to have minHash characters, the first hash ones are compared. Every
// secret is tried and each takes as long as any other: the time says neither how much
// of a hash was right nor which secret made it.
func (r *Rewriter) verify(s settings, given string, fields ...string) bool {
	if len(given) < s.minHash {
		return false
	}
	folded := []byte(given[:min(len(given), s.hash)])
	for i, c := range folded {
		folded[i] = foldHash(c)
	}
	text, right := hashed(fields), 0
	for _, secret := range r.secrets {
		sum := secret(text)
		var own [mostHashLength + 1]byte
		base64.StdEncoding.Encode(own[:], sum[:])
		for i, c := range own {
			own[i] = foldHash(c)
		}
		right |= subtle.ConstantTimeCompare(own[:len(folded)], folded)
	}
	return right == 1
}

// foldHash makes letters small, for mail systems on the way may have done so, and
// maps the URL-safe alphabet of base64 (RFC 4648 section 5) to the standard one. It
// has no branches.
func foldHash(c byte) byte {
	n := int(c)
	upper := subtle.ConstantTimeLessOrEq('A', n) & subtle.ConstantTimeLessOrEq(n, 'Z')
	c |= byte(upper << 5)
	c = byte(subtle.ConstantTimeSelect(subtle.ConstantTimeByteEq(c, '-'), '+', int(c)))
	return byte(subtle.ConstantTimeSelect(subtle.ConstantTimeByteEq(c, '_'), '/', int(c)))
}
