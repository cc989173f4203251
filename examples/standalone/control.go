package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/panelmail/panelmail/mailcore"
)

// While the server runs, commands are carried out by it: over a Unix socket of
// mode 0600 in the data directory, one connection a command. The client sends a
// request, the server answers with frames, the last of which has an exit status.

// request is what the client asks.
type request struct {
	Args     []string `json:"args"` // the words of the command included
	Stdin    []byte   `json:"stdin,omitempty"`
	JSON     bool     `json:"json,omitempty"`
	Terminal bool     `json:"terminal,omitempty"` // standard error is one
}

// frame is a piece of the answer.
type frame struct {
	Out  []byte `json:"out,omitempty"`
	Err  []byte `json:"err,omitempty"`
	Exit *int   `json:"exit,omitempty"`
}

// Limits of a request, in octets: a transport map of a million lines fits.
const (
	maxStdin   = 64 << 20 // what a command reads
	maxRequest = 96 << 20 // with that in base64
)

// remoteExit is the exit status of a command that the server carried out.
type remoteExit int

// Error implements error.
func (r remoteExit) Error() string { return fmt.Sprintf("exit status %d", int(r)) }

func (a *app) controlSocket() string { return filepath.Join(a.data, "control.sock") }

func (a *app) database() string { return filepath.Join(a.data, "panelmail.db") }

// remote has the running server carry out the command. done is false if no
// server runs. Requests have passwords in them, so that the directory must be
// one in which nobody else could have put a socket.
func (a *app) remote(ctx context.Context, cmd command, args []string) (done bool, err error) {
	if err := a.ownData(); err != nil {
		return true, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", a.controlSocket())
	if err != nil {
		return false, nil
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	req := request{Args: append([]string{cmd.name}, args...), JSON: a.json, Terminal: a.terminal()}
	if cmd.prepare != nil && a.stdin != nil {
		if req.Stdin, err = io.ReadAll(io.LimitReader(a.stdin, maxStdin)); err != nil {
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

// listenControl makes the control socket. Until its mode is set it has the one
// that the umask leaves: bind takes no mode, and the umask is the whole process's.
// Who connects in that moment gets no further than checkPeer; where that cannot
// tell, the data directory must be 0700, as ownData makes it.
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
func (a *app) serveControl(ctx context.Context, l net.Listener, srv *mailcore.Server, log *slog.Logger) error {
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
			if err := checkPeer(conn); err != nil {
				log.Warn("a caller on the control socket was refused", "error", err)
				return
			}
			a.answer(ctx, conn, srv, log)
		})
	}
}

// answer carries out one request.
func (a *app) answer(ctx context.Context, conn net.Conn, srv *mailcore.Server, log *slog.Logger) {
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var req request
	if err := json.NewDecoder(io.LimitReader(conn, maxRequest)).Decode(&req); err != nil {
		return
	}
	ctx, stop := watch(ctx, conn)
	defer stop()
	out := &frames{conn: conn}
	remote := &app{stdout: out.stream(false), stderr: out.stream(true), json: req.JSON, settings: a.inForce()}
	status := remote.exit(remote.carryOut(ctx, srv, req, log))
	_ = out.send(frame{Exit: &status})
}

// watch returns a context that is done when the client has left, of whom nothing
// more is expected to be heard. After stop nobody reads from conn.
func watch(ctx context.Context, conn net.Conn) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	_ = conn.SetReadDeadline(time.Time{})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, conn)
		cancel()
	}()
	return ctx, func() {
		_ = conn.SetReadDeadline(time.Unix(1, 0))
		<-gone
	}
}

// carryOut runs the command of a request. A panic is an error of this command,
// and not the end of the mail server.
func (a *app) carryOut(ctx context.Context, srv *mailcore.Server, req request, log *slog.Logger) (err error) {
	cmd, _, err := find(req.Args)
	if err != nil {
		return err
	}
	if cmd.run == nil {
		return usagef("%s is not a command for a server", cmd.name)
	}
	if cmd.postfix {
		a.tool = cmd.name
	}
	defer func() {
		if p := recover(); p != nil {
			log.Error("a command panicked", "command", cmd.name, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: the server made a mistake, which is in its log", cmd.name)
		}
	}()
	return (&call{
		server: srv, settings: a.inForce(), command: cmd, args: req.Args[1:], stdin: bytes.NewReader(req.Stdin),
		json: a.json, terminal: req.Terminal, serving: true,
	}).carryOut(ctx, newOutput(a.stdout, a.stderr))
}

// patience is how long a client may take to read a frame: who looks at a long
// answer a page at a time takes a while, and the command with its transaction
// waits.
const patience = time.Minute

// frames writes an answer to the client.
type frames struct {
	mu   sync.Mutex
	conn net.Conn
}

func (f *frames) send(x frame) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return json.NewEncoder(f.conn).Encode(x)
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
