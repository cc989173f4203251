// Package dsn writes delivery status notifications: the messages that tell a
// sender what became of mail (RFC 3464, in the multipart/report of RFC 6522, and
// RFC 6533 for internationalised addresses).
//
// [Compose] is a pure function of a [Report]: the same report gives the same
// octets. What it writes has CRLF line ends and no line above 998 octets, and
// declares 8-bit content where there is some and nowhere else. Whatever peers
// said appears in it with control characters and 8-bit octets escaped.
package dsn
