// Package crashvfs is a disk under SQLite from which the plug can be pulled.
//
// A [Disk] is an SQLite VFS on top of the system's own. Everything works as
// always, and beside it a [State] keeps book of what a real disk would owe to
// nobody yet: the writes and truncations of each file since its last sync, and
// the names made and removed since the last sync of anything. Before each of
// these changes the disk stands still for a probe, which can [State.Cut] images
// of what a power cut at this instant might leave.
//
// # The model
//
// What was synced is there. Of what was not, anything may be: all, nothing, a
// part in any order, and of a write any of its sectors of 512 octets, with or
// without garbage in those that were being written. Octets next to a write are
// safe from it, as SQLite's default VFS claims too (powersafe overwrite).
//
// Names become durable in the order in which they were made and removed, all of
// them with any later sync of any file: that is what the journal of a Linux file
// system does, and without it SQLite's own order of syncs would look unsafe.
//
// The memory shared between connections to a write-ahead log (the -shm file) is
// no state: SQLite rebuilds it when it opens a database first. Temporary files
// are not followed either.
//
// The test of this package puts a busy queue on such a disk and opens the images
// as a server would after the power cut. It has found nothing only if it found
// losses with synchronous=NORMAL and damage with OFF in the same run.
//
// # Faults
//
// A disk also fails on demand: [Disk.Fail]. A failed sync loses what it was to save
// for good, as Linux does it. The other test of this package has the operations of a
// scenario fail one after the other, and must find out a queue that does not look
// at the error of COMMIT.
//
// The default driver's copy of SQLite must be linked into the program. Without
// cgo, and on other systems than Linux, there is only [State].
package crashvfs
