// Package dsn uses what it may.
package dsn

import (
	_ "planted.test/internal/address"
	_ "planted.test/internal/dsn/part"
)
