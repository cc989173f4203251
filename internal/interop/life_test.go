package interop_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// A run is the server as a process of a test that looks at how it ends.
type run struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
	ended  bool
}

// serve starts the server on s's state and returns when it says how to send a
// first message: it listens then.
func serve(t *testing.T, s *interop.Standalone) *run {
	t.Helper()
	if _, err := s.Command(t.Context(), "config", "check"); err != nil { // which writes the file, too
		t.Fatal(err)
	}
	r := &run{t: t, cmd: exec.Command(s.Binary, "--data", filepath.Join(s.Dir, "data"), "--config", filepath.Join(s.Dir, "panelmail.toml"), "serve")}
	r.cmd.Stderr = &r.stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !r.ended {
			r.cmd.Process.Kill()
			r.cmd.Wait()
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "Send a first message") {
			return r
		}
	}
	r.cmd.Wait()
	r.ended = true
	t.Fatalf("%v: %s", r.cmd.ProcessState, r.stderr.String())
	return nil
}

func (r *run) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// end waits for the process and returns its exit status; -1 if it was killed.
func (r *run) end() int {
	r.t.Helper()
	timer := time.AfterFunc(30*time.Second, func() { r.cmd.Process.Kill() })
	err := r.cmd.Wait()
	r.ended = true
	if !timer.Stop() {
		r.t.Errorf("it did not end when told: %s", r.stderr.String())
	}
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		r.t.Error(err)
	}
	return r.cmd.ProcessState.ExitCode()
}

// newServer is a server that relays for loopback to a sink which defers all
// mail until it is opened.
func newServer(t *testing.T) (s *interop.Standalone, sink *interop.Sink, open func()) {
	t.Helper()
	if testing.Short() {
		t.Skip("it drives other processes")
	}
	dir, err := os.MkdirTemp("", "life") // socket names are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary, err := interop.BuildStandalone(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var opened atomic.Bool
	sink = &interop.Sink{Answer: func(verb, _ string) string {
		if verb == "RCPT" && !opened.Load() {
			return "451 4.7.1 later"
		}
		return ""
	}}
	if err := sink.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	s = &interop.Standalone{
		Binary: binary, Dir: filepath.Join(dir, "s"), SmartHost: sink.Addr,
		Settings: []string{`queue.backoff_min = "1s"`, `queue.backoff_max = "2s"`},
	}
	s.Addr = freePort(t)
	return s, sink, func() { opened.Store(true) }
}

func TestMailThatWaitsIsDeliveredOnceByTheNextServer(t *testing.T) {
	for name, tt := range map[string]struct {
		signal syscall.Signal
		status int
	}{
		"SIGTERM": {syscall.SIGTERM, 0},
		"SIGINT":  {syscall.SIGINT, 0},
		"SIGKILL": {syscall.SIGKILL, -1},
	} {
		t.Run(name, func(t *testing.T) {
			s, sink, open := newServer(t)
			r := serve(t, s)
			m := &mailer{t: t, addr: s.Addr}
			for range 10 {
				if refused := m.send(); refused != "" {
					t.Fatal(refused)
				}
			}
			r.signal(tt.signal)
			if status := r.end(); status != tt.status {
				t.Errorf("exit status %d, want %d: %s", status, tt.status, r.stderr.String())
			}
			if _, err := net.Dial("tcp", s.Addr); err == nil {
				t.Error("somebody still listens")
			}
			if out, err := s.Command(t.Context(), "queue", "stats"); err != nil || !strings.HasPrefix(out, "10 messages, ") {
				t.Errorf("the queue without a server: %v: %s", err, out)
			}
			open()
			r = serve(t, s)
			m.allArrive(sink)
			r.signal(syscall.SIGTERM)
			if status := r.end(); status != 0 {
				t.Errorf("exit status %d: %s", status, r.stderr.String())
			}
			if n := sink.Count(); n != len(m.acked) {
				t.Errorf("%d messages arrived, want %d", n, len(m.acked))
			}
			if out, err := s.Command(t.Context(), "queue", "list"); err != nil || out != "the queue is empty\n" {
				t.Errorf("left in the queue: %v: %s", err, out)
			}
		})
	}
}

