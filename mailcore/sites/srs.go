package sites

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/srs"
)

const (
	// srsKept is for how long a secret of SRS verifies after it was replaced. An
	// address is good to the end of the 21st day after that on which it was made;
	// what is left is for processes that have not heard of the new secret, and for
	// clocks that are set.
	srsKept = 23 * 24 * time.Hour

	// srsRing is how many secrets a ring may have. Each costs a hash for each
	// address that comes in.
	srsRing = 64

	srsOctets = 32 // of a secret
)

// srsTables is the migration that keeps the secrets.
const srsTables = `
CREATE TABLE panelmail_srs_secret (
	id       INTEGER NOT NULL PRIMARY KEY,
	site     TEXT    NOT NULL,               -- '': the ring of whatever site has none
	secret   BLOB    NOT NULL CHECK (length(secret) >= 16),
	created  INTEGER NOT NULL,               -- microseconds UTC, as is the other
	replaced INTEGER NOT NULL                -- 0: it signs
) STRICT;
CREATE UNIQUE INDEX panelmail_srs_secret_signs ON panelmail_srs_secret (site) WHERE replaced = 0;
CREATE INDEX panelmail_srs_secret_site ON panelmail_srs_secret (site);
`

// Rewriter makes and reads the reverse-paths of forwarded mail in a domain of ours
// (SRS). It takes the ring of secrets of the site that has the domain, or else that of
// all others, whose first secret is made when it is needed, or by [Sites.PrepareSRS].
// What a ring has made is read for the 21 days that it is good for, whatever is
// rotated, begun or shared meanwhile. Of one secret each domain has its own key: what
// was made for one domain is nothing in another.
//
// A domain that goes to another site takes with it what the shared ring has made, and
// not what was made with a ring of its former site: bounces to that are nobody's.
//
// Each call returns a new Rewriter, whose fields are the caller's to set; an address
// that is older than 21 days may be one that no secret is there for any more.
func (s *Sites) Rewriter(ctx context.Context, domain string) (*srs.Rewriter, error) {
	folded, err := address.ParseDomain(domain)
	if err != nil {
		return nil, invalid("domain", domain, "%v", err)
	}
	for {
		snap, err := s.Current(ctx)
		if err != nil {
			return nil, err
		}
		if keys := snap.srsKeys(folded, time.Now()); keys != nil {
			return srs.New(folded, keys...)
		}
		if err := s.firstSecret(ctx); err != nil {
			return nil, err
		}
	}
}

// PrepareSRS makes the first secret of the shared ring, unless there is one, so that
// [Sites.Rewriter] writes nothing: it may then be called by who holds a transaction
// that does.
func (s *Sites) PrepareSRS(ctx context.Context) error {
	snap, err := s.Current(ctx)
	if err != nil {
		return err
	}
	if ring := snap.secrets[""]; len(ring) > 0 && ring[0].signs() {
		return nil
	}
	return s.firstSecret(ctx)
}

// srsKeys are the keys of a domain, that which signs first; nil if there is none
// that signs. The ring of a site and the shared one verify for each other, for either
// may have been the site's until a short while ago.
func (s *Snapshot) srsKeys(domain string, now time.Time) (keys [][]byte) {
	site, shared := s.domains[domain].Site, s.secrets[""]
	ring := shared
	if own := s.secrets[site]; site != "" && len(own) > 0 {
		if ring = slices.Concat(shared, own); own[0].signs() {
			ring = slices.Concat(own, shared)
		}
	}
	if len(ring) == 0 || !ring[0].signs() {
		return nil
	}
	for _, secret := range ring {
		if secret.signs() || now.Before(secret.Until) {
			keys = append(keys, secret.key(domain))
		}
	}
	return keys
}

// An srsSecret is a secret as looked up. It is behind a function so that no printing
// of the row can show it.
type srsSecret struct {
	SRSSecret
	secret func() []byte
}

func (r srsSecret) signs() bool { return r.Replaced.IsZero() }

// key is what the secret is for one domain.
func (r srsSecret) key(domain string) []byte {
	mac := hmac.New(sha256.New, r.secret())
	mac.Write([]byte("srs " + domain))
	return mac.Sum(nil)
}

// firstSecret begins the shared ring, unless somebody has just done so.
func (s *Sites) firstSecret(ctx context.Context) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		_, err := signing(tx, "")
		if errors.Is(err, sql.ErrNoRows) {
			_, err = addSecret(tx, "", time.Now())
		}
		return err
	})
}

func loadSRS(tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.Query(`
		SELECT id, site, secret, created, replaced FROM panelmail_srs_secret
		ORDER BY site, replaced <> 0, replaced DESC, id DESC`)
	return eachRow(rows, err, func() error {
		var r srsSecret
		var secret []byte
		var created, replaced int64
		if err := rows.Scan(&r.ID, &r.Site, &secret, &created, &replaced); err != nil {
			return err
		}
		r.Created, r.Replaced = instant(created), instant(replaced)
		if !r.signs() {
			r.Until = r.Replaced.Add(srsKept)
		}
		r.secret = func() []byte { return secret }
		snap.secrets[r.Site] = append(snap.secrets[r.Site], r)
		return nil
	})
}
