package sqlitedb

import (
	"errors"
	"strings"
)

// Primary result codes of SQLite that a queue tells apart
// (https://www.sqlite.org/rescode.html).
const (
	codeBusy       = 5
	codeLocked     = 6
	codeFull       = 13
	codeConstraint = 19
)

// IsBusy reports whether err says that somebody else holds the lock that the
// statement needed.
func IsBusy(err error) bool {
	return has(err, codeBusy, "database is locked") || has(err, codeLocked, "table is locked")
}

// IsFull reports whether err says that the disk, or the quota, is full.
func IsFull(err error) bool { return has(err, codeFull, "disk is full") }

// IsConstraint reports whether err says that a row broke a constraint.
func IsConstraint(err error) bool { return has(err, codeConstraint, "constraint failed") }

// has asks the error for its code, and if the driver's errors have none that
// we can see, for SQLite's own words.
func has(err error, want int, words string) bool {
	if err == nil {
		return false
	}
	if code, ok := driverCode(err); ok {
		return code == want
	}
	var coder interface{ Code() int }
	if errors.As(err, &coder) {
		return coder.Code()&0xff == want
	}
	return strings.Contains(err.Error(), words)
}
