// Package sites keeps what a panel configures for its hosted sites, in SQLite:
// sites and their system users, domains, mailboxes, aliases, logins, the
// transport map, transports by sender, sources, smart hosts, credentials, TLS policies and
// templates of DNS records.
//
// # Reading
//
// Whoever decides about mail asks a [Snapshot], which is most settings at one
// moment, in memory. [Sites.Current] returns the one in force for the price of
// an atomic load. A snapshot answers the questions of a planner
// (it is a transport.Router, Sourcer, SmartHoster, Credentialer and TLSPolicer,
// and so is [Sites] itself) and those of whoever takes mail in: which site has
// a uid or a domain, and which addresses a login may send as. Logins, mailboxes,
// aliases and recipients are not in it, for there may be a million of them: see
// [Sites.Authenticate] and [Sites.Find].
//
// # Keys
//
// Addresses and domains are folded when they are stored and when they are looked
// up: lower case, A-labels, no final dot. A table about senders is searched
// for the address, the address without its +extension, @domain, the site that
// answers for the message, and where there is one the default. The null
// reverse-path has the key <> in place of the first three.
//
// # Coming from Postfix
//
// A [MapReader] reads the tables of a Postfix, and [Sites.Import] stores what it has
// read, all or nothing.
//
// # Keys for signing
//
// The keys of DKIM go through a life, see [DKIMState]: nothing is signed with one that a
// receiver could fail to find, and none is forgotten while mail signed with it is under
// way. A [DKIMPolicy] says of a domain how often they are replaced. [Sites] is the
// dkim.KeyStore that signs with them.
//
// # Isolation
//
// A row keyed by a site, or by an address or domain that a site has, counts for
// mail of that site alone. Removing a domain removes the rows about it, so that
// its next owner inherits nothing; removing a site removes all of its rows in
// one transaction. A name that one site has is refused to others with
// [ErrNotOwner].
//
// # Secrets
//
// Passwords of logins are stored as argon2id hashes (bcrypt hashes made
// elsewhere are verified too) and never read back. Passwords for smart hosts
// have to be stored as they are: keep the file private, as the queue does for
// files it makes. So have secrets of SRS, and private keys until they are retired. No listing, error or printed value holds one.
package sites
