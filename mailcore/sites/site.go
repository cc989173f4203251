package sites

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Site is a hosted customer of the panel.
type Site struct {
	// Name is the panel's own name for the site, compared exactly: 1 to 128
	// octets of ASCII letters, digits, '.', '_' and '-', the first of them a
	// letter or digit. The word "default" is taken.
	Name string `json:"name"`

	// UIDs are the system users whose sendmail submissions belong to the
	// site. A uid belongs to one site at most.
	UIDs []int `json:"uids,omitempty"`

	// Contact is where to reach the customer: a mail address, or any text of
	// up to 1,024 octets without control characters.
	Contact string `json:"contact,omitempty"`

	// Suspended sites keep their rows, but the desk takes nothing from them, and
	// their mail is on hold: see [Sites.Suspend].
	Suspended bool `json:"suspended,omitempty"`

	// Removing says that the site is being removed, or was until that was broken
	// off: see [Sites.RemoveSite]. Nobody sets it; it is suspended until it is gone.
	Removing bool `json:"removing,omitempty"`
}

func (s Site) check() error {
	if err := checkSiteName(s.Name); err != nil {
		return err
	}
	if len(s.Contact) > 1024 || hasControls(s.Contact) {
		return invalid("site", s.Name, "the contact is too long or has control characters")
	}
	for _, uid := range s.UIDs {
		if uid < 0 || int64(uid) > 1<<32-2 {
			return invalid("site", s.Name, "uid %d is no user ID", uid)
		}
	}
	return nil
}

func checkSiteName(name string) error {
	ok := name != "" && len(name) <= 128 && name != keyDefault
	for i, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		ok = ok && (letter || i > 0 && strings.IndexByte("._-", c) >= 0)
	}
	if !ok {
		return invalid("site", name, `a name is 1 to 128 letters, digits, ".", "_", "-", and not "default"`)
	}
	return nil
}

func hasControls(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// AddSite adds a site. A uid of another site is [ErrNotOwner].
func (s *Sites) AddSite(ctx context.Context, site Site) error {
	if err := site.check(); err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`
			INSERT INTO panelmail_site (name, contact, suspended) VALUES (?, ?, ?)
			ON CONFLICT (name) DO NOTHING`, site.Name, site.Contact, site.Suspended)
		if err := affected(r, err, exists("site", site.Name)); err != nil {
			return err
		}
		if err := s.mail.OpenSite(tx, site.Name); err != nil {
			return err
		}
		if site.Suspended {
			if err := s.mail.SuspendSite(tx, site.Name); err != nil {
				return err
			}
		}
		return setUIDs(tx, site)
	})
}

// ChangeSite replaces everything but the name of a site. To suspend or resume it
// does what [Sites.Suspend] and [Sites.Resume] do.
func (s *Sites) ChangeSite(ctx context.Context, site Site) error {
	if err := site.check(); err != nil {
		return err
	}
	err := s.change(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE panelmail_site SET contact = ? WHERE name = ?`, site.Contact, site.Name)
		if err != nil {
			return err
		}
		if err := s.setSuspended(tx, site.Name, site.Suspended); err != nil {
			return err
		}
		return setUIDs(tx, site)
	})
	if err != nil {
		return err
	}
	return s.syncMail(ctx, site.Name)
}

func setUIDs(tx *sql.Tx, site Site) error {
	if _, err := tx.Exec(`DELETE FROM panelmail_site_uid WHERE site = ?`, site.Name); err != nil {
		return err
	}
	for _, uid := range site.UIDs {
		var owner string
		err := tx.QueryRow(`SELECT site FROM panelmail_site_uid WHERE uid = ?`, uid).Scan(&owner)
		if err == nil && owner != site.Name {
			return notOwner("uid", uidText(uid), owner)
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		_, err = tx.Exec(`
			INSERT INTO panelmail_site_uid (uid, site) VALUES (?, ?)
			ON CONFLICT (uid) DO NOTHING`, uid, site.Name)
		if err != nil {
			return err
		}
	}
	return nil
}

// Suspend stops a site: the desk takes nothing from it, no login of it gets in, and
// its mail is on hold. What is queued is put on hold step by step before Suspend
// returns; deliveries under way go to their end. Suspending twice is no error.
func (s *Sites) Suspend(ctx context.Context, name string) error { return s.suspend(ctx, name, true) }

// Resume ends what [Sites.Suspend] began. It releases what the suspension has put on
// hold, and nothing that a person or a rule holds, from before or since.
func (s *Sites) Resume(ctx context.Context, name string) error { return s.suspend(ctx, name, false) }

func (s *Sites) suspend(ctx context.Context, name string, to bool) error {
	if err := s.change(ctx, func(tx *sql.Tx) error { return s.setSuspended(tx, name, to) }); err != nil {
		return err
	}
	return s.syncMail(ctx, name)
}

// setSuspended notes it in the settings and beside the mail.
func (s *Sites) setSuspended(tx *sql.Tx, name string, to bool) error {
	var was, removing bool
	err := tx.QueryRow(`SELECT suspended, removing FROM panelmail_site WHERE name = ?`, name).Scan(&was, &removing)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return notFound("site", name)
	case err != nil:
		return err
	case removing:
		return errRemoving(name)
	}
	if _, err := tx.Exec(`UPDATE panelmail_site SET suspended = ? WHERE name = ?`, to, name); err != nil {
		return err
	}
	switch {
	case to:
		return s.mail.SuspendSite(tx, name)
	case was:
		return s.mail.ResumeSite(tx, name)
	}
	return nil
}

// syncMail has the mail in the queue follow.
func (s *Sites) syncMail(ctx context.Context, name string) error {
	if err := s.mail.SyncSite(ctx, name); err != nil {
		return fmt.Errorf("sites: the mail of site %q: %w", name, err)
	}
	return nil
}

// RenameSite gives a site another name in all of its rows and in all of its mail,
// history included, in one transaction: with 100,000 messages queued that takes two
// seconds, for which others wait. The receipt of a former site of the name stays.
func (s *Sites) RenameSite(ctx context.Context, name, to string) error {
	return s.change(ctx, func(tx *sql.Tx) error { return s.renameSite(tx, name, to) })
}

// RenameSiteTx is [Sites.RenameSite] within a transaction of the caller, which
// renames what else it knows of the site. Nothing is seen until it commits;
// call [Sites.Reload] then.
func (s *Sites) RenameSiteTx(tx *sql.Tx, name, to string) error {
	if err := s.renameSite(tx, name, to); err != nil {
		return ours(err)
	}
	_, err := bump(tx)
	return err
}

func (s *Sites) renameSite(tx *sql.Tx, name, to string) error {
	if err := checkSiteName(to); err != nil {
		return err
	}
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM panelmail_site WHERE name = ?`, to).Scan(&n)
	if err != nil {
		return err
	}
	if n > 0 && to != name {
		return exists("site", to)
	}
	if to == name {
		return mustHaveSite(tx, name)
	}
	r, err := tx.Exec(`UPDATE panelmail_site SET name = ? WHERE name = ? AND removing = 0`, to, name)
	if err := affected(r, err, notFound("site", name)); err != nil {
		return err
	}
	if err := renameInRows(tx, name, to); err != nil {
		return err
	}
	return s.mail.RenameSite(tx, name, to)
}

// ListSites returns the sites in order of name.
func (s *Sites) ListSites(ctx context.Context) ([]Site, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Site, 0, len(snap.sites))
	for _, site := range snap.sites {
		site.UIDs = slices.Clone(site.UIDs)
		list = append(list, site)
	}
	slices.SortFunc(list, func(a, b Site) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}
