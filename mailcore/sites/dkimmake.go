package sites

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/panelmail/panelmail/dkim"
)

// GenerateDKIM sets how the keys of a domain are made, and makes one of each
// algorithm that the domain has none of, to be published: see [DKIMState] for what
// follows. It returns those that it made. A domain that no site has is [ErrNotFound],
// unless the policy says that it is our own.
func (s *Sites) GenerateDKIM(ctx context.Context, p DKIMPolicy) (made []DKIMKey, err error) {
	if err := p.normalize(); err != nil {
		return nil, err
	}
	fresh, err := newDKIM(p.Domain, p.Algorithms)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, func(tx *sql.Tx) (err error) {
		if err := mayHaveDKIM(tx, p.Domain, p.Own); err != nil {
			return err
		}
		if err := p.write(tx); err != nil {
			return err
		}
		made, err = addDKIM(tx, p, fresh, func(k DKIMKey) bool {
			return k.State != DKIMStopped && k.State != DKIMRetired
		})
		return err
	})
	return made, err
}

// RotateDKIM makes a successor for each key of a domain: one of each algorithm of its
// policy. They replace the keys that sign when they have been seen on all servers. A
// domain that has a key which is not yet signing is [ErrInUse].
func (s *Sites) RotateDKIM(ctx context.Context, domain string) (made []DKIMKey, err error) {
	folded, err := foldDomain(domain)
	if err != nil {
		return nil, invalid("domain", domain, "%v", err)
	}
	var p DKIMPolicy
	err = s.db.View(ctx, func(tx *sql.Tx) (err error) {
		p, err = readDKIMPolicy(tx, folded)
		return err
	})
	if err != nil {
		return nil, ours(err)
	}
	fresh, err := newDKIM(folded, p.Algorithms)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, func(tx *sql.Tx) (err error) {
		for _, a := range p.Algorithms {
			var waiting string
			err := tx.QueryRow(`
				SELECT coalesce(max(selector), '') FROM panelmail_dkim
				WHERE domain = ? AND algorithm = ? AND state IN ('pending', 'seen')`, folded, a).Scan(&waiting)
			if err != nil {
				return err
			}
			if waiting != "" {
				return fmt.Errorf("sites: the next DKIM key %s %w: publish it, or remove it", dkimName(folded, waiting), ErrInUse)
			}
		}
		made, err = addDKIM(tx, p, fresh, func(DKIMKey) bool { return false })
		return err
	})
	return made, err
}

