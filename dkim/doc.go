// Package dkim signs messages (RFC 6376), with RSA and Ed25519 keys (RFC 8463), and
// verifies signatures. It needs no disk and no log, and only [Verify] asks the DNS,
// through a resolver it is given.
//
// A [Key] belongs to a domain and a selector. [GenerateKey] makes one, [ParseKey]
// takes one that exists, and [Key.Record] is what to publish under
// [Key.RecordName]. The private half shows in [Key.MarshalPEM] and nowhere else: no
// format verb, JSON encoder or log handler gets to see it.
//
// A [Signer] asks its [KeyStore] for the keys of a domain and gives the fields to put
// above the message, one per key:
//
//	signer := &dkim.Signer{Keys: store}
//	fields, err := signer.Sign(ctx, "example.com", content)
//
// # What is signed
//
// Header and body are canonicalized "relaxed", the hash is SHA-256, t= is always
// there, x= on request, l= never (RFC 6376 section 8.2). The fields that a reader is
// shown or that decide how the body is read are named once more often in h= than they
// are there (section 8.15), so that none can be put on top afterwards: From, Subject,
// To, Cc, Reply-To, Date, Message-ID, MIME-Version, Content-Type and
// Content-Transfer-Encoding. Sender, In-Reply-To, References and the fields of mailing
// lists and of resent mail are signed as often as they are there. Trace fields,
// Return-Path and fields that begin with X- are not signed.
//
// # What is refused
//
// What two verifiers might read in two ways is not signed: a header without From or
// with two, with a blank before a colon, without its blank line, or with a
// continuation line on top; a bare CR and NUL. Neither is a header above 102,400 octets or
// 1,000 fields, more than 100,000 line ends in a row, or fields repeated until h=
// does not fit on a line. Each of these is an error of this package that answers
// SMTPReply with the reply for whoever submitted the message.
package dkim
