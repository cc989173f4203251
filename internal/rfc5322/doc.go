// Package rfc5322 handles the part of a message that a mail server touches: the
// header block, and the line ends (RFC 5322, with the SMTP view of RFC 5321
// section 4.4).
//
// A [Header] keeps the octets of every field as they came, so that a signature
// over them still holds, and reads no more of them than where each field begins
// and what its name is. The body is never parsed.
//
// A [Cleaner] stands between whoever hands a message in and the queue: what has
// passed it has CRLF line ends, no other CR or LF, and no NUL.
//
// The functions that make fields ([Received], [Missing], [MessageID]) take words
// from peers and settings. No word, whatever it contains, can end a line or open
// another field.
package rfc5322
