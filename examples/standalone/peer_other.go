//go:build !linux

package main

import "net"

// checkPeer lets everybody in where the kernel does not tell who it is the Linux
// way: the mode of the socket has to do, 0600.
func checkPeer(net.Conn) error { return nil }
