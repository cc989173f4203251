// Package sqlitedb wraps the driver.
package sqlitedb

import (
	"database/sql"

	_ "github.com/mattn/go-sqlite3"
)

func Check(db *sql.DB) error {
	_, err := db.Exec("PRAGMA quick_check")
	return err
}
