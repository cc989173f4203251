package mailcore

import (
	"cmp"
	"context"
	"math"
	"time"

	"github.com/panelmail/panelmail/srs"
)

// Rewriter makes and reads the reverse-paths of forwarded mail in a domain of ours, as
// the desk does. "" is the domain of what the host itself sends on.
func (s *Server) Rewriter(ctx context.Context, domain string) (*srs.Rewriter, error) {
	d := s.current()
	return d.secrets.Rewriter(ctx, cmp.Or(domain, d.config.Forwarding.Domain, d.config.Hostname))
}

// Between looks at how old the secrets of SRS are. Other processes, and a
// configuration that is swapped, may change when the next is due.
const (
	rotationMost  = time.Hour
	rotationLeast = time.Minute // where it did not help
)

// rotateSecrets puts new secrets of SRS in the place of those that have signed for
// long enough, and forgets those whose addresses are all out of date, until ctx is
// done.
func (s *Server) rotateSecrets(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		config := s.current().config
		made, next, err := s.sites.RotateSRSByAge(ctx, rotationAge(config.Forwarding))
		if err != nil && ctx.Err() == nil {
			config.Log.Error("the secrets of SRS were not rotated", "error", err)
		}
		for _, secret := range made {
			config.Log.Info("srs secret rotated", "site", secret.Site, "id", secret.ID)
		}
		wait := rotationMost
		if !next.IsZero() {
			wait = min(wait, time.Until(next))
		}
		timer.Reset(max(wait, rotationLeast))
	}
}

// rotationAge is how old a secret may be that signs.
func rotationAge(f Forwarding) time.Duration {
	if f.Rotation < 0 {
		return math.MaxInt64
	}
	return f.Rotation
}
