package mailcore

import (
	"context"

	"github.com/panelmail/panelmail/srs"
)

// A SecretRing knows the secrets of SRS. *sites.Sites is one, with a ring for each
// site that wants its own and one for the others.
//
// Rewriter is asked for the copies of a message that a domain sends on, and for each
// address that might be rewritten, from many goroutines at once. It returns what makes and reads
// reverse-paths in domain, which is in A-labels and lower case: the domain of an
// alias, Hostname or Forwarding.Domain. What the ring of a domain made must be read
// with that ring for [srs.Rewriter.MaxAge], whatever was rotated meanwhile. An error
// defers the recipient.
type SecretRing interface {
	Rewriter(ctx context.Context, domain string) (*srs.Rewriter, error)
}

// SecretRingFunc is a function as a [SecretRing].
type SecretRingFunc func(ctx context.Context, domain string) (*srs.Rewriter, error)

// Rewriter implements [SecretRing].
func (f SecretRingFunc) Rewriter(ctx context.Context, domain string) (*srs.Rewriter, error) {
	return f(ctx, domain)
}
