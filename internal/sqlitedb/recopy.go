package sqlitedb

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

// An index is the file of the log's index, open since it was first needed.
type index struct {
	mu   sync.Mutex
	fd   int
	info os.FileInfo // nil: not open
}

// Recopy has the write-ahead log copied into the database from its first frame
// on, as after a crash, by whoever copies it next. The caller holds the write lock
// and ends its transaction without a commit.
//
// It is for an owner who was told of an error while the log was copied. SQLite
// books a part of the log as copied before it has synced the database, and does
// not take that back: a system that forgets what it could not write (as Linux does
// once it has reported the error) would then keep those pages in its memory only.
//
// The header of the index is made to differ from its copy. Everyone who sees that
// reads the log anew (https://www.sqlite.org/walformat.html, "Recovery"), which
// also makes its first frame the next to copy. The descriptor of the index stays
// open as long as the process: closing it would drop the locks that SQLite holds
// on it for this process.
func (f *File) Recopy() error {
	f.shm.mu.Lock()
	defer f.shm.mu.Unlock()
	if err := f.shm.open(f.path + "-shm"); err != nil {
		return fmt.Errorf("have the log copied again: %w", err)
	}
	if _, err := syscall.Pwrite(f.shm.fd, make([]byte, 4), 0); err != nil {
		return fmt.Errorf("have the log copied again: %w", err)
	}
	return nil
}

// open makes sure that what is open is the file of that name: it is another one
// when the database has been out of use in between.
func (i *index) open(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if i.info != nil {
		if os.SameFile(i.info, info) {
			return nil
		}
		_ = syscall.Close(i.fd)
		i.info = nil
	}
	fd, err := syscall.Open(name, syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	i.fd, i.info = fd, info
	return nil
}
