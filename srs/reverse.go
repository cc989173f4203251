package srs

import (
	"fmt"
	"strings"
	"time"

	"github.com/panelmail/panelmail/internal/address"
)

// The tags of the two forms.
const (
	tag0 = "SRS0"
	tag1 = "SRS1"
)

// Reverse returns the address to which mail for an SRS address goes: the original
// sender, or what the first forwarder made of it. It is given without angle brackets.
// Its domain is ignored, and there may be none: the caller checks before that it is
// the one that the Rewriter rewrites to. The result is somebody else's address, to
// which the caller relays: what may be sent to it is judged by the SRS address.
//
// Errors are [ErrNotSRS], [ErrHash], [ErrExpired], [ErrMalformed], and that of a field
// with a wrong value. An SRS1 address does not expire: it says nothing of its day.
func (r *Rewriter) Reverse(srsAddress string) (string, error) {
	return r.reverseAt(time.Now(), srsAddress)
}

func (r *Rewriter) reverseAt(now time.Time, srsAddress string) (string, error) {
	s, err := r.settings()
	if err != nil {
		return "", err
	}
	local, err := localPart(srsAddress)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	version, rest := tag(local)
	switch {
	case version == "":
		return "", ErrNotSRS
	case len(local) > address.MaxLocal:
		return "", forged(address.ErrTooLong.Error())
	case version == tag0:
		return r.reverse0(s, now, rest)
	}
	return r.reverse1(s, rest)
}

func (r *Rewriter) reverse0(s settings, now time.Time, rest string) (string, error) {
	hash, rest, _ := strings.Cut(rest[1:], "=")
	day, rest, _ := strings.Cut(rest, "=")
	host, user, _ := strings.Cut(rest, "=")
	made, ok := parseStamp(day)
	switch {
	case user == "":
		return "", forged("a field of SRS0 is missing")
	case !ok:
		return "", forged("the stamp is not two characters of base32")
	case !r.verify(s, hash, day, host, user):
		return "", ErrHash
	case age(now, made) > s.maxAge:
		return "", ErrExpired
	}
	return whole(user + "@" + host)
}

func (r *Rewriter) reverse1(s settings, rest string) (string, error) {
	hash, first, rest, ok := fields1(rest)
	switch {
	case !ok:
		return "", forged("a field of SRS1 is missing")
	case !r.verify(s, hash, first, rest):
		return "", ErrHash
	}
	return whole(address.Address{Local: tag0 + rest, Domain: first}.String())
}

// whole checks the address that came out: the hash says that somebody with the
// secret made it, and not where host and user were divided.
func whole(original string) (string, error) {
	a, err := address.Parse(original)
	if err != nil {
		return "", forged("what it stands for: " + err.Error())
	}
	return a.String(), nil
}

// localPart is the value of the local-part of an address with or without a domain.
// Without quotes it may be one that no grammar has, which its hash then tells.
func localPart(s string) (string, error) {
	if !strings.HasPrefix(s, `"`) {
		if at := strings.LastIndexByte(s, '@'); at >= 0 {
			s = s[:at]
		}
		return s, nil
	}
	if strings.HasSuffix(s, `"`) {
		s += "@x"
	}
	a, err := address.Parse(s)
	return a.Local, err
}

// CutTag returns what follows the tag of an SRS address, whoever made it, in a local-part
// without quotes: the separator and the fields. If ok is false, there is no such tag, and
// rest is local: [Rewriter.Reverse] of such an address is [ErrNotSRS].
func CutTag(local string) (rest string, ok bool) {
	version, rest := tag(local)
	return rest, version != ""
}

// tag splits a local-part in the tag of an SRS address, as it is written here, and
// what follows, which begins with the separator. The tag is "" if it is none.
func tag(local string) (version, rest string) {
	if len(local) <= len(tag0) || !isSeparator(local[len(tag0)]) {
		return "", local
	}
	head, rest := local[:len(tag0)], local[len(tag0):]
	for _, version := range [...]string{tag0, tag1} {
		if strings.EqualFold(head, version) {
			return version, rest
		}
	}
	return "", local
}

// fields1 splits what follows the tag SRS1: a separator, the hash, the first
// forwarder, and what followed the tag in the address that he made, which begins
// with his separator.
func fields1(s string) (hash, first, rest string, ok bool) {
	hash, s, _ = strings.Cut(s[1:], "=")
	first, rest, _ = strings.Cut(s, "=")
	return hash, first, rest, first != "" && rest != "" && isSeparator(rest[0])
}

func isSeparator(c byte) bool { return c == '=' || c == '+' || c == '-' }
