package sites

import (
	"context"
	"database/sql"
	"iter"
	"strings"

	"github.com/panelmail/panelmail/transport"
)

// A Mailbox is an address of a hosted domain at which mail comes to rest.
type Mailbox struct {
	// Address is the mailbox's, folded. @domain takes what no other mailbox
	// or alias of the domain takes; the recipient stays as it was given.
	Address string `json:"address"`

	// Site is the site of its domain. Where it is given, by a caller who acts
	// for that site, it must be; "" is the panel, which need not say.
	Site string `json:"site"`

	// Deliver is the transport and the next hop: "maildir:path",
	// "lmtp:unix:path", "lmtp:inet:host:port" or "smtp:[host]:port", or a transport
	// made of one of these.
	Deliver string `json:"deliver"`

	// MaxSize is the largest message taken, in octets. If zero, what the
	// server takes at all.
	MaxSize int64 `json:"max_size,omitempty"`

	// Disabled mailboxes are unknown to whoever writes to them, and keep
	// catch-all entries from taking their mail.
	Disabled bool `json:"disabled,omitempty"`
}

// SetMailbox adds a mailbox or replaces the one of the same address. A domain
// of another site than the one given is [ErrNotOwner]; one that is not of class
// hosted is [ErrInvalid].
func (s *Sites) SetMailbox(ctx context.Context, m Mailbox) error {
	key, domain, err := foldEntry("mailbox", m.Address)
	if err != nil {
		return err
	}
	if domain == "" {
		return invalid("mailbox", m.Address, "it has no domain")
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		known, err := s.definitions(tx)
		if err != nil {
			return err
		}
		if err := checkDeliver(known, m); err != nil {
			return err
		}
		class, err := ownedDomain(tx, domain, m.Site)
		if err != nil {
			return err
		}
		if class != Hosted {
			return invalid("mailbox", m.Address, "domain %q is of class %s: only hosted domains have mailboxes", domain, class)
		}
		_, err = tx.Exec(`
			INSERT INTO panelmail_mailbox (key, domain, deliver, max_size, disabled) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET
				deliver = excluded.deliver, max_size = excluded.max_size, disabled = excluded.disabled`,
			key, domain, m.Deliver, m.MaxSize, m.Disabled)
		return err
	})
}

// checkDeliver checks where a mailbox's mail goes, and how much of it.
func checkDeliver(known transport.Definitions, m Mailbox) error {
	if m.MaxSize < 0 {
		return invalid("mailbox", m.Address, "a size is not negative")
	}
	r, err := transport.ParseRoute(m.Deliver)
	if err != nil {
		return invalid("mailbox", m.Address, "%v", err)
	}
	d, ok := known[r.Transport]
	if !ok || d.Base != "smtp" && d.Base != "lmtp" && d.Base != "maildir" {
		return invalid("mailbox", m.Address, "%q does not say where to deliver: want maildir:path, lmtp:unix:path or smtp:[host]:port", m.Deliver)
	}
	if d.Base == "smtp" && !strings.HasPrefix(r.Nexthop, "[") {
		// A bare name would be asked for its mail exchangers, which are us.
		return invalid("mailbox", m.Address, "%q names no host: want smtp:[host]:port", m.Deliver)
	}
	if err := d.CheckNexthop(r.Nexthop); err != nil {
		return invalid("mailbox", m.Address, "%q: %v", m.Deliver, err)
	}
	return nil
}

// RemoveMailbox removes a mailbox: from then on its address is unknown, or a
// catch-all entry's.
func (s *Sites) RemoveMailbox(ctx context.Context, addr string) error {
	key, _, err := foldEntry("mailbox", addr)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_mailbox WHERE key = ?`, key)
		return affected(r, err, notFound("mailbox", key))
	})
}

// ListMailboxes yields the mailboxes of a site, or of all sites if site is "",
// in order of address within a domain. It reads by the page: no transaction is
// open between two steps. An error ends the sequence.
func (s *Sites) ListMailboxes(ctx context.Context, site string) iter.Seq2[Mailbox, error] {
	return listEntries(ctx, s, site, entryTable[Mailbox]{
		name:    "panelmail_mailbox",
		columns: `key, deliver, max_size, disabled`,
		scan: func(rows *sql.Rows, m *Mailbox) (key, domain string, err error) {
			err = rows.Scan(&domain, &m.Address, &m.Deliver, &m.MaxSize, &m.Disabled)
			return m.Address, domain, err
		},
		setSite: func(m *Mailbox, site string) { m.Site = site },
	})
}
