package queue

import (
	"database/sql/driver"
	"fmt"

	"github.com/panelmail/panelmail/transport"
)

// A tlsWish is what a message wishes of TLS, as a column.
type tlsWish struct{ of *transport.Envelope }

// The values of the column.
const (
	wishNothing = iota
	wishRequired
	wishOptional
)

// Value implements [driver.Valuer].
func (w tlsWish) Value() (driver.Value, error) {
	switch {
	case w.of.RequireTLS:
		return int64(wishRequired), nil
	case w.of.TLSOptional:
		return int64(wishOptional), nil
	}
	return int64(wishNothing), nil
}

// Scan implements sql.Scanner.
func (w tlsWish) Scan(from any) error {
	n, ok := from.(int64)
	if !ok || n < wishNothing || n > wishOptional {
		return fmt.Errorf("requiretls is %v", from)
	}
	w.of.RequireTLS, w.of.TLSOptional = n == wishRequired, n == wishOptional
	return nil
}
