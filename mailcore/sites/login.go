package sites

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// A Login is a name that authenticates. One named like an address may send as
// that address alone; any other may send as every address in the domains of
// its site. Passwords and hashes never leave the store.
type Login struct {
	Name string `json:"name"` // lower case; an address is folded
	Site string `json:"site"`
}

// listPage is how many rows are read in one transaction.
const listPage = 500

// foldLogin makes the key of a login name, and its domain if it is named like
// an address.
func foldLogin(name string) (folded, domain string, err error) {
	if name == "" || len(name) > 320 || hasControls(name) || strings.ContainsAny(name, " \t") {
		return "", "", invalid("login", name, "a name is 1 to 320 octets without blanks or control characters")
	}
	if !strings.Contains(name, "@") {
		return strings.ToLower(name), "", nil
	}
	folded, domain, err = foldAddress(name)
	if err != nil {
		return "", "", invalid("login", name, "%v", err)
	}
	return folded, domain, nil
}

// AddLogin adds a login with a password of 1 to 1,024 octets. A login named
// like an address in a domain of another site is [ErrNotOwner].
func (s *Sites) AddLogin(ctx context.Context, l Login, password string) error {
	if err := checkPassword(l.Name, password); err != nil {
		return err
	}
	hash, err := s.hash(ctx, password)
	if err != nil {
		return err
	}
	return s.addLogin(ctx, l, hash)
}

// AddLoginHash adds a login with a hash made elsewhere: of crypt(3) those that
// begin with $argon2id$, $argon2i$, $2a$, $2b$, $2y$, $6$, $5$ and $1$, or any of
// Dovecot's in the schemes ARGON2ID, ARGON2I, BLF-CRYPT, SHA512-CRYPT,
// SHA256-CRYPT, MD5-CRYPT, CRYPT, PBKDF2, and SSHA512, SSHA256, SSHA, SHA512,
// SHA256 and SHA, with the scheme in braces before it.
//
// A hash that is cheaper to guess than ours is replaced by one of ours when the
// password is next right. One that is too expensive is [ErrInvalid]: argon2 up to
// 256 MiB and 16 passes, bcrypt up to cost 14, others up to a million rounds. So is
// a scheme that keeps the password itself. With SHA-crypt no password of more than
// 256 octets is right.
func (s *Sites) AddLoginHash(ctx context.Context, l Login, hash string) error {
	if _, err := parseHash(hash); err != nil {
		return invalid("login", l.Name, "%v", err)
	}
	return s.addLogin(ctx, l, hash)
}

func (s *Sites) addLogin(ctx context.Context, l Login, hash string) error {
	return s.change(ctx, func(tx *sql.Tx) error { return insertLogin(tx, l, hash) })
}

func insertLogin(tx *sql.Tx, l Login, hash string) error {
	name, domain, err := foldLogin(l.Name)
	if err != nil {
		return err
	}
	if err := mustHaveSite(tx, l.Site); err != nil {
		return err
	}
	owner, err := domainSite(tx, domain)
	if err != nil {
		return err
	}
	if owner != "" && owner != l.Site {
		return notOwner("domain", domain, owner)
	}
	r, err := tx.Exec(`
		INSERT INTO panelmail_login (name, site, domain, hash) VALUES (?, ?, ?, ?)
		ON CONFLICT (name) DO NOTHING`, name, l.Site, domain, hash)
	return affected(r, err, exists("login", name))
}

// SetPassword replaces the password of a login.
func (s *Sites) SetPassword(ctx context.Context, name, password string) error {
	folded, _, err := foldLogin(name)
	if err != nil {
		return err
	}
	if err := checkPassword(name, password); err != nil {
		return err
	}
	hash, err := s.hash(ctx, password)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`UPDATE panelmail_login SET hash = ? WHERE name = ?`, hash, folded)
		return affected(r, err, notFound("login", folded))
	})
}

// RemoveLogin removes a login with its source.
func (s *Sites) RemoveLogin(ctx context.Context, name string) error {
	folded, _, err := foldLogin(name)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_login WHERE name = ?`, folded)
		if err := affected(r, err, notFound("login", folded)); err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM panelmail_source WHERE key = ?`, loginKey+folded)
		return err
	})
}

// Login returns a login; [ErrNotFound] if there is none of the name.
func (s *Sites) Login(ctx context.Context, name string) (l Login, err error) {
	folded, _, err := foldLogin(name)
	if err != nil {
		return l, err
	}
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRow(`SELECT name, site FROM panelmail_login WHERE name = ?`, folded).Scan(&l.Name, &l.Site)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("login", folded)
		}
		return err
	})
	return l, err
}

// ListLogins yields the logins of a site, or of all sites if site is "", in
// order of name. It reads by the page: no transaction is open between two
// steps. An error ends the sequence.
func (s *Sites) ListLogins(ctx context.Context, site string) iter.Seq2[Login, error] {
	return func(yield func(Login, error) bool) {
		after := ""
		for {
			page, err := s.loginPage(ctx, site, after)
			if err != nil {
				yield(Login{}, fmt.Errorf("sites: list logins: %w", err))
				return
			}
			for _, l := range page {
				if !yield(l, nil) {
					return
				}
			}
			if len(page) < listPage {
				return
			}
			after = page[len(page)-1].Name
		}
	}
}

func (s *Sites) loginPage(ctx context.Context, site, after string) (page []Login, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		page = page[:0]
		rows, err := tx.Query(`
			SELECT name, site FROM panelmail_login
			WHERE name > ?1 AND (?2 = '' OR site = ?2)
			ORDER BY name LIMIT ?3`, after, site, listPage)
		return eachRow(rows, err, func() error {
			var l Login
			if err := rows.Scan(&l.Name, &l.Site); err != nil {
				return err
			}
			page = append(page, l)
			return nil
		})
	})
	return page, err
}
