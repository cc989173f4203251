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
package transport