// Who is in the middle of a message when the server is told to stop may finish
// it; everybody else is sent away at once.
func TestAStopDrainsWhatIsUnderWay(t *testing.T) {
	s, sink, open := newServer(t)
	r := serve(t, s)
	dial := func() (net.Conn, *bufio.Reader) {
		t.Helper()
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return c, bufio.NewReader(c)
	}
	expect := func(in *bufio.Reader, want string) {
		t.Helper()
		for {
			line, err := in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, want) {
				t.Fatalf("%q, %v; want %s", line, err, want)
			}
			if line[3] != '-' {
				return
			}
		}
	}
	busy, busyIn := dial()
	expect(busyIn, "220")
	fmt.Fprint(busy, "HELO busy.test\r\nMAIL FROM:<a@shop.example>\r\nRCPT TO:<b@customer.example>\r\nDATA\r\n")
	for _, want := range []string{"250", "250", "250", "354"} {
		expect(busyIn, want)
	}
	fmt.Fprint(busy, "Subject: message-1.\r\n\r\nx\r\n")
	_, idleIn := dial()
	expect(idleIn, "220")
	r.signal(syscall.SIGTERM)
	expect(idleIn, "421") // it has heard the signal now
	fmt.Fprint(busy, ".\r\n")
	expect(busyIn, "250 2.0.0 Ok: queued as ")
	fmt.Fprint(busy, "MAIL FROM:<a@shop.example>\r\n")
	if rest, _ := io.ReadAll(busyIn); !strings.HasPrefix(string(rest), "421 ") {
		t.Errorf("a second message while it stops: %q", rest)
	}
	if status := r.end(); status != 0 {
		t.Errorf("exit status %d: %s", status, r.stderr.String())
	}
	open()
	serve(t, s)
	(&mailer{t: t, acked: []string{"message-1."}}).allArrive(sink)
}

func TestAHangUpDoesNotEndTheServer(t *testing.T) {
	s, _, _ := newServer(t)
	r := serve(t, s)
	c, err := interop.NewSubmitter(t.Context(), s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r.signal(syscall.SIGHUP)
	if _, err := c.Command("NOOP"); err != nil {
		t.Errorf("the connection from before: %v", err)
	}
	if out, err := s.Command(t.Context(), "queue", "stats"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	r.signal(syscall.SIGTERM)
	if status := r.end(); status != 0 || !strings.Contains(r.stderr.String(), "the configuration and the certificates were reloaded") {
		t.Errorf("exit status %d: %s", status, r.stderr.String())
	}
}

func TestASecondServerOnTheSameDataNamesTheFirst(t *testing.T) {
	s, sink, open := newServer(t)
	r := serve(t, s)
	_, err := s.Command(t.Context(), "serve")
	if want := fmt.Sprintf("a server runs already on %s: process %d", filepath.Join(s.Dir, "data"), r.cmd.Process.Pid); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("the second: %v; want %s", err, want)
	}
	m := &mailer{t: t, addr: s.Addr}
	if refused := m.send(); refused != "" {
		t.Errorf("the first, afterwards: %s", refused)
	}
	if out, err := s.Command(t.Context(), "queue", "stats"); err != nil {
		t.Errorf("the first, asked for its queue: %v: %s", err, out)
	}
	open()
	m.allArrive(sink)
}

// The same as root would do everything.
func TestWhatAnotherUserMayNotDoIsNamed(t *testing.T) {
	interop.NeedRoot(t)
	s, _, _ := newServer(t)
	if _, err := s.Command(t.Context(), "config", "check"); err != nil {
		t.Fatal(err)
	}
	top := filepath.Dir(s.Dir)
	secret := filepath.Join(top, "secret.pem")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(top, "tls.toml")
	if err := os.WriteFile(config, []byte("hostname = \"a.test\"\ntls.certificate = \""+secret+"\"\ntls.key = \""+secret+"\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(top, "own")
	for _, err := range []error{os.Chmod(top, 0o755), os.Mkdir(own, 0o700), os.Chown(own, customer, customer)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"data directory: open " + top + "/serve.lock: permission denied", []string{"--data", top, "serve"}},
		{"data directory: mkdir " + top + "/new: permission denied", []string{"--data", top + "/new", "serve"}},
		{s.Dir, []string{"--data", s.Dir, "queue", "list"}},
		{secret + ": permission denied", []string{"--data", own, "--config", config, "serve"}},
	} {
		cmd := exec.CommandContext(t.Context(), s.Binary, tt.args...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: customer, Gid: customer}}
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 1 || bytes.Count(out, []byte("\n")) != 1 || !bytes.Contains(out, []byte(tt.want)) {
			t.Errorf("%q: %v: %s; want %s", tt.args, err, out, tt.want)
		}
	}
}
