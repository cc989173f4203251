// Command bench measures the example server, some of it beside Debian's Postfix.
//
//	go run ./internal/bench                  # P1 P2 P5 P9, five rounds
//	go run ./internal/bench -rounds 3 P2 P6  # chosen workloads
//	go run ./internal/bench -json P2         # one JSON object
//	go run ./internal/bench -messages 100000 P8 Q1 P11 P12
//
// # Loads
//
// P1, P2, P3, P5, P6 and P9 are loads put on servers. Each is run in rounds. In
// a round every target has its turn, each started afresh with an empty queue:
// the load generator straight into the sink (the ceiling of the measurement),
// Postfix with Debian's settings, Postfix tuned (target.go says how), and
// panelmail. What is compared are medians over the rounds and ratios within a
// round, against the better of the two Postfixes. All data is on the file system
// of -dir, with fsync as the file system does it; the command says which one it
// is and how many it does.
//
// The generator keeps one connection per session and waits for each reply
// before it sends the next command, as Postfix's own smtp-source does with -d;
// with -pipelining, MAIL, RCPT and DATA go out together. The sessions are open
// before the clock starts. Each message has a recipient of its own, by which
// the sink knows what is lost and what came twice. "Held" means a destination
// that accepts connections and never says a word; for Postfix it means the hold
// queue, where it does least. CPU time is that of the
// server's process tree, read from /proc, in seconds for 1,000 messages.
//
// # Cases
//
// The others compare cases, which take turns as targets do; -targets has no say
// in them.
//
//	P8   a million messages, nine tenths of them for a destination that refuses:
//	     time to the first delivery, memory, and how fast the rest gets out,
//	     against the rest alone
//	P7   P2 with signatures by RSA-2048; Postfix has OpenDKIM as a milter, of Debian's
//	     package opendkim
//	Q1   the command line on that queue, with a server and without, and a restart
//	P10  round trips for a message and for each further recipient, over a network
//	     of 50 ms
//	P11  how many deliveries of its lane a site's only message waits for, behind a
//	     million messages of other sites
//	P12  cost of a message in a queue of a million and in one of a thousand
//	P13  latency of acceptance; and end to end, beside Postfix, with 2 ms added to
//	     every sync of every process by a preloaded library, which gcc compiles
//	     and which counts the syncs it has met
//	P14  arrivals a kill -9 repeats, in the middle of a drain
//	G11  the drain after a minute's outage
//	G12  a healthy destination beside 20 black holes
//	Q2   connections tried until a destination that refuses them is known as dead
//
// Long queues are filled once by an embedded server, in the same file that the
// example server then starts on, and each run works on a copy. P8, Q1 and P11
// need 3 GiB in -dir, P12 needs 6 GiB; filling takes a minute or two. -messages
// scales the queue.
//
// It takes root, for Postfix. Nothing listens anywhere but on loopback.
package main
