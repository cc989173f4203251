package sites

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"

	"github.com/panelmail/panelmail/dkim"
)

var _ dkim.KeyStore = (*Sites)(nil)

// SigningKeys implements [dkim.KeyStore]: the keys of a domain that sign, oldest first.
// One that has none is signed for by the nearest domain above it that has, unless it, or
// one between the two, is another site's. Private keys are read from the database once
// and remembered.
func (s *Sites) SigningKeys(ctx context.Context, domain string) ([]dkim.Key, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	return s.signingKeys(ctx, domain, snap.signers(domain))
}

// ReportKeys are the keys that sign the reports of a host: those of [Sites.SigningKeys],
// but none of a site's domain, unless its policy says that it is our own (see
// [DKIMPolicy]).
func (s *Sites) ReportKeys(ctx context.Context, host string) ([]dkim.Key, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.signingKeys(ctx, host, snap.signers(host))
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	signer := keys[0].Domain()
	if of, sited := snap.domains[signer]; sited && of.Site != "" && !snap.dkimOwn[signer] {
		return nil, nil
	}
	return keys, nil
}

func (s *Sites) signingKeys(ctx context.Context, domain string, ids []int64) ([]dkim.Key, error) {
	var keys []dkim.Key
	for _, id := range ids {
		k, err := s.signingKey(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("sites: DKIM keys of %s: %w", domain, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// signers are the numbers of the keys that sign for a folded domain.
func (s *Snapshot) signers(domain string) []int64 {
	if len(s.dkim) == 0 {
		return nil
	}
	site, sited := "", false
	for name := domain; strings.Contains(name, "."); _, name, _ = strings.Cut(name, ".") {
		if d, ok := s.domains[name]; ok {
			if sited && d.Site != site {
				return nil
			}
			site, sited = d.Site, true
		}
		if ids := s.dkim[name]; ids != nil {
			if _, ok := s.domains[name]; sited && !ok {
				return nil // a key of ours is not for mail of a site
			}
			return ids
		}
	}
	return nil
}

// signingKey reads and parses a private key, or remembers it.
func (s *Sites) signingKey(ctx context.Context, id int64) (dkim.Key, error) {
	if k, ok := s.private.get(id); ok {
		return k, nil
	}
	var domain, selector, pem string
	err := s.db.View(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT domain, selector, private FROM panelmail_dkim WHERE id = ?`, id).
			Scan(&domain, &selector, &pem)
	})
	if err != nil {
		return dkim.Key{}, err
	}
	k, err := dkim.ParseKey(domain, selector, []byte(pem))
	if err != nil {
		return dkim.Key{}, err
	}
	s.private.put(id, k)
	return k, nil
}

// maxPrivate bounds the private keys that are remembered, of some kilobytes each.
const maxPrivate = 4096

// privateKeys remembers keys by their number, which is never another's.
type privateKeys struct {
	mu   sync.Mutex
	keys map[int64]dkim.Key
}

func (p *privateKeys) get(id int64) (dkim.Key, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.keys[id]
	return k, ok
}

func (p *privateKeys) put(id int64, k dkim.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil || len(p.keys) >= maxPrivate {
		p.keys = map[int64]dkim.Key{}
	}
	p.keys[id] = k
}

// keepOnly forgets the keys that sign no more.
func (p *privateKeys) keepOnly(signing map[string][]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.keys
	p.keys = map[int64]dkim.Key{}
	for _, ids := range signing {
		for _, id := range ids {
			if k, ok := was[id]; ok {
				p.keys[id] = k
			}
		}
	}
}

const (
	ownDKIM     = `SELECT domain FROM panelmail_dkim_policy WHERE own = 1`
	signingDKIM = `SELECT domain, id FROM panelmail_dkim WHERE state = 'signing' ORDER BY domain, id`
)

func loadDKIM(tx *sql.Tx, snap *Snapshot) error {
	own, err := texts(tx.Query(ownDKIM))
	if err != nil {
		return err
	}
	for _, domain := range own {
		snap.dkimOwn[domain] = true
	}
	rows, err := tx.Query(signingDKIM)
	return eachRow(rows, err, func() error {
		var domain string
		var id int64
		if err := rows.Scan(&domain, &id); err != nil {
			return err
		}
		snap.dkim[domain] = append(snap.dkim[domain], id)
		return nil
	})
}

// CheckDKIM compares the texts of the TXT records under the name of a key with the key.
// wrong says what is wrong with them: see [dkim.Key.CheckRecord]. With err nothing is
// known of them: the key could not be read. One that was retired cannot be compared.
func (s *Sites) CheckDKIM(ctx context.Context, k DKIMKey, published []string) (wrong, err error) {
	private, err := s.signingKey(ctx, k.id)
	if err != nil {
		return nil, fmt.Errorf("sites: DKIM key %s: %w", k.Name, err)
	}
	return private.CheckRecord(published), nil
}
