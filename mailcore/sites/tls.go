package sites

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/transport"
)

// A TLSPolicy says how mail to a next hop is to be encrypted.
type TLSPolicy struct {
	// Key is a domain, a next hop as written where it is used, or .domain for
	// all names below that domain.
	Key string `json:"key"`

	// Level is none, may or encrypt. Others are refused, never lowered.
	Level transport.TLSLevel `json:"level"`
}

// tlsKey folds a domain to A-labels; anything else stays as written.
func tlsKey(key string) (string, error) {
	if folded, err := foldDomain(strings.TrimPrefix(key, ".")); err == nil {
		if strings.HasPrefix(key, ".") {
			return "." + folded, nil
		}
		return folded, nil
	}
	return foldNexthop("TLS policy", key)
}

// SetTLSPolicy adds a policy or replaces the one of the same key.
func (s *Sites) SetTLSPolicy(ctx context.Context, p TLSPolicy) error {
	key, err := tlsKey(p.Key)
	if err != nil {
		return err
	}
	switch p.Level {
	case transport.TLSNone, transport.TLSMay, transport.TLSEncrypt:
	default:
		return invalid("TLS policy", p.Key, "level %q is not none, may or encrypt", p.Level)
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`
			INSERT INTO panelmail_tls (key, level) VALUES (?, ?)
			ON CONFLICT (key) DO UPDATE SET level = excluded.level`, key, p.Level)
		return err
	})
}

// RemoveTLSPolicy removes the policy of a key.
func (s *Sites) RemoveTLSPolicy(ctx context.Context, key string) error {
	folded, err := tlsKey(key)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_tls WHERE key = ?`, folded)
		return affected(r, err, notFound("TLS policy", folded))
	})
}

// ListTLSPolicies returns the policies in order of key.
func (s *Sites) ListTLSPolicies(ctx context.Context) ([]TLSPolicy, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]TLSPolicy, 0, len(snap.tls))
	for key, level := range snap.tls {
		list = append(list, TLSPolicy{Key: key, Level: level})
	}
	slices.SortFunc(list, func(a, b TLSPolicy) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// loadTLS takes levels as they are: one that a newer program wrote reaches the
// planner, which refuses what it does not know.
func loadTLS(tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.Query(`SELECT key, level FROM panelmail_tls`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var level transport.TLSLevel
		if err := rows.Scan(&key, &level); err != nil {
			return err
		}
		snap.tls[key] = level
	}
	return rows.Err()
}
