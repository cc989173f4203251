// Package dnscheck compares the DNS records that mail needs with those that are
// published, and says what to do about the difference.
//
// [Check] asks every authoritative server of each name. What a customer has delegated
// by an alias counts where the alias leads, and what has to be done is to be done there.
// An alias that a wildcard makes delegates nothing, nor does one to a host or to the domain
// itself: a record is then wanted at the name.
// A record that is right on some servers and not yet on others is waited for; one that
// is wrong on all of them is an operation: add, change or remove, in an order in which
// each is allowed, and with its servers if they are not all wrong in the same way. The
// customer's own SPF record is completed and not replaced, and so is a DMARC record,
// whose policy is never weakened.
//
// Servers that do not serve their zone, fail or stay silent are troubles of their own:
// a receiver of mail may ask just that one. What no server answers is unknown, and no
// operations are made up for it.
package dnscheck
