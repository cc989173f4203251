package srs

import "errors"

// What can be wrong with an address; matched with errors.Is. The texts say nothing
// of the address itself and are fit for a log, but not for the peer: somebody who
// guesses should not be told which part was right.
var (
	// ErrNotSRS: the local-part does not begin as an SRS address does. It is an
	// ordinary address.
	ErrNotSRS = errors.New("srs: not an SRS address")

	// ErrHash: none of the secrets made the hash. Malformed SRS addresses match it
	// as well, for none of ours is.
	ErrHash = errors.New("srs: the hash is not of any secret")

	// ErrExpired: the hash is right, and the stamp is too old or of a day to come.
	ErrExpired = errors.New("srs: the stamp is out of date")

	// ErrMalformed: not an address, or an SRS address with a field missing.
	ErrMalformed = errors.New("srs: malformed address")

	// ErrTooLong: the rewritten address would be longer than is allowed.
	ErrTooLong = errors.New("srs: the rewritten address is too long")
)

// forged is what is wrong with an address that has the tag of an SRS address and
// that Forward cannot have made.
type forged string

func (f forged) Error() string { return ErrMalformed.Error() + ": " + string(f) }

func (f forged) Is(target error) bool { return target == ErrMalformed || target == ErrHash }
