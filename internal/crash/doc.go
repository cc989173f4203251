// Package crash takes a mail server's life in three ways, and counts what that
// cost: a [Harness] kills the process again and again while it works, and a
// [Replay] or [Snapshots] pull the plug on its disk.
//
// In a harness, submitters hand in messages over SMTP and note each one at the
// moment its 250 arrives. A sink at the other end remembers what reaches it. In
// the middle of this the server gets SIGKILL, the harness sees the process
// gone, starts the server again, and goes on. In the end the submitters stop,
// the queue drains, and the books are compared:
//
//   - lost: acknowledged and never arrived;
//   - altered: arrived cut short or changed;
//   - repeats, by the kill that lies between two arrivals of one message. A
//     delivery whose outcome was not on disk when the server died is made
//     again, so a kill may cost as many repeats as there were such deliveries,
//     and none may come without a kill.
//
// Killing a process loses nothing the kernel already has: the harness tests
// what the server does before it says 250 and what it does at start-up. What a
// power cut adds is the loss of what was written and not synced. A replay takes
// the system calls of one real run, as strace recorded them, and computes from
// them what the disk would hold at each moment. Whoever trusts it must trust
// the model: a sync covers the writes that ended before it began, sectors are
// written whole or not at all, and file names are on disk at once.
//
// Where there is the right to mount, a third way trusts a real file system instead
// of a model: [Snapshots] takes the disk from under a frozen server as it is, without
// what the kernel has not written yet.
//
// All have positive controls, without which a "0 lost" means nothing. Command
// earlyack, below this package, is a server that says 250 before it stores; and
// a replay can leave out syncs, as synchronous=OFF would.
package crash
