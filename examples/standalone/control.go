package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/panelmail/panelmail/mailcore"
)

// While the server runs, commands are carried out by it: over a Unix socket of
// mode 0600 in the data directory, one connection a command. The client sends a
// request, the server answers with frames, the last of which has an exit status.

// request is what the client asks.
type request struct {
	Args  []string `json:"args"` // the words of the command included
	Stdin []byte   `json:"stdin,omitempty"`
	JSON  bool     `json:"json,omitempty"`
}

// frame is a piece of the answer.
type frame struct {
	Out  []byte `json:"out,omitempty"`
	Err  []byte `json:"err,omitempty"`
	Exit *int   `json:"exit,omitempty"`
}

// maxRequest bounds a request: a transport map of a hundred thousand lines fits.
const maxRequest = 64 << 20

// remoteExit is the exit status of a command that the server carried out.
type remoteExit int

// Error implements error.
func (r remoteExit) Error() string { return fmt.Sprintf("exit status %d", int(r)) }

func (a *app) controlSocket() string { return filepath.Join(a.data, "control.sock") }

func (a *app) database() string { return filepath.Join(a.data, "panelmail.db") }

// remote has the running server carry out the command. done is false if no
// server runs.
func (a *app) remote(ctx context.Context, cmd command, args []string) (done bool, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", a.controlSocket())
	if err != nil {
		return false, nil
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	req := request{Args: append([]string{cmd.name}, args...), JSON: a.json}
	if cmd.prepare != nil && a.stdin != nil {
		if req.Stdin, err = io.ReadAll(io.LimitReader(a.stdin, maxRequest/2)); err != nil {
			return true, err
		}
	}
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		return true, fmt.Errorf("ask the server: %w", err)
	}
	for answer := json.NewDecoder(conn); ; {
		var f frame
		if err := answer.Decode(&f); err != nil {
			return true, fmt.Errorf("the server went away: %w", errors.Join(err, ctx.Err()))
		}
		if _, err := a.stdout.Write(f.Out); err != nil {
			return true, err
		}
		if _, err := a.stderr.Write(f.Err); err != nil {
			return true, err
		}
		if f.Exit != nil && *f.Exit != 0 {
			return true, remoteExit(*f.Exit)
		}
		if f.Exit != nil {
			return true, nil
		}
	}
}

// listenControl makes the control socket. The directory is 0700, and so nobody
// else can reach it even before its mode is set.
func (a *app) listenControl() (net.Listener, error) {
	return listenUnix(a.controlSocket(), 0o600)
}

// maxSocketPath is the longest name that a Unix socket can have everywhere
// (sockaddr_un: 104 octets on the BSDs, 108 on Linux, with a NUL).
const maxSocketPath = 103

// listenUnix listens on a Unix socket of the given mode, in place of one that a
// process which is gone has left.
func listenUnix(path string, mode os.FileMode) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("%s: the name is too long for a socket: %d octets, at most %d", path, len(path), maxSocketPath)
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("%s is in the way: it is not a socket", path)
		}
		if conn, err := net.Dial("unix", path); err == nil {
			conn.Close()
			return nil, fmt.Errorf("%s is in use by another process", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// serveControl answers commands until ctx is done.
func (a *app) serveControl(ctx context.Context, l net.Listener, srv *mailcore.Server) error {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("control socket: %w", err)
		}
		calls.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			a.answer(ctx, conn, srv)
		})
	}
}

// answer carries out one request.
func (a *app) answer(ctx context.Context, conn net.Conn, srv *mailcore.Server) {
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var req request
	if err := json.NewDecoder(io.LimitReader(conn, maxRequest)).Decode(&req); err != nil {
		return
	}
	out := &frames{e: json.NewEncoder(conn)}
	remote := &app{stdout: out.stream(false), stderr: out.stream(true), json: req.JSON}
	cmd, _, err := find(req.Args)
	if err == nil && cmd.run == nil {
		err = usagef("%s is not a command for a server", cmd.name)
	}
	if err == nil {
		err = cmd.run(ctx, &call{
			server: srv, settings: a.settings, command: cmd, args: req.Args[1:],
			stdin: bytes.NewReader(req.Stdin), stdout: remote.stdout, stderr: remote.stderr, json: req.JSON,
		})
	}
	status := remote.exit(err)
	out.send(frame{Exit: &status})
}

// frames writes an answer to the client.
type frames struct {
	mu sync.Mutex
	e  *json.Encoder
}

func (f *frames) send(x frame) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.e.Encode(x)
}

func (f *frames) stream(isErr bool) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		x := frame{Out: p}
		if isErr {
			x = frame{Err: p}
		}
		return len(p), f.send(x)
	})
}

type writerFunc func(p []byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
