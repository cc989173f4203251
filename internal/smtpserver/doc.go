// Package smtpserver is an SMTP server (RFC 5321) without policy: it speaks the
// protocol, and a [Handler] decides.
//
// A [Server] holds the settings. For each connection it asks the Handler for a
// [Session], for each MAIL command the Session for a [Transaction], and feeds
// that recipients and content. One goroutine serves a connection and makes all
// these calls, one at a time.
//
// # Content
//
// Content is pulled: [Transaction.Data] gets a reader, and a BDAT command that
// continues the message is read inside a call of Read. The reader says [io.EOF]
// only when the message is there to its last octet: after CRLF.CRLF, or after
// every octet of the chunk marked LAST. Every other end is an error, and then
// nothing may be kept. A success that is returned before io.EOF was seen is
// answered as a failure.
//
// CRLF.CRLF alone ends DATA, so nothing can be smuggled past a server that
// sees line ends elsewhere. A bare CR, a bare LF or a NUL makes the message
// refused (550 5.5.2), after it was read to its end; a [LenientTransaction] gets
// such octets as they are.
//
// # Extensions
//
// PIPELINING (RFC 2920), SIZE (1870), STARTTLS (3207), AUTH (4954),
// ENHANCEDSTATUSCODES (2034), 8BITMIME (6152), DSN (3461), SMTPUTF8 (6531),
// CHUNKING (3030, without BINARYMIME) and, if asked for, REQUIRETLS (8689).
//
// # Hostile peers
//
// Every wait has an end, content must come at a minimum rate, lines, sizes,
// recipients, errors, failed logins and connections are limited, and what a
// limit cuts off is never read as commands. A panic in the Handler ends one
// connection. Replies and log lines carry no control characters and no secrets.
package smtpserver
