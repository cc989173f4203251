package mailcore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/panelmail/panelmail/mailcore/sites"
)

// A DKIMCheck is a key and what is wrong with its record.
type DKIMCheck struct {
	sites.DKIMKey

	// Problems are what is wrong: one for each server that does not publish the
	// record as it should be.
	Problems []string `json:"problems,omitempty"`
}

// Advice says, for people, what the key waits for.
func (c *DKIMCheck) Advice() []string {
	switch c.State {
	case sites.DKIMPending:
		if len(c.Problems) > 0 {
			return []string{"nothing is signed with it yet: publish " + c.Name + " as panelmail dkim record shows it"}
		}
	case sites.DKIMSeen:
		return []string{"all servers have it; it signs from " + c.Begins.Format(time.RFC3339) + " on, when no cache can have anything else"}
	case sites.DKIMStopped:
		return []string{"leave its record: mail that is signed with it is under way"}
	}
	return nil
}

// CheckDKIM compares the keys of a domain that are not retired with what each
// authoritative server publishes, and takes them on in their lives as
// [Server.KeepKeys] does. A domain without keys is [sites.ErrNotFound].
func (s *Server) CheckDKIM(ctx context.Context, domain string) ([]DKIMCheck, error) {
	keys, err := s.sites.ListDKIM(ctx, domain)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("mailcore: DKIM keys of %s: %w", domain, sites.ErrNotFound)
	}
	signed, err := s.queue.Signed(ctx)
	if err != nil {
		return nil, err
	}
	var all []DKIMCheck
	for _, k := range keys {
		if !k.Live() {
			continue
		}
		found, err := s.lookAfter(ctx, k, signed, false)
		if errors.Is(err, sites.ErrNotFound) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, DKIMCheck{found.key, found.problems})
	}
	return all, nil
}
