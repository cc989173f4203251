// Package memnet imports a floor and a neighbour.
package memnet

import (
	_ "planted.test/internal/dsn"
	_ "planted.test/transport"
)
