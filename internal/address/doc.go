// Package address reads, prints and compares mail addresses as SMTP writes them
// (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
//
// An [Address] holds the local-part as a value, without quotes, so that every
// rule judges what the address means and not how it was spelt. The one way back
// to the wire is [Address.String], which quotes whatever needs quoting: an
// address that came in as "victim@remote> X"@local never leaves as anything
// else.
//
// What Parse accepts is narrower than what other servers accept. Source routes,
// a second unquoted @, control characters, empty labels and dots in wrong places
// are errors, each with a name of its own. Percent signs and exclamation marks
// are ordinary characters, but [Address.Routed] tells of them, because some next
// hop might take them for a route.
package address
