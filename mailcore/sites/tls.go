package sites

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/transport"
)

// A TLSPolicy says how mail to a next hop is to be encrypted.
type TLSPolicy struct {
	// Site is whose mail it is for; empty: everybody's. A policy of a site goes
	// before all of those for everybody.
	Site string `json:"site,omitempty"`

	// Key is a domain, a next hop as written where it is used, .domain for all
	// names below that domain, or "*" for every next hop. Of the keys that fit,
	// the first in this order counts, and of several .domain the longest.
	Key string `json:"key"`

	Level transport.TLSLevel `json:"level"`

	// The terms, without those that a planner sets.
	transport.TLSTerms
}

// anyNexthop is the key of a policy for every next hop.
const anyNexthop = "*"

// A tlsRowKey says whose policy about what it is.
type tlsRowKey struct{ site, key string }

// tlsKey folds a domain to A-labels; anything else stays as written.
func tlsKey(key string) (string, error) {
	if key == anyNexthop {
		return key, nil
	}
	if folded, err := address.ParseDomain(strings.TrimPrefix(key, ".")); err == nil {
		if strings.HasPrefix(key, ".") {
			return "." + folded, nil
		}
		return folded, nil
	}
	return foldNexthop("TLS policy", key)
}

// Check reports what is wrong with a policy, as [Sites.SetTLSPolicy] does, but for
// whether its site exists.
func (p TLSPolicy) Check() error {
	if _, err := tlsKey(p.Key); err != nil {
		return err
	}
	if p.Published || p.Required {
		return invalid("TLS policy", p.Key, "that is for planners to say")
	}
	if err := (transport.TLSPolicy{Level: p.Level, TLSTerms: p.TLSTerms}).Check(); err != nil {
		return invalid("TLS policy", p.Key, "%v", err)
	}
	return nil
}

// SetTLSPolicy adds a policy or replaces the one of the same site and key. A level or
// a term that is not known, or that makes no sense, is [ErrInvalid].
func (s *Sites) SetTLSPolicy(ctx context.Context, p TLSPolicy) error {
	if err := p.Check(); err != nil {
		return err
	}
	key, err := tlsKey(p.Key)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		if p.Site != "" {
			if err := mustHaveSite(tx, p.Site); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`
			INSERT INTO panelmail_tls (site, key, level, match, ca, min, ciphers) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (site, key) DO UPDATE SET level = excluded.level, match = excluded.match,
				ca = excluded.ca, min = excluded.min, ciphers = excluded.ciphers`,
			p.Site, key, p.Level, p.Match, p.CA, p.MinVersion, p.Ciphers)
		return err
	})
}

// RemoveTLSPolicy removes the policy of a site, "" for everybody's, and a key.
func (s *Sites) RemoveTLSPolicy(ctx context.Context, site, key string) error {
	folded, err := tlsKey(key)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_tls WHERE site = ? AND key = ?`, site, folded)
		return affected(r, err, notFound("TLS policy", folded))
	})
}

// ListTLSPolicies returns the policies in order of site and key.
func (s *Sites) ListTLSPolicies(ctx context.Context) ([]TLSPolicy, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]TLSPolicy, 0, len(snap.tls))
	for key, p := range snap.tls {
		p.Published = false
		list = append(list, TLSPolicy{Site: key.site, Key: key.key, Level: p.Level, TLSTerms: p.TLSTerms})
	}
	slices.SortFunc(list, func(a, b TLSPolicy) int {
		return cmp.Or(strings.Compare(a.Site, b.Site), strings.Compare(a.Key, b.Key))
	})
	return list, nil
}

// loadTLS takes policies as they are: one that a newer program wrote reaches the
// planner, which refuses what it does not know. What holds for every next hop is a
// default, beside which the policy that a domain publishes counts.
func loadTLS(tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.Query(`SELECT site, key, level, match, ca, min, ciphers FROM panelmail_tls`)
	return eachRow(rows, err, func() error {
		var key tlsRowKey
		var p transport.TLSPolicy
		if err := rows.Scan(&key.site, &key.key, &p.Level, &p.Match, &p.CA, &p.MinVersion, &p.Ciphers); err != nil {
			return err
		}
		p.Published = key.key == anyNexthop
		snap.tls[key] = p
		return nil
	})
}
