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
// # Where Postfix says something else
//
// Replies have Postfix's codes and enhanced codes, for logs and clients know
// them. These differ, on purpose; those with a star are the desk's (mailcore). A
// test in internal/interop holds the same dialogues with both and knows no other
// difference.
//
//	what                            Postfix 3.7      here        because
//	relay refused *                 454 4.7.1 or     554 5.7.1   nobody's later try will be allowed; Postfix
//	                                554 5.7.1                    says so too with reject_unauth_destination
//	too many hops *                 554 5.4.0        554 5.4.6   RFC 3463 has a code for loops
//	domain with a null MX *         556 5.1.10,      556 5.1.10  found at delivery, not at RCPT
//	                                550 5.7.27
//	source route, two @, blanks     250, or as the   501 5.1.7,  an address has one meaning or none: what is
//	or text around <>, empty local  address that is  501 5.1.3,  judged is what goes out
//	part or label                   left             553 for @
//	address without a domain        250, 554 5.7.1   504 5.5.2   no domain is added
//	local-part over 256 octets      250              501 5.1.7   a limit, also in what we send
//	name in EHLO over 255 octets    250              501         as above
//	UTF-8 without SMTPUTF8          250              553 5.6.7   RFC 6531 section 3.5
//	control character in a command  250              500 5.5.2   refused, not cut short or ignored
//	command over 2,000 octets       250              500 5.5.2   as above
//	SIZE twice, ORCPT without       250              501 5.5.4   as above
//	address, AUTH= with bad xtext
//	bare line feed after a command  550 5.5.2,       served      only content is smuggled; there it is 550
//	                                closed                       5.5.2 as with Postfix
//	GET, a header field, a number,  221 2.7.0,       500 5.5.2,  a refusal has a code for refusals
//	octets that are no command      closed; or 500   closed
//	HELP                            500 5.5.2        214 2.0.0   RFC 5321 section 4.1.1.8
//	EXPN                            500 5.5.2        502 5.5.1   RFC 5321 section 4.2.4
//	ETRN                            250, 459, 500    500 5.5.2   not offered
//	AUTH before STARTTLS            503 5.5.1        538 5.7.11  tells the user what to turn on
//	AUTH with unknown mechanism     535 5.7.8        504 5.5.4   RFC 4954 section 4: not a wrong password
//	AUTH with bad base64            535 5.7.8        501 5.5.2   as above
//	BDAT with bad arguments         521 5.5.4,       501 5.5.4,  a syntax error
//	                                closed           closed
//	second BDAT without recipients  551 5.0.0        554 5.5.1   551 is for a user who has moved
//
// # Hostile peers
//
// Every wait has an end, content must come at a minimum rate, lines, sizes,
// recipients, errors, failed logins and connections are limited, and what a
// limit cuts off is never read as commands. A chunk that would take for ever to
// drop, larger than a mebibyte and twice MaxSize, is the end of the connection.
// A panic in the Handler ends one connection. Replies and log lines carry no control characters and no secrets.
package smtpserver
