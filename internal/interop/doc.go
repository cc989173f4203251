// Package interop holds what tests and benchmarks put at the other end of the
// product: programs that are not ours, a private Postfix above all, and a sink
// and a submitter that share no code with our SMTP server and client, so that
// one misunderstanding cannot hide in both ends.
//
// The product itself appears as [Standalone]: the example server as a process,
// for tests that kill it and benchmarks that measure it.
//
// Everything listens on loopback and lives in a directory of its own. Programs
// come from Debian packages; a test that needs one calls [Need].
package interop
