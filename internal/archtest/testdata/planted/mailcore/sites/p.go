// Package sites has SQL.
package sites

import "database/sql"

func All(tx *sql.Tx) (*sql.Rows, error) { return tx.Query("SELECT 1") }
