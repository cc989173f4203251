// Package mailcore runs SQL.
package mailcore

import (
	"context"
	"database/sql"

	_ "github.com/mattn/go-sqlite3"
	"planted.test/mailcore/sites"
)

type tx struct{ *sql.Tx }

func Count(ctx context.Context, t tx, c *sql.Conn) error {
	if _, err := sites.All(t.Tx); err != nil {
		return err
	}
	if _, err := t.ExecContext(ctx, "DELETE FROM t"); err != nil {
		return err
	}
	prepare := c.PrepareContext
	_, err := prepare(ctx, "SELECT 1")
	return err
}
