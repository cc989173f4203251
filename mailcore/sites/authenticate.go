package sites

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Authenticate checks a password. Unknown name and wrong password give the same
// [ErrBadCredentials] after no less than the work of a hash of ours; any other
// error is trouble of ours, or of ctx while waiting for a turn. Whether the site is
// suspended is the caller's question.
//
// A check takes 19 MiB and some tens of milliseconds of one processor, or what the
// limits of [Sites.AddLoginHash] allow; as many run at once as there are
// processors.
func (s *Sites) Authenticate(ctx context.Context, name, password string) (Login, error) {
	l, text, err := s.stored(ctx, name)
	if err != nil {
		return Login{}, fmt.Errorf("sites: authenticate: %w", err)
	}
	hash, known := dummyHash(), text != ""
	if known {
		if hash, err = parseHash(text); err != nil {
			return Login{}, fmt.Errorf("sites: authenticate: stored hash of login %q: %w", l.Name, err)
		}
	}
	if len(password) > maxPassword {
		hash, known, password = dummyHash(), false, ""
	}
	if err := s.slot(ctx); err != nil {
		return Login{}, fmt.Errorf("sites: authenticate: %w", err)
	}
	ok := hash.verify(password) && known
	if !ok && hash.weak {
		dummyHash().verify(password) // a quick refusal would tell that there is a login
	}
	<-s.slots
	if !ok {
		return Login{}, ErrBadCredentials
	}
	if hash.weak {
		s.strengthen(ctx, l.Name, text, password)
	}
	return l, nil
}

// stored is the login of a name with its hash; "" if there is none.
func (s *Sites) stored(ctx context.Context, name string) (l Login, hash string, err error) {
	folded, _, err := foldLogin(name)
	if err != nil {
		return Login{}, "", nil
	}
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`
			SELECT name, site, hash FROM panelmail_login WHERE name = ?`, folded).
			Scan(&l.Name, &l.Site, &hash)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Login{}, "", nil
	}
	return l, hash, err
}

// strengthen replaces a hash made elsewhere by one of ours, unless somebody else
// has replaced it. Should it fail, the next success is another chance.
func (s *Sites) strengthen(ctx context.Context, name, old, password string) {
	hash, err := s.hash(ctx, password)
	if err != nil {
		return
	}
	_ = s.db.Update(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE panelmail_login SET hash = ? WHERE name = ? AND hash = ?`, hash, name, old)
		return err
	})
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
