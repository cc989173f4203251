// Package srs rewrites envelope senders for forwarding and finds the sender again
// when the forwarded copy bounces: the Sender Rewriting Scheme.
//
// A host that forwards mail of example.com to somebody else's server is not among
// the hosts that may send for example.com (SPF, RFC 7208). So the copy leaves under
// a reverse-path in a domain of the forwarder, from which the forwarder can tell the
// original one, and nobody else can make one:
//
//	SRS0=HASH=TT=example.com=alice@fwd.example.net
//	SRS1=HASH=first.example==HHHH=TT=example.com=alice@fwd.example.net
//
// HASH is a keyed one (HMAC-SHA1) of what follows it and TT the day. The second form
// is for a sender that another forwarder has rewritten before: only the first
// forwarder, first.example, is kept, however many there are.
//
// A [Rewriter] holds the secrets and does both ways. The package touches no disk, no
// network and no log, and keeps nothing: how secrets are kept and rotated, and which
// mail is rewritten at all, is its user's. In general that is a copy that leaves as a
// result of forwarding, whose sender is not null and not of a domain of one's own.
//
// # Other implementations
//
// Addresses are those of Mail::SRS and postsrsd, to the octet, and are understood
// both ways; the hash is in the standard alphabet of base64, and on the way back in
// the URL-safe one as well, which postsrsd writes from version 2.2.6 on. Migrating
// from one of them takes its secrets, and [Rewriter.MinHashLength] for as long as its
// short hashes come back. This package is different in these points:
//
//   - The hash has 8 characters, and as many must come back, where 4 are usual.
//   - A local-part that is a quoted string is made part of a quoted string, not
//     pasted into an atom, which would be no address.
//   - The hash is looked at before the day, so that an address that is forged and
//     out of date is forged.
//   - A stamp is two characters, and an address without a user is malformed.
//
// # What to know
//
// The format does not say in its hash where the host ends and the user begins: who
// was given SRS0=…=a.b=cd can make SRS0=…=a.bc=d of it. Nor does it hash the domain
// behind the at sign. Days are counted modulo 1,024, so that an address of one secret
// becomes valid again after that many: rotate secrets more often.
//
// One address has many spellings that reverse alike, for letters in it may be of
// either case and separators of three kinds. Whoever counts uses of an address counts
// results of [Rewriter.Reverse].
//
// SRS is for SPF alone. It does not make SPF agree with the From field, which DMARC
// asks for (RFC 7489 section 3.1.2): forwarded mail passes DMARC by its DKIM
// signature, and fails it when the forwarder alters what was signed.
package srs
