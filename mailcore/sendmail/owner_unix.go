//go:build unix

package sendmail

import (
	"io/fs"
	"syscall"
)

// ownerOf is the uid of a file's owner, -1 if it cannot be told.
func ownerOf(fi fs.FileInfo) int {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}
