package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/panelmail/panelmail/internal/sqlitedb"
)

// siteTables are the tables with a column for a site. Renaming and removing one go
// by it; every table with such a column must be here. What hangs on a message by
// its number needs no such column.
var siteTables = [...]string{
	"panelmail_message",
	"panelmail_recipient",
	"panelmail_event",
	"panelmail_rule",
	"panelmail_key",
	"panelmail_count",
	"panelmail_shut",
}

// shutSites reads the states of sites.
func shutSites(t txn) (map[string]siteState, error) {
	rows, err := t.query(`SELECT site, state FROM panelmail_shut`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	shut := map[string]siteState{}
	for rows.Next() {
		var site string
		var state siteState
		if err := rows.Scan(&site, &state); err != nil {
			return nil, err
		}
		shut[site] = state
	}
	return shut, rows.Err()
}

// mark notes a state: nothing ends that of a site which is being removed but its
// end, and nothing that of one which is gone but a site of the same name.
func (e *engine) mark(tx *sql.Tx, site string, state siteState) (err error) {
	switch state {
	case siteOpen:
		_, err = tx.Exec(`DELETE FROM panelmail_shut WHERE site = ? AND state = ? OR site = ? AND state = ?`,
			site, siteResuming, traceless(site), siteGone)
	case siteGone:
		if _, err = tx.Exec(`DELETE FROM panelmail_shut WHERE site = ?`, site); err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT OR REPLACE INTO panelmail_shut (site, state) VALUES (?, ?)`, traceless(site), siteGone)
	default:
		_, err = tx.Exec(`
INSERT INTO panelmail_shut (site, state) VALUES (?1, ?2)
ON CONFLICT (site) DO UPDATE SET state = excluded.state WHERE state <> ?3`, site, state, siteClosing)
	}
	if err != nil {
		return err
	}
	return revise(&callerTx{tx: tx})
}

func (e *engine) stateOf(ctx context.Context, site string) (state siteState, err error) {
	err = e.read.QueryRowContext(ctx, `SELECT state FROM panelmail_shut WHERE site IN (?, ?)`, site, traceless(site)).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return state, err
}

func (e *engine) marked(ctx context.Context, state siteState) ([]string, error) {
	return column[string](e.read.QueryContext(ctx, `SELECT site FROM panelmail_shut WHERE state = ? ORDER BY site`, state))
}

// renameSite leaves the numbers of all rows as they are. Where rows of the new name
// are there already, of whoever had it, keys of the old one replace them and counts
// are added up.
func (e *engine) renameSite(tx *sql.Tx, site, to string) error {
	if err := e.mark(tx, to, siteOpen); err != nil {
		return err
	}
	for _, table := range siteTables {
		query := `UPDATE OR REPLACE ` + table + ` SET site = ?1 WHERE site = ?2`
		if table == "panelmail_count" {
			query = `
INSERT INTO panelmail_count (minute, site, label, delivered, deferred, bounced)
SELECT minute, ?1, label, delivered, deferred, bounced FROM panelmail_count WHERE site = ?2` + toThose
		}
		if _, err := tx.Exec(query, to, site); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`DELETE FROM panelmail_count WHERE site = ?`, site)
	return err
}

// renamed has a settlement of an attempt that was claimed under other rules tell
// the name that its site has now.
func (e *engine) renamed(t txn, s *settlement) error {
	rules, err := e.rulesIn(t)
	a := s.attempt
	if err != nil || a.as == rules {
		return err
	}
	site := a.origin.Site
	err = t.row(`SELECT site FROM panelmail_message WHERE id = ?`, a.message).Scan(&site)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	for i := range s.rulings {
		s.rulings[i].event.Site = site
	}
	for _, r := range s.reports {
		r.origin.Site = site
	}
	if s.warning != nil {
		s.warning.origin.Site = site
	}
	return nil
}

// rewrite makes new pages of all that is in the file, if that is our own.
//
// What is deleted SQLite overwrites, but not what it has copied before: where cells
// moved from page to page, old ones stay in the room between those that are left.
func (e *engine) rewrite(ctx context.Context) error {
	if !e.file.Owned() {
		return nil
	}
	var live int64
	err := e.read.QueryRowContext(ctx, `
SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&live)
	if err != nil {
		return err
	}
	if live > rewriteLimit {
		return fmt.Errorf("%w: %d octets are in use, and at most %d are rewritten", ErrTraces, live, rewriteLimit)
	}
	return e.writer.do(ctx, &op{class: classPeek, peek: func(t txn) error {
		_, err := t.exec(`VACUUM`)
		if sqlitedb.IsBusy(err) {
			return fmt.Errorf("%w: %w", ErrLocked, err)
		}
		return err
	}})
}

// cutLog writes the log into the file and cuts it. It is refused while somebody
// reads what is in the log.
func (e *engine) cutLog(ctx context.Context) error {
	return e.writer.do(ctx, &op{class: classPeek, peek: func(t txn) error {
		e.writer.copier.mu.Lock()
		defer e.writer.copier.mu.Unlock()
		var busy, log, done int
		err := e.writer.spoiled.note(t.row(`PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &done))
		if sqlitedb.IsBusy(err) || err == nil && busy != 0 {
			return fmt.Errorf("%w by a reader", ErrLocked)
		}
		return err
	}})
}
