//go:build cgo

package sqlitedb

import (
	"database/sql/driver"
	"errors"

	"github.com/mattn/go-sqlite3"
)

func defaultDriver() driver.Driver { return &sqlite3.SQLiteDriver{} }

func available() error { return nil }

func driverCode(err error) (int, bool) {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	return int(e.Code), true
}
