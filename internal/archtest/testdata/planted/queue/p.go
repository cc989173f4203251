// Package queue has SQL, and its neighbour.
package queue

import (
	"database/sql"

	_ "planted.test/mailcore/sites"
	_ "planted.test/transport/transporttest"
)

func Depth(db *sql.DB) *sql.Row { return db.QueryRow("SELECT 1") }
