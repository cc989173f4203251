// Package sqlitedb opens SQLite files the way a mail queue needs them: durable,
// private, and never by accident in another way.
//
// A [File] is where a database lives and the driver that opens it. [Own] is a
// file of ours, created with mode 0600 in a directory others cannot write to;
// [Beside] is the file behind a caller's *sql.DB, opened through the caller's
// driver but on connections of our own, so that the caller's pool keeps its
// settings and its size.
//
// [File.Writer] and [File.Reader] return handles whose connections are set up
// alike whatever the driver's own syntax is: a connector executes the pragmas
// on each new connection and reads them back, and a connection that is not
// what was asked for is not used. Transactions of a writer begin immediate, so
// that none fails half way because somebody else wrote in between.
//
// Statements never see a context that can be cancelled. A driver that
// interrupts a statement rolls the transaction back behind the back of
// database/sql, and what follows runs outside of any transaction. Contexts are
// to be checked before a transaction begins.
//
// This is the only package that imports the default driver. Without cgo the
// driver is a stub; everything still builds, and [Own] says what is missing.
package sqlitedb
