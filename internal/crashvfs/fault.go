package crashvfs

// An Op is an operation of a disk that may fail.
type Op int

// The operations, each on one file. Open is also asked about files that are not
// followed. Map is the growth of the memory shared between connections, which is
// backed by a file.
const (
	Open Op = iota
	Write
	Truncate
	Sync
	Delete
	Map
)

var opNames = [...]string{"open", "write", "truncate", "sync", "delete", "map"}

// String is the name of the operation.
func (o Op) String() string { return opNames[o] }

// A Fault is how an operation fails.
type Fault int

const (
	// NoFault lets the operation work.
	NoFault Fault = iota

	// IOError is EIO, and nothing was done. Of a sync that means more: what it
	// was to bring to the disk will never get there, though programs go on
	// reading it. The kernel has forgotten that it is not on the disk.
	IOError

	// Full is ENOSPC, and nothing was done. Where SQLite has no such error it is
	// IOError.
	Full

	// Partly writes the first half and then there is no more room. Syncs,
	// truncations and removals are done whole and reported as failed; opening
	// fails as ever.
	Partly
)

var faultNames = [...]string{"none", "EIO", "ENOSPC", "partly"}

// String is the name of the fault.
func (f Fault) String() string { return faultNames[f] }
