//go:build !cgo

package sqlitedb

import (
	"database/sql/driver"
	"errors"

	"github.com/mattn/go-sqlite3"
)

func defaultDriver() driver.Driver { return &sqlite3.SQLiteDriver{} }

func available() error {
	return errors.New("this program was built without cgo, which the default SQLite driver needs: " +
		"build with CGO_ENABLED=1, or open the database with another driver and pass the *sql.DB to queue.New")
}

func driverCode(error) (int, bool) { return 0, false }
