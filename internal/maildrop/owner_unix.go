//go:build unix

package maildrop

import (
	"io/fs"
	"syscall"
)

// noWait opens a FIFO without waiting for a writer, and no symbolic link.
const noWait = syscall.O_NONBLOCK | syscall.O_NOFOLLOW

// ownerOf is the uid of a file's owner, -1 if it cannot be told.
func ownerOf(fi fs.FileInfo) int {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

// linksOf is the number of a file's names.
func linksOf(fi fs.FileInfo) int {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Nlink)
	}
	return 0
}
