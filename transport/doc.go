// Package transport decides how mail leaves, and lets it leave: the vocabulary of
// delivery, the planner, and the transports.
//
// # Vocabulary
//
// A [Delivery] is one attempt to deliver one message to some recipients: an
// [Envelope], an [Origin], a [Plan], and the content behind Open. A [Transport]
// makes the attempt and answers with a [Report], one [Outcome] per recipient.
// Everything that delivers, slows, refuses or fakes delivery is a Transport.
//
// An outcome carries its own class. Delivered, Deferred, Failed and Held are what
// became of an attempt. NotTried, the zero Outcome, says that there was none: our
// own limits and interruptions are nobody's failure, and cost the message neither
// an attempt nor a delay.
//
// # Planning
//
// A [Planner] makes a [Plan] for each recipient, afresh at every attempt. Two
// questions are asked that do not know of each other:
//
//   - Where to? The transport map, a [Router], asks the recipient. Then the smart
//     host of the sender, then the smart host of everybody, then the recipient
//     domain.
//   - Where from? A [Sourcer] asks the sender and the site.
//
// So a route never changes the address or the name that a sender's mail leaves
// under. For each part the plan says [Because] of which rule it is so; the same
// function answers delivery and the person who asks why.
//
// A [Table] is a transport map in the language of Postfix's transport(5), read by
// [ParseMap] or made of rows by [NewTable].
//
// What cannot be planned is deferred. An unknown transport, an unknown TLS level or
// a table that cannot be read never sends mail another way, and never fails it.
//
// # TLS
//
// A [TLSPolicy] is a level of Postfix's, none to secure, and its terms: names,
// fingerprints, authorities, the least version, ciphers. What the host's zone and the
// domain publish, TLSA records and an MTA-STS policy, are [Facts]; the plan says which
// of them count. From these the demand on each host follows before it is connected to.
// A host that does not meet it hears nothing of the message, and the next one is
// tried. Differences from Postfix:
//
//	names            the common name of a certificate is not looked at (RFC 9525)
//	least version    1.2 from encrypt on; at may 1.0, for it is better than clear text
//	STARTTLS hidden  it is asked for all the same where it is required: a host that
//	                 has us on a list says so then, and that is what is reported
//	credentials      need encrypt at least, and no message lowers TLS for them
//	MTA-STS          counts beside a default level, not beside a policy of a table
//
// # Delivering
//
// A [Dispatcher] is the Transport that a queue delivers through. It plans, groups
// recipients with equal plans, admits each group to its lane, a source and a
// destination, and asks the transport. A lane that is full hands its recipients
// back, not tried.
//
// How many deliveries a lane has at once is learnt from them, by the rules of Postfix's
// queue manager. It begins with five. Each that gets through connection and handshake
// makes it one more, up to twenty, whatever becomes of its recipients; each that does
// not makes it fewer. Three of these in a row, and the destination is dead: for five
// minutes nothing is tried, and what is meant for it is handed back. A [Reviver] ends
// that sooner. What counts as a failure of the destination is marked so in the
// [Outcome]. A wrong password is not: it is one sender's, and the host is everybody's.
//
// [Destinations] finds out, in the background, which domains are behind one set of
// exchangers, or one large provider: they share their lanes.
//
// A transport's name stands for a [Definition]: a built-in base and a policy. With it a
// transport has numbers of its own, pauses after each delivery, keeps to a rate, or to
// a number of deliveries over all destinations. oneshot and relaylim are smtp with one
// attempt, and with one delivery at a time for each destination. error, retry, discard and hold need no network, and their
// next hop is a text:
//
//	bad.example     error:5.7.1 Not here     550, and a bounce
//	later.example   retry:                   450 until it expires
//	void.example    discard:                 250, and gone
//	look.example    hold:                    stopped until a person releases it
//
// # How our transport map differs from Postfix
//
// The answers are those of Postfix's resolver, as a planner, its Default and its
// Defaults are put together here, but for these lines:
//
//   - An address is one of RFC 5321, with one @ outside quotes and no route in it.
//     Everything else is a syntax error (5.1.3), and % and ! are letters; Postfix takes
//     most and unfolds a%b@c, b!a@c and @c:a@b.
//   - A domain that ends in a number is a syntax error; in Postfix if all of it is numbers.
//   - A local-part may begin with a hyphen; Postfix takes that for a syntax error.
//     The desk of mailcore refuses it from strangers, which is where it may do harm.
//   - A domain that became the next hop is written in lower-case A-labels; Postfix
//     leaves it as the sender wrote it, and next hops are compared without case anyway.
//   - discard: without a text has the text "discarded"; in Postfix the recipient domain.
//   - An entry never changes the source: which address and name mail leaves under is
//     the sender's. In Postfix a transport has its own, so that relaylim: for a domain
//     sends the mail of a sender with an address of his own from the shared one.
//   - A row that could not do what it says is refused when it is loaded, with its line,
//     and the table with it: a status whose class does not fit error, retry or discard,
//     a transport that is not defined, a pattern that no address can match, a value that
//     is missing, text that is not UTF-8. Postfix warns of some and defers or bounces
//     mail because of the others.
//   - A next hop of a list that is no host, [host] or address is an error of the row
//     and not of the delivery, for the transports that connect to one.
//   - Quotes count only where a local-part needs them, and a domain is the same in
//     U-labels and A-labels; Postfix looks up what it is given.
//   - Blanks around transport and next hop do not count.
//   - A row of the defaults by sender names a transport, and a next hop if it likes; one
//     without a transport is refused where Postfix stops working.
//   - Whether domains stand for their subdomains (parent_domain_matches_subdomains) is
//     asked once, when a table is read: see [Table.MatchSubdomains].
//
// And where package mailcore puts the parts together:
//
//   - A table about senders has keys for a whole site, between @domain and the default.
//     Its rows for a domain of a site count for mail of that site alone, so that mail
//     forwarded by another does not leave as if the first had sent it.
//   - A copy that is forwarded under a reverse-path of our making (SRS) is asked about by
//     that, and as mail of the site that forwards: its rows hold, whoever wrote the mail.
//   - A local-part alone, in an imported table about senders, is the address at our own
//     host name. A transport there that is a service of master.cf with an address or a
//     HELO name becomes a source of the sender, which then holds whatever the route is.
//   - A smart host whose name cannot be found defers mail whichever table names it; in
//     Postfix that is so for relayhost alone.
//   - Credentials by sender are always asked for, not only if a switch says so, and go to
//     the sender's smart host and to nobody else.
//   - The name of a mail exchanger is no key for a credential, but the host of a next hop
//     in brackets is: a password does not follow the word of the DNS. Where the
//     exchangers of a provider are looked up, its domain is the key.
//   - With a credential mail goes over TLS and after a login, or it waits; Postfix sends
//     it without a login where a server offers none. There is no exception for clear text.
//   - Where the address of a source is not on this machine its mail waits; in Postfix it
//     leaves from another one unless smtp_bind_address_enforce is set. A source with an
//     address of one family does not use the other.
//   - Default transports by sender are asked for recipients elsewhere, as in Postfix; a
//     hosted domain that has no mailboxes here counts as elsewhere, and uses the smart
//     host, because it only sends through us.
//   - Mailboxes come between the entries for an address or a domain by name and those
//     for .parent and *: a wildcard needs no row for each hosted domain.
//   - In a list of next hops one TLS policy holds for all: that which covers the others.
//     Where none does mail waits; Postfix looks for one as each host is connected to.
//   - STARTTLS that is answered with 5xx where TLS is required defers mail; in Postfix it
//     bounces, whoever on the way has said that.
//   - error: and retry: answer at RCPT, by the same text and status as in Postfix. Where
//     an alias leads to an address that is answered with error:, a stranger's mail to the
//     alias is refused at RCPT too, for the report would go to a forged sender.
package transport
