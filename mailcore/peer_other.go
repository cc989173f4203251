//go:build !linux

package mailcore

import (
	"errors"
	"net"
)

// peerOf fails where the kernel's word is not to be had the Linux way: the
// sendmail socket is refused rather than guessed at.
func peerOf(net.Conn) (uid, pid int, err error) {
	return 0, 0, errors.New("the sendmail socket needs SO_PEERCRED, which this system does not have")
}
