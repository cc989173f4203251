package address

import "errors"

// What can be wrong with an address; matched with errors.Is. The texts are fit
// for a reply to the peer: they say nothing of the address itself.
var (
	ErrNoLocal     = errors.New("no local-part")
	ErrLocal       = errors.New("local-part is neither a dot-atom nor a quoted string")
	ErrNoDomain    = errors.New("no domain")
	ErrDomain      = errors.New("malformed domain")
	ErrLiteral     = errors.New("malformed address literal")
	ErrIsLiteral   = errors.New("an address literal is no domain")
	ErrMultipleAt  = errors.New("more than one @")
	ErrSourceRoute = errors.New("source routes are not supported")
	ErrTooLong     = errors.New("address too long")
	ErrControl     = errors.New("control character in address")
	ErrUTF8        = errors.New("address is not valid UTF-8")
	ErrPath        = errors.New("malformed path")
)
