package main

import (
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// notify tells the service manager how the server is (sd_notify(3)), if there is
// one that wants to know.
func notify(state string) {
	name := os.Getenv("NOTIFY_SOCKET") // net takes a leading @ for the abstract name that it is
	if name == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(time.Second))
	c.Write([]byte(state)) // nobody to tell of an error
}

// reloadingState is what Type=notify-reload of systemd waits for after SIGHUP: it
// has the time on the clock that is never set.
func reloadingState() string {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", t.Nano()/1000)
}
