package sites

import (
	"context"
	"database/sql"
	"iter"

	"github.com/panelmail/panelmail/internal/address"
)

// A Recipient is an address of a relay domain at which the next host takes mail.
type Recipient struct {
	Address string `json:"address"`
	Site    string `json:"site"` // of its domain, as in [Mailbox]
}

// AddRecipients adds to the recipient list of relay domains, all or on any error
// none. From then on other addresses of these domains are refused; without a
// list every address is taken, and what the next host refuses must be bounced.
// A recipient that is there already is no error. At most 100,000 at once.
func (s *Sites) AddRecipients(ctx context.Context, recipients ...Recipient) error {
	type row struct{ key, domain, site string }
	if len(recipients) > maxEntries {
		return invalid("recipient list", "", "more than %d at once", maxEntries)
	}
	list := make([]row, 0, len(recipients))
	for _, r := range recipients {
		key, domain, err := foldEntry("recipient", r.Address)
		if err != nil {
			return err
		}
		if domain == "" || key[0] == '@' {
			return invalid("recipient", r.Address, "it is no address")
		}
		list = append(list, row{key, domain, r.Site})
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		add, err := tx.Prepare(`
			INSERT INTO panelmail_domain_recipient (key, domain) VALUES (?, ?)
			ON CONFLICT (key) DO NOTHING`)
		if err != nil {
			return err
		}
		defer add.Close()
		type claim struct{ domain, site string }
		granted := map[claim]bool{}
		for _, r := range list {
			if c := (claim{r.domain, r.site}); !granted[c] {
				if err := beginList(tx, r.domain, r.site); err != nil {
					return err
				}
				granted[c] = true
			}
			if _, err := add.Exec(r.key, r.domain); err != nil {
				return err
			}
		}
		return nil
	})
}

// beginList puts the recipient list of a relay domain of a site in force.
func beginList(tx *sql.Tx, domain, site string) error {
	class, err := ownedDomain(tx, domain, site)
	if err != nil {
		return err
	}
	if class != Relay {
		return invalid("domain", domain, "its class is %s: only relay domains have a recipient list", class)
	}
	_, err = tx.Exec(`UPDATE panelmail_domain SET listed = 1 WHERE name = ?`, domain)
	return err
}

// RemoveRecipient removes an address from the recipient list of its domain. The
// list stays in force when its last recipient is gone; see
// [Sites.DropRecipients].
func (s *Sites) RemoveRecipient(ctx context.Context, addr string) error {
	key, _, err := foldEntry("recipient", addr)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_domain_recipient WHERE key = ?`, key)
		return affected(r, err, notFound("recipient", key))
	})
}

// DropRecipients removes the recipient list of a relay domain: every address of
// it is taken again.
func (s *Sites) DropRecipients(ctx context.Context, domain string) error {
	name, err := address.ParseDomain(domain)
	if err != nil {
		return invalid("domain", domain, "%v", err)
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`UPDATE panelmail_domain SET listed = 0 WHERE name = ? AND listed = 1`, name)
		if err := affected(r, err, notFound("recipient list of", name)); err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM panelmail_domain_recipient WHERE domain = ?`, name)
		return err
	})
}

// ListRecipients yields the recipients of the relay domains of a site, or of
// all sites if site is "", as [Sites.ListMailboxes] does mailboxes.
func (s *Sites) ListRecipients(ctx context.Context, site string) iter.Seq2[Recipient, error] {
	return listEntries(ctx, s, site, entryTable[Recipient]{
		name:    "panelmail_domain_recipient",
		columns: `key`,
		scan: func(rows *sql.Rows, r *Recipient) (key, domain string, err error) {
			err = rows.Scan(&domain, &r.Address)
			return r.Address, domain, err
		},
		setSite: func(r *Recipient, site string) { r.Site = site },
	})
}

// HasRecipient reports whether an address is in the recipient list of its
// domain, with its extension or without.
func (s *Sites) HasRecipient(ctx context.Context, addr string) (has bool, err error) {
	l := lookupSender(addr)
	if l.domain == "" {
		return false, nil
	}
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`
			SELECT EXISTS (SELECT 1 FROM panelmail_domain_recipient WHERE key IN (?, ?))`, l.whole, l.base).Scan(&has)
	})
	return has, err
}
