//go:build unix

package transport

import "syscall"

// descriptors is how many files this process may have open: see getrlimit(2).
func descriptors() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0
	}
	return int(min(uint64(r.Cur), 1<<30))
}
