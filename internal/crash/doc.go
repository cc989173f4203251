// Package crash kills a mail server again and again while it works, and counts
// what that cost.
//
// Submitters hand in messages over SMTP and note each one at the moment its
// 250 arrives. A sink at the other end remembers what reaches it. In the middle
// of this the server gets SIGKILL, the harness sees the process gone, starts
// the server again, and goes on. In the end the submitters stop, the queue
// drains, and the books are compared:
//
//   - lost: acknowledged and never arrived;
//   - altered: arrived cut short or changed;
//   - repeats, by the kill that lies between two arrivals of one message. A
//     delivery whose outcome was not on disk when the server died is made
//     again, so a kill may cost as many repeats as there were such deliveries,
//     and none may come without a kill.
//
// Killing a process loses nothing the kernel already has: this harness tests
// what the server does before it says 250 and what it does at start-up. It says
// nothing of power cuts.
//
// Command earlyack, below this package, is the positive control: a server that
// says 250 before it stores. A harness that finds nothing wrong with it is
// broken.
package crash
