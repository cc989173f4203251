package sites

import (
	"context"
	"database/sql"
	"maps"
	"slices"
)

// AddDKIMSigner says that a next hop, as written where it is used, signs all mail that
// it takes: a provider that does so with a key of its own. Mail that goes to such next
// hops alone is not signed here. Of one that is there already nothing changes.
func (s *Sites) AddDKIMSigner(ctx context.Context, nexthop string) error {
	key, err := foldNexthop("DKIM signer", nexthop)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO panelmail_dkim_signer (key) VALUES (?) ON CONFLICT DO NOTHING`, key)
		return err
	})
}

// RemoveDKIMSigner has mail for a next hop signed again.
func (s *Sites) RemoveDKIMSigner(ctx context.Context, nexthop string) error {
	key, err := foldNexthop("DKIM signer", nexthop)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		res, err := tx.Exec(`DELETE FROM panelmail_dkim_signer WHERE key = ?`, key)
		return affected(res, err, notFound("DKIM signer", key))
	})
}

// ListDKIMSigners lists the next hops that sign, in order.
func (s *Sites) ListDKIMSigners(ctx context.Context) ([]string, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(snap.dkimSigners)), nil
}

// HasDKIMSigners reports whether any next hop signs.
func (s *Snapshot) HasDKIMSigners() bool { return len(s.dkimSigners) > 0 }

// IsDKIMSigner reports whether a next hop signs all mail that it takes.
func (s *Snapshot) IsDKIMSigner(nexthop string) bool {
	key, err := foldNexthop("DKIM signer", nexthop)
	return err == nil && s.dkimSigners[key]
}

func loadDKIMSigners(tx *sql.Tx, snap *Snapshot) error {
	keys, err := texts(tx.Query(`SELECT key FROM panelmail_dkim_signer`))
	for _, key := range keys {
		snap.dkimSigners[key] = true
	}
	return err
}
