// Package restrict decides which mail a server takes, by lists of restrictions in the
// words of Postfix, so that what administrators know and have written holds here.
//
// There are six lists: client, helo, sender, relay, recipient and data. The first five
// are evaluated at RCPT, in this order; the last at DATA. A list is read from left to
// right. A restriction that permits ends its own list only; one that rejects or defers
// ends them all; behind the end of a list is a permit. The prefix warn_if_reject makes
// the restriction after it say what it would have refused, and go on. Of what is only
// remembered, defer_if_permit turns a permit of all lists into a 4xx reply;
// defer_if_reject turns a 5xx reply of the same list into a 4xx one, where relay and
// recipient are one list.
//
// # Trouble
//
// What the DNS cannot say for now never decides for good: a look-up that fails defers
// the mail if everything else permits it. A DNS block list that fails, refuses our
// queries or lists everything is no reason to refuse anybody: its answers are not used,
// and this is noted.
//
// # Differences from Postfix
//
//   - A word that is unknown, or an argument that is missing, is found by [Parse] and not
//     when the first client comes.
//   - Table look-ups never open relaying by what a client says of itself:
//     [Policy.CheckRelay].
//   - Keys of access tables may be networks in CIDR notation. A key that could never
//     match (".example.com") and an action that nobody could mean ("550" without a text,
//     which Postfix takes for OK) are errors.
//   - The actions DISCARD, FILTER, HOLD, REDIRECT, BCC and PREPEND are errors.
package restrict
