package sites

import (
	"errors"
	"fmt"
)

// The classes of error, matched with [errors.Is]. The text of an error names
// the row it is about; it never holds a password or a hash.
var (
	// ErrExists: a row of that name is there already.
	ErrExists = errors.New("exists already")

	// ErrNotFound: there is no row of that name.
	ErrNotFound = errors.New("not found")

	// ErrInvalid: the value can never be stored; the text says why.
	ErrInvalid = errors.New("invalid")

	// ErrNotOwner: the name belongs to another site.
	ErrNotOwner = errors.New("belongs to another site")

	// ErrInUse: other rows name this one; the text says which.
	ErrInUse = errors.New("is in use")

	// ErrBadCredentials: the login is unknown, or the password is wrong. The
	// error is the same for both.
	ErrBadCredentials = errors.New("sites: bad credentials")
)

func exists(kind, name string) error   { return fmt.Errorf("sites: %s %q %w", kind, name, ErrExists) }
func notFound(kind, name string) error { return fmt.Errorf("sites: %s %q %w", kind, name, ErrNotFound) }

func invalid(kind, name, format string, args ...any) error {
	return fmt.Errorf("sites: %s %q is %w: %s", kind, name, ErrInvalid, fmt.Sprintf(format, args...))
}

func notOwner(kind, name, owner string) error {
	return fmt.Errorf("sites: %s %q %w: %q", kind, name, ErrNotOwner, owner)
}
