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

// AddLoginHash adds a login with a hash made elsewhere: argon2id as a PHC
// string, or bcrypt.
func (s *Sites) AddLoginHash(ctx context.Context, l Login, hash string) error {
	if _, err := parseHash(hash); err != nil {
		return invalid("login", l.Name, "%v", err)
	}
	return s.addLogin(ctx, l, hash)
}

func (s *Sites) addLogin(ctx context.Context, l Login, hash string) error {
	name, domain, err := foldLogin(l.Name)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
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
	})
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

// RemoveLogin removes a login.
func (s *Sites) RemoveLogin(ctx context.Context, name string) error {
	folded, _, err := foldLogin(name)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_login WHERE name = ?`, folded)
		return affected(r, err, notFound("login", folded))
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
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var l Login
			if err := rows.Scan(&l.Name, &l.Site); err != nil {
				return err
			}
			page = append(page, l)
		}
		return rows.Err()
	})
	return page, err
}

// Authenticate checks a password. Unknown name and wrong password give the same
// [ErrBadCredentials] after the same work; any other error is trouble of ours,
// or of ctx while waiting for a turn. Whether the site is suspended is the
// caller's question.
//
// A check takes 19 MiB and some tens of milliseconds of one processor; as many
// run at once as there are processors.
func (s *Sites) Authenticate(ctx context.Context, name, password string) (Login, error) {
	var l Login
	var text string
	folded, _, err := foldLogin(name)
	if err == nil && len(password) <= maxPassword {
		err = s.db.View(ctx, func(tx *sql.Tx) error {
			return tx.QueryRow(`
				SELECT name, site, hash FROM panelmail_login WHERE name = ?`, folded).
				Scan(&l.Name, &l.Site, &text)
		})
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return Login{}, fmt.Errorf("sites: authenticate: %w", err)
		}
	}
	hash, known := dummyHash(), false
	if text != "" {
		if hash, err = parseHash(text); err != nil {
			return Login{}, fmt.Errorf("sites: authenticate: stored hash of login %q: %w", l.Name, err)
		}
		known = true
	}
	if len(password) > maxPassword {
		password = ""
	}
	if err := s.slot(ctx); err != nil {
		return Login{}, fmt.Errorf("sites: authenticate: %w", err)
	}
	ok := hash.verify(password)
	<-s.slots
	if !ok || !known {
		return Login{}, ErrBadCredentials
	}
	return l, nil
}

// hash hashes a password when there is room.
func (s *Sites) hash(ctx context.Context, password string) (string, error) {
	if err := s.slot(ctx); err != nil {
		return "", fmt.Errorf("sites: hash password: %w", err)
	}
	defer func() { <-s.slots }()
	return hashPassword(password), nil
}

// slot waits for a turn at hashing; the caller gives it back.
func (s *Sites) slot(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
