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
// A transport's name stands for a [Definition]: a built-in base and a policy.
// oneshot and relaylim are smtp with one attempt, and with one delivery at a time
// for each destination. error, retry, discard and hold need no network, and their
// next hop is a text:
//
//	bad.example     error:5.7.1 Not here     550, and a bounce
//	later.example   retry:                   450 until it expires
//	void.example    discard:                 250, and gone
//	look.example    hold:                    stopped until a person releases it
package transport
