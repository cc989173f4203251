// Command bench measures the example server beside Debian's Postfix.
//
//	go run ./internal/bench                  # P1 P2 P5 P9, five rounds
//	go run ./internal/bench -rounds 3 P2 P6  # chosen workloads
//	go run ./internal/bench -json P2         # one JSON object
//
// Each workload is run in rounds. In a round every target has its turn, each
// started afresh with an empty queue: the load generator straight into the sink
// (the ceiling of the measurement), Postfix with Debian's settings, Postfix
// tuned (target.go says how), and panelmail. What is compared are medians over
// the rounds and ratios within a round, against the better of the two
// Postfixes. All data is on the file system of -dir, with fsync as the file
// system does it; the command says which one it is and how many it does.
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
// It takes root, for Postfix. Nothing listens anywhere but on loopback.
package main
