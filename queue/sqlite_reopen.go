package queue

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/panelmail/panelmail/internal/sqlitedb"
)

func (w *writer) open(ctx context.Context) error {
	second, err := w.file.Writer(ctx)
	if err != nil {
		return err
	}
	db, err := w.file.Writer(ctx)
	if err != nil {
		_ = second.Close()
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		_ = second.Close()
		_ = db.Close()
		return err
	}
	w.db, w.tx, w.copier = db, &prepared{conn: conn, statements: map[string]*sql.Stmt{}}, newCopier(second, w.limit, &w.spoiled)
	return nil
}

// reopen opens the connection after an error that left the other in doubt.
func (w *writer) reopen() error {
	if err := w.open(context.Background()); err != nil {
		return err
	}
	if err := check(w.tx); err != nil {
		w.shut() // whatever the error says
		return err
	}
	w.reopened()
	return nil
}

func (w *writer) shut() {
	if w.db != nil {
		w.copier.close()
		w.tx.close()
		_ = w.db.Close()
		w.db, w.tx = nil, nil
	}
}

// checkRows is how many of the last messages and events are looked at.
const checkRows = 100

// check looks, after an error of the disk, whether a fresh connection can be
// trusted: that the tables are those we know, that what was written last can be
// read, and that a commit succeeds. That the log is on and synced has been read
// back when the connection was opened. What it costs does not grow with the file:
// a check of all of that is for a person to run.
func check(t txn) error {
	var version int
	if err := t.row(`SELECT version FROM panelmail_version`).Scan(&version); err != nil {
		return err
	}
	if version != schemaVersion {
		return fmt.Errorf("the tables have version %d and this program knows version %d", version, schemaVersion)
	}
	for _, query := range []string{`
SELECT sum(length(queue_id) + length(site) + length(script) + size) FROM (SELECT * FROM panelmail_message ORDER BY id DESC LIMIT ?)`, `
SELECT sum(length(address) + length(text) + due) FROM (SELECT * FROM panelmail_recipient ORDER BY message DESC LIMIT ?)`, `
SELECT sum(length(hex(head)) + length(hex(body))) FROM (SELECT * FROM panelmail_content ORDER BY message DESC LIMIT ?)`, `
SELECT sum(length(queue_id) + length(transcript) + at) FROM (SELECT * FROM panelmail_event ORDER BY seq DESC LIMIT ?)`,
	} {
		var sum any
		if err := t.row(query, checkRows).Scan(&sum); err != nil {
			return err
		}
	}
	return probe(t)
}

// probe commits something. If somebody else has the lock, they can write, and we
// will see.
func probe(t txn) error {
	for _, statement := range []string{`BEGIN IMMEDIATE`, `UPDATE panelmail_version SET version = version`, `COMMIT`} {
		if _, err := t.exec(statement); err != nil {
			if statement == `BEGIN IMMEDIATE` && sqlitedb.IsBusy(err) {
				return nil
			}
			_, _ = t.exec(`ROLLBACK`)
			return err
		}
	}
	return nil
}
