// Package smtpclient is the sending side of SMTP (RFC 5321) and LMTP (RFC 2033)
// over a connection that somebody else opened.
//
// A [Client] is one connection. [Greet] waits for the greeting and says EHLO;
// [Client.StartTLS] and [Client.Auth] raise the connection; [Client.Send] carries
// one message and tells what the peer said about each recipient. Send may be
// called again on the same connection while [Client.Reusable] holds.
//
// The package assumes a hostile peer:
//
//   - A reply is bounded (2 KiB a line, 64 KiB in all) and must be well-formed;
//     what is not is [ErrProtocol], and the connection is closed.
//   - A reply nobody asked for is [ErrProtocol]: it would shift all that follow.
//   - Every read and write has a deadline of RFC 5321 section 4.5.3.2, and ends
//     when the context does.
//   - Text of the peer is cleaned of control characters and of secrets.
//
// And it never lets the peer be deceived about the message: once content has begun,
// anything but its proper end closes the connection without another octet, for
// the final dot would turn a torn message into a complete one. Content with a
// bare CR, a bare LF or a NUL is refused, not repaired.
//
// Where the connection comes from, which TLS is good enough, whom to try next and
// what a reply means for the queue are questions for the caller.
package smtpclient
