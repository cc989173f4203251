package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// connectAs connects to a socket as another user. The thread that was that user
// ends with the goroutine.
func connectAs(uid int, path string) (*os.File, error) {
	type result struct {
		f   *os.File
		err error
	}
	c := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
			c <- result{nil, errno}
			return
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		}
		c <- result{os.NewFile(uintptr(fd), path), err}
	}()
	r := <-c
	return r.f, r.err
}

func TestTheControlSocketAnswersUsAndRootOnly(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	l := newLab(t)
	must(t, os.Chmod(l.data, 0o755))
	path := filepath.Join(l.data, "open.sock")
	socket, err := listenUnix(path, 0o666) // as if its mode was not set yet
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var log bytes.Buffer
	go func() { done <- (&app{}).serveControl(ctx, socket, nil, slog.New(slog.NewTextHandler(&log, nil))) }()
	for uid, want := range map[int]string{0: `{"exit":2}`, 12345: ""} {
		conn, err := connectAs(uid, path)
		must(t, err)
		_, _ = io.WriteString(conn, `{"args":["nonsense"]}`+"\n")
		answer, _ := io.ReadAll(conn)
		if !strings.Contains(string(answer), want) || want == "" && len(answer) > 0 {
			t.Errorf("uid %d got %q", uid, answer)
		}
		conn.Close()
	}
	stop()
	must(t, <-done)
	if !strings.Contains(log.String(), "uid 12345 may not give commands") {
		t.Errorf("the log: %s", &log)
	}
}
