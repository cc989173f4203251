package srs

import (
	"fmt"
	"strings"
	"time"

	"github.com/panelmail/panelmail/internal/address"
)

// Forward returns the reverse-path of a forwarded copy, given the original one
// without angle brackets. The null reverse-path "" stays "", and a sender in the
// domain of the Rewriter stays as it is, unless AlwaysRewrite is set. An address that
// another forwarder has rewritten becomes an SRS1 address. If the domain is outside
// ASCII, the result has its A-labels (RFC 5890).
//
// Errors are [ErrMalformed] and [ErrTooLong], and that of a field with a wrong value.
func (r *Rewriter) Forward(reversePath string) (string, error) {
	return r.forwardAt(time.Now(), reversePath)
}

func (r *Rewriter) forwardAt(now time.Time, reversePath string) (string, error) {
	s, err := r.settings()
	if err != nil || reversePath == "" {
		return "", err
	}
	sender, err := address.Parse(reversePath)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	host, err := sender.ASCIIDomain()
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrMalformed, err)
	case host == "":
		return "", fmt.Errorf("%w: %w", ErrMalformed, address.ErrNoDomain)
	case !r.AlwaysRewrite && r.own(sender):
		return reversePath, nil
	}
	local, err := r.local(s, now, sender.Local, host)
	if err != nil {
		return "", err
	}
	rewritten := address.Address{Local: local, Domain: r.domain}.String()
	if len(rewritten)-len("@")-len(r.domain) > s.maxLocal || len(rewritten) > maxAddress {
		return "", ErrTooLong
	}
	return rewritten, nil
}

// own reports whether a sender is in the domain of the Rewriter.
func (r *Rewriter) own(sender address.Address) bool {
	ours := address.Address{Domain: r.domain}
	return sender.Fold().Domain == ours.Fold().Domain
}

// local is the new local-part of a sender.
func (r *Rewriter) local(s settings, now time.Time, user, host string) (string, error) {
	signs, separator := r.secrets[0], string(s.separator)
	switch version, rest := tag(user); version {
	case tag0:
		return tag1 + separator + signs.sign(s.hash, host, rest) + "=" + host + "=" + rest, nil
	case tag1:
		// The first forwarder stays, so that a bounce needs two steps however
		// many forwarders there were.
		_, first, rest, ok := fields1(rest)
		if !ok {
			return "", fmt.Errorf("%w: a field of SRS1 is missing", ErrMalformed)
		}
		if _, err := address.Parse(address.Address{Local: tag0 + rest, Domain: first}.String()); err != nil {
			return "", fmt.Errorf("%w: the first forwarder: %w", ErrMalformed, err)
		}
		return tag1 + separator + signs.sign(s.hash, first, rest) + "=" + first + "=" + rest, nil
	}
	day := stamp(now)
	spelt := spelling(user)
	return strings.Join([]string{tag0 + separator + signs.sign(s.hash, day, host, spelt), day, host, spelt}, "="), nil
}

// spelling is a local-part as it is written in an address, with quotes if it needs
// them.
func spelling(local string) string {
	const domain = "@x"
	return strings.TrimSuffix(address.Address{Local: local, Domain: domain[1:]}.String(), domain)
}
