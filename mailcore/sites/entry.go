package sites

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// Mailboxes, aliases and recipients are entries: rows with the key of what they
// are about and the domain that owns them. There may be a million, so that they
// are not in a Snapshot.

// foldEntry makes the key of an entry, and its domain. A key is an address,
// @domain, or a local-part alone, whose domain is "".
func foldEntry(kind, key string) (folded, domain string, err error) {
	if rest, catchAll := strings.CutPrefix(key, "@"); catchAll {
		if domain, err = address.ParseDomain(rest); err != nil {
			return "", "", invalid(kind, key, "%v", err)
		}
		return "@" + domain, domain, nil
	}
	a, err := address.Parse(key)
	bare := errors.Is(err, address.ErrNoDomain) || err == nil && a.Domain == ""
	if bare {
		a, err = address.Parse(key + "@host")
		a.Domain = ""
	}
	if err != nil {
		return "", "", invalid(kind, key, "%v", err)
	}
	if a.Routed() {
		return "", "", invalid(kind, key, "with %%, ! or @ in its local-part it would be a route through us")
	}
	if _, literal := a.Literal(); literal {
		return "", "", invalid(kind, key, "%v", address.ErrIsLiteral)
	}
	a = a.Fold()
	return a.String(), a.Domain, nil
}

// ownedDomain is the class of a domain that a site has; "" is any site.
func ownedDomain(tx *sql.Tx, domain, site string) (class Class, err error) {
	var owner string
	err = tx.QueryRow(`SELECT site, class FROM panelmail_domain WHERE name = ?`, domain).Scan(&owner, &class)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", notFound("domain", domain)
	case err != nil:
		return "", err
	case site != "" && site != owner:
		return "", notOwner("domain", domain, owner)
	}
	return class, nil
}

// An entryTable is how the entries of one kind are listed.
type entryTable[E any] struct {
	name    string
	columns string // after the domain
	scan    func(rows *sql.Rows, e *E) (key, domain string, err error)
	setSite func(e *E, site string)
}

// listEntries yields entries by the page: those of the domains of a site, or of
// the whole table.
func listEntries[E any](ctx context.Context, s *Sites, site string, table entryTable[E]) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		snap, err := s.Current(ctx)
		if err != nil {
			var none E
			yield(none, err)
			return
		}
		scopes := []string{""} // everything
		if site != "" {
			domains, err := s.ListDomains(ctx, site)
			if err != nil {
				var none E
				yield(none, err)
				return
			}
			scopes = nil
			for _, d := range domains {
				scopes = append(scopes, d.Name)
			}
		}
		for _, scope := range scopes {
			if !table.yieldAll(ctx, s, snap, scope, yield) {
				return
			}
		}
	}
}

// yieldAll yields the entries of one domain, or all if domain is "". It reports
// whether to go on.
func (t entryTable[E]) yieldAll(ctx context.Context, s *Sites, snap *Snapshot, domain string, yield func(E, error) bool) bool {
	for after := ""; ; {
		page, last, err := t.page(ctx, s, snap, domain, after)
		if err != nil {
			var none E
			yield(none, fmt.Errorf("sites: list: %w", err))
			return false
		}
		for _, e := range page {
			if !yield(e, nil) {
				return false
			}
		}
		if len(page) < listPage {
			return true
		}
		after = last
	}
}

func (t entryTable[E]) page(ctx context.Context, s *Sites, snap *Snapshot, domain, after string) (page []E, last string, err error) {
	query := `SELECT domain, ` + t.columns + ` FROM ` + t.name + ` WHERE key > ?1`
	if domain != "" {
		query += ` AND domain = ?3`
	}
	args := []any{after, listPage}
	if domain != "" {
		args = append(args, domain)
	}
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		page = page[:0]
		rows, err := tx.Query(query+` ORDER BY key LIMIT ?2`, args...)
		return eachRow(rows, err, func() error {
			var e E
			key, of, err := t.scan(rows, &e)
			if err != nil {
				return err
			}
			t.setSite(&e, snap.domains[of].Site)
			page, last = append(page, e), key
			return nil
		})
	})
	return page, last, err
}
