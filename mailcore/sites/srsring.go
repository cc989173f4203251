package sites

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// An SRSSecret is what may be known of a secret of SRS: all but the secret.
type SRSSecret struct {
	ID       int64
	Site     string    // whose ring it is in; "" is the ring of sites without one, and of our own names
	Created  time.Time // since when it signs
	Replaced time.Time // since when it only verifies; zero: it signs
	Until    time.Time // when it is forgotten; zero: it signs
}

// RotateSRS puts a new secret in the place of the one that signs in the ring of a
// site, and returns what may be known of the new one. The old one verifies for 23 days
// more. A site that has no ring begins one. "" is the ring of all that have none.
//
// A ring has up to 64 secrets; one that is full is [ErrInUse], until the first of them
// is 23 days old or forgotten.
func (s *Sites) RotateSRS(ctx context.Context, site string) (SRSSecret, error) {
	var made SRSSecret
	err := s.change(ctx, func(tx *sql.Tx) (err error) {
		made, err = rotateOf(tx, site)
		return err
	})
	return made, err
}

// ReplaceSRS does [Sites.RotateSRS] and [Sites.ForgetSRS] at once, so that none but the
// new secret is left. It does it for a full ring as well.
func (s *Sites) ReplaceSRS(ctx context.Context, site string) (SRSSecret, error) {
	var made SRSSecret
	err := s.change(ctx, func(tx *sql.Tx) (err error) {
		if err := forgetReplaced(tx, site); err != nil {
			return err
		}
		if made, err = rotateOf(tx, site); err != nil {
			return err
		}
		return forgetReplaced(tx, site)
	})
	return made, err
}

// ForgetSRS forgets the secrets of a ring that no longer sign, for one that others
// have got hold of. Bounces to addresses that were made with them are refused from
// then on.
func (s *Sites) ForgetSRS(ctx context.Context, site string) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		return forgetReplaced(tx, site)
	})
}

// ShareSRS ends the ring of a site, which from then on shares that of all others. What
// its secrets have signed is verified for 23 days more.
func (s *Sites) ShareSRS(ctx context.Context, site string) error {
	if site == "" {
		return invalid("ring of SRS", site, "it is the one that is shared")
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`
			UPDATE panelmail_srs_secret SET replaced = ? WHERE site = ? AND replaced = 0`,
			time.Now().UnixMicro(), site)
		return affected(r, err, notFound("ring of SRS of site", site))
	})
}

// RotateSRSByAge does [Sites.RotateSRS] for each ring whose secret has signed for
// longer than age, and forgets the secrets whose time is over. It returns the new ones,
// and when there is something to do again, which is zero if there is no ring.
func (s *Sites) RotateSRSByAge(ctx context.Context, age time.Duration) (made []SRSSecret, next time.Time, err error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	if next = snap.srsDue(age); next.IsZero() || next.After(time.Now()) {
		return nil, next, nil
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		made = nil
		now := time.Now()
		if err := forget(tx, now); err != nil {
			return err
		}
		due, err := signingSince(tx, now.Add(-age))
		if err != nil {
			return err
		}
		for _, site := range due {
			secret, err := rotate(tx, site, now)
			switch {
			case err == nil:
				made = append(made, secret)
			case !errors.Is(err, ErrInUse): // of a ring that is full enough
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	if snap, err = s.Current(ctx); err != nil {
		return made, time.Time{}, err
	}
	return made, snap.srsDue(age), nil
}

// srsDue is when the first ring is to be rotated, or the first secret forgotten.
func (s *Snapshot) srsDue(age time.Duration) (due time.Time) {
	for _, ring := range s.secrets {
		for _, r := range ring {
			at := r.Until
			if r.signs() {
				at = r.Created.Add(age)
			}
			if due.IsZero() || at.Before(due) {
				due = at
			}
		}
	}
	return due
}

// ListSRS returns what may be known of the secrets, ring by ring, the one that signs
// first.
func (s *Sites) ListSRS(ctx context.Context) ([]SRSSecret, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	var list []SRSSecret
	for _, ring := range snap.secrets {
		for _, r := range ring {
			list = append(list, r.SRSSecret)
		}
	}
	slices.SortStableFunc(list, func(a, b SRSSecret) int { return strings.Compare(a.Site, b.Site) })
	return list, nil
}

// rotateOf is rotate, now and without the secrets that verify nothing any more, for a
// site that has to be there; or for all others.
func rotateOf(tx *sql.Tx, site string) (SRSSecret, error) {
	if site != "" {
		if err := mustHaveSite(tx, site); err != nil {
			return SRSSecret{}, err
		}
	}
	now := time.Now()
	if err := forget(tx, now); err != nil {
		return SRSSecret{}, err
	}
	return rotate(tx, site, now)
}

// rotate puts a new secret in the place of the one that signs in a ring, if there is
// one.
func rotate(tx *sql.Tx, site string, now time.Time) (SRSSecret, error) {
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM panelmail_srs_secret WHERE site = ?`, site).Scan(&n); err != nil {
		return SRSSecret{}, err
	}
	if n >= srsRing {
		return SRSSecret{}, fmt.Errorf("sites: ring of SRS of %q %w: %d secrets of it still verify", cmp.Or(site, keyDefault), ErrInUse, n)
	}
	_, err := tx.Exec(`
		UPDATE panelmail_srs_secret SET replaced = ? WHERE site = ? AND replaced = 0`, now.UnixMicro(), site)
	if err != nil {
		return SRSSecret{}, err
	}
	return addSecret(tx, site, now)
}

// addSecret stores a new secret, which signs.
func addSecret(tx *sql.Tx, site string, now time.Time) (SRSSecret, error) {
	secret := make([]byte, srsOctets)
	rand.Read(secret) // never fails
	r := SRSSecret{Site: site, Created: instant(now.UnixMicro())}
	err := tx.QueryRow(`
		INSERT INTO panelmail_srs_secret (site, secret, created, replaced) VALUES (?, ?, ?, 0)
		RETURNING id`, site, secret, now.UnixMicro()).Scan(&r.ID)
	return r, err
}

// forget removes the secrets that verify nothing any more.
func forget(tx *sql.Tx, now time.Time) error {
	_, err := tx.Exec(`
		DELETE FROM panelmail_srs_secret WHERE replaced <> 0 AND replaced <= ?`, now.Add(-srsKept).UnixMicro())
	return err
}

// forgetReplaced removes the secrets of a ring that do not sign.
func forgetReplaced(tx *sql.Tx, site string) error {
	_, err := tx.Exec(`DELETE FROM panelmail_srs_secret WHERE site = ? AND replaced <> 0`, site)
	return err
}

// signing is the id of the secret that signs in a ring.
func signing(tx *sql.Tx, site string) (id int64, err error) {
	err = tx.QueryRow(`SELECT id FROM panelmail_srs_secret WHERE site = ? AND replaced = 0`, site).Scan(&id)
	return id, err
}

// signingSince are the rings whose secret was made at an instant or before.
func signingSince(tx *sql.Tx, at time.Time) ([]string, error) {
	return texts(tx.Query(`
		SELECT site FROM panelmail_srs_secret WHERE replaced = 0 AND created <= ? ORDER BY site`, at.UnixMicro()))
}
