// Package memnet is a network in memory: buffered connections, listeners and
// a dialer that open no socket.
//
// It exists for tests in virtual time. Everything that blocks does so on a
// [sync.Cond] or on the caller's context, so goroutines inside a
// [testing/synctest] bubble count as durably blocked, and deadlines are timers
// of that bubble's clock.
//
// It behaves like TCP on one host where mail software can tell the difference:
// writes are buffered (64 KiB in each direction), so that both sides may write
// before either reads; each direction can be closed on its own; data written
// before a close is still read; a close with unread data resets the connection;
// errors are a *[net.OpError] around the errno that a kernel would give.
package memnet
