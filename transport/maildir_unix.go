//go:build unix

package transport

import (
	"os"
	"syscall"
)

// inherit gives what root has made to the owner and group of the directory that it was
// made in. Others cannot give away what is theirs.
func inherit(made *os.File, in *os.Root) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := in.Stat(".")
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	return made.Chown(int(owner.Uid), int(owner.Gid))
}