// ImportDKIM adds a key that was made elsewhere, in PEM, under the selector that it
// has there. It begins to sign when it has been seen, as any other; it is rotated by
// the policy of the domain, which is the default one if there is none.
func (s *Sites) ImportDKIM(ctx context.Context, p DKIMPolicy, selector string, pem []byte) (DKIMKey, error) {
	if err := p.normalize(); err != nil {
		return DKIMKey{}, err
	}
	selector = strings.ToLower(selector) // it is a name in the DNS
	key, err := dkim.ParseKey(p.Domain, selector, pem)
	if err != nil {
		return DKIMKey{}, invalid("DKIM key", dkimName(p.Domain, selector), "%v", err)
	}
	var made DKIMKey
	err = s.change(ctx, func(tx *sql.Tx) error {
		if err := mayHaveDKIM(tx, p.Domain, p.Own); err != nil {
			return err
		}
		if _, err := readDKIMPolicy(tx, p.Domain); errors.Is(err, ErrNotFound) {
			err = p.write(tx)
			if err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		there, err := dkimOf(tx, p.Domain)
		if err != nil {
			return err
		}
		made, err = insertDKIM(tx, key, "", there)
		return err
	})
	return made, err
}

// mayHaveDKIM checks that somebody answers for a domain.
func mayHaveDKIM(tx *sql.Tx, domain string, own bool) error {
	site, err := domainSite(tx, domain)
	if err == nil && site == "" && !own {
		return notFound("domain", domain)
	}
	return err
}

// newDKIM makes keys, which takes too long for a transaction: their selectors are not
// known yet.
func newDKIM(domain string, algorithms []dkim.Algorithm) ([]dkim.Key, error) {
	var keys []dkim.Key
	for _, a := range algorithms {
		k, err := dkim.GenerateKey(domain, "new", a)
		if err != nil {
			return nil, invalid("domain", domain, "%v", err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// addDKIM stores those of the fresh keys whose algorithm no key has that stands in for
// them.
func addDKIM(tx *sql.Tx, p DKIMPolicy, fresh []dkim.Key, standsIn func(DKIMKey) bool) (made []DKIMKey, err error) {
	there, err := dkimOf(tx, p.Domain)
	if err != nil {
		return nil, err
	}
	for _, k := range fresh {
		if slices.ContainsFunc(there, func(old DKIMKey) bool { return old.Algorithm == k.Algorithm() && standsIn(old) }) {
			continue
		}
		selector, target, err := p.place(k.Algorithm(), there)
		if err != nil {
			return nil, err
		}
		if k, err = named(k, selector); err != nil {
			return nil, err
		}
		stored, err := insertDKIM(tx, k, target, there)
		if err != nil {
			return nil, err
		}
		made = append(made, stored)
	}
	return made, nil
}

// named is a key under another selector.
func named(k dkim.Key, selector string) (dkim.Key, error) {
	pem, err := k.MarshalPEM()
	if err != nil {
		return dkim.Key{}, err
	}
	return dkim.ParseKey(k.Domain(), selector, pem)
}

// place finds a selector for a key that is free, and where its CNAME leads. A selector
// of its own has the day in it. Of those that are delegated one is free when the mail
// signed with it has gone.
func (p *DKIMPolicy) place(a dkim.Algorithm, there []DKIMKey) (selector, target string, err error) {
	taken := func(selector string, delegated bool) bool {
		return slices.ContainsFunc(there, func(k DKIMKey) bool {
			return k.Selector == selector && (!delegated || k.Live())
		})
	}
	if p.Zone != "" {
		for _, n := range "12" {
			if selector = string(a[0]) + string(n); !taken(selector, true) {
				return selector, dkimName(p.Domain, selector) + "." + p.Zone, nil
			}
		}
		return "", "", fmt.Errorf("sites: each delegated selector of %s %w: mail signed with it is under way", p.Domain, ErrInUse)
	}
	day := string(a[0]) + time.Now().UTC().Format("20060102")
	for suffix := 'a'; suffix <= 'z'; suffix++ {
		if selector = day; suffix > 'a' {
			selector += string(suffix)
		}
		if !taken(selector, false) {
			return selector, "", nil
		}
	}
	return "", "", fmt.Errorf("sites: every selector of %s for today %w", p.Domain, ErrInUse)
}

// insertDKIM stores a key that is to be published, beside those of its domain that are
// there.
func insertDKIM(tx *sql.Tx, key dkim.Key, target string, there []DKIMKey) (DKIMKey, error) {
	pem, err := key.MarshalPEM()
	if err != nil {
		return DKIMKey{}, err
	}
	first := target == ""
	for _, k := range there {
		if k.Selector == key.Selector() && k.Live() {
			return DKIMKey{}, exists("DKIM key", key.RecordName())
		}
		if k.State == DKIMSigning || k.State == DKIMStopped || k.Selector == key.Selector() {
			first = false
		}
	}
	now := time.Now().UnixMicro()
	res, err := tx.Exec(`
		INSERT INTO panelmail_dkim (domain, selector, algorithm, state, record, target, private, first, created, next)
		VALUES (?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?)`,
		key.Domain(), key.Selector(), key.Algorithm(), key.Record(), target, string(pem), first, now, now)
	if err != nil {
		return DKIMKey{}, err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return DKIMKey{}, err
	}
	return readDKIM(tx, id)
}

func readDKIM(tx *sql.Tx, id int64) (DKIMKey, error) {
	return scanDKIM(tx.QueryRow(selectDKIM+` WHERE id = ?`, id))
}
