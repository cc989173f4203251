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
	"github.com/panelmail/panelmail/internal/address"
)

// GenerateDKIM sets how the keys of a domain are made, and makes one of each
// algorithm that the domain has none of, to be published: see [DKIMState] for what
// follows. It returns those that it made. A domain that no site has is [ErrNotFound],
// unless the policy says that it is our own.
func (s *Sites) GenerateDKIM(ctx context.Context, p DKIMPolicy) (made []DKIMKey, err error) {
	if err := p.normalize(); err != nil {
		return nil, err
	}
	return s.makeDKIM(ctx, p.Domain, func(tx *sql.Tx, there []DKIMKey) ([]dkimPlace, error) {
		if err := mayHaveDKIM(tx, p.Domain, p.Own); err != nil {
			return nil, err
		}
		if err := p.write(tx); err != nil {
			return nil, err
		}
		return p.places(there, func(k DKIMKey) bool {
			return k.State != DKIMStopped && k.State != DKIMRetired
		})
	})
}

// RotateDKIM makes a successor for each key of a domain: one of each algorithm of its
// policy. They replace the keys that sign when they have been seen on all servers. A
// domain that has a key which is not yet signing is [ErrInUse].
func (s *Sites) RotateDKIM(ctx context.Context, domain string) (made []DKIMKey, err error) {
	folded, err := address.ParseDomain(domain)
	if err != nil {
		return nil, invalid("domain", domain, "%v", err)
	}
	return s.makeDKIM(ctx, folded, func(tx *sql.Tx, there []DKIMKey) ([]dkimPlace, error) {
		p, err := readDKIMPolicy(tx, folded)
		if err != nil {
			return nil, err
		}
		for _, k := range there {
			if (k.State == DKIMPending || k.State == DKIMSeen) && slices.Contains(p.Algorithms, k.Algorithm) {
				return nil, fmt.Errorf("sites: the next DKIM key %s %w: publish it, or remove it", k.Name, ErrInUse)
			}
		}
		return p.places(there, func(DKIMKey) bool { return false })
	})
}

// A dkimPlace is where a key is to be.
type dkimPlace struct {
	algorithm        dkim.Algorithm
	selector, target string // target is where the CNAME leads; "": there is none
}

// errNoKey takes a transaction back that has no key for a place.
var errNoKey = errors.New("sites: a key is to be generated")

// makeDKIM stores a key at each place that decide finds in the transaction, beside the
// keys of the folded domain that are there. Generating one takes too long for a
// transaction, so the transaction that finds one missing is taken back, and made anew
// when there is one.
func (s *Sites) makeDKIM(ctx context.Context, domain string, decide func(tx *sql.Tx, there []DKIMKey) ([]dkimPlace, error)) (made []DKIMKey, err error) {
	keys := map[dkimPlace]dkim.Key{}
	for {
		var places []dkimPlace
		err := s.change(ctx, func(tx *sql.Tx) error {
			there, err := dkimOf(tx, domain)
			if err != nil {
				return err
			}
			if places, err = decide(tx, there); err != nil {
				return err
			}
			made, err = addDKIM(tx, places, keys, there)
			return err
		})
		if err == nil {
			return made, nil
		}
		if !errors.Is(err, errNoKey) {
			return nil, err
		}
		for _, at := range places {
			if _, ok := keys[at]; ok {
				continue
			}
			if keys[at], err = dkim.GenerateKey(domain, at.selector, at.algorithm); err != nil {
				return nil, invalid("domain", domain, "%v", err)
			}
		}
	}
}

// addDKIM stores the keys for places, or none if one is missing.
func addDKIM(tx *sql.Tx, places []dkimPlace, keys map[dkimPlace]dkim.Key, there []DKIMKey) (made []DKIMKey, err error) {
	for _, at := range places {
		k, ok := keys[at]
		if !ok {
			return nil, errNoKey
		}
		stored, err := insertDKIM(tx, k, at.target, there)
		if err != nil {
			return nil, err
		}
		made = append(made, stored)
	}
	return made, nil
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

// places are those of new keys, of each algorithm of the policy that no key has which
// stands in for them.
func (p *DKIMPolicy) places(there []DKIMKey, standsIn func(DKIMKey) bool) (places []dkimPlace, err error) {
	for _, a := range p.Algorithms {
		if slices.ContainsFunc(there, func(old DKIMKey) bool { return old.Algorithm == a && standsIn(old) }) {
			continue
		}
		at, err := p.place(a, there)
		if err != nil {
			return nil, err
		}
		places = append(places, at)
	}
	return places, nil
}

// place finds a selector that is free for a key, and where its CNAME leads. A selector
// of its own has the day in it. Of those that are delegated one is free when the mail
// signed with it has gone.
func (p *DKIMPolicy) place(a dkim.Algorithm, there []DKIMKey) (dkimPlace, error) {
	taken := func(selector string, delegated bool) bool {
		return slices.ContainsFunc(there, func(k DKIMKey) bool {
			return k.Selector == selector && (!delegated || k.Live())
		})
	}
	if p.Zone != "" {
		for _, n := range "12" {
			if selector := string(a[0]) + string(n); !taken(selector, true) {
				return dkimPlace{a, selector, dkimName(p.Domain, selector) + "." + p.Zone}, nil
			}
		}
		return dkimPlace{}, fmt.Errorf("sites: each delegated selector of %s %w: mail signed with it is under way", p.Domain, ErrInUse)
	}
	day := string(a[0]) + time.Now().UTC().Format("20060102")
	for suffix := 'a'; suffix <= 'z'; suffix++ {
		selector := day
		if suffix > 'a' {
			selector += string(suffix)
		}
		if !taken(selector, false) {
			return dkimPlace{algorithm: a, selector: selector}, nil
		}
	}
	return dkimPlace{}, fmt.Errorf("sites: every selector of %s for today %w", p.Domain, ErrInUse)
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
