package mailcore

import (
	"io"

	"github.com/panelmail/panelmail/transport"
)

// A Message is what panel code hands in with [Server.Submit].
type Message struct {
	// ReversePath is where bounces go; "" is the null reverse-path.
	ReversePath string

	// Recipients are addresses, local-part@domain. At least one.
	Recipients []string

	// Site answers for the message. The reverse-path must then belong to it.
	// "" is the panel itself, which may send as anybody.
	Site string

	// Login and Script are kept with the message, for the trail.
	Login, Script string

	// Content is header, empty line and body. Line ends may be LF or CRLF;
	// Date, Message-ID and From are added if they are missing.
	Content io.Reader

	// The parameters of RFC 3461, for those who want reports.
	EnvID  string
	Ret    transport.Ret
	Notify transport.Notify
}
