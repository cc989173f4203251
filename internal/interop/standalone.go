package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A Standalone is the example server run as a process of its own, from its
// command line like anybody's: state, configuration and log in one directory,
// one SMTP listener on loopback that relays for loopback. Set fields before
// Start; Start again after Stop or Kill continues with the same state.
type Standalone struct {
	Binary string // the program, see [BuildStandalone]
	Dir    string
	Addr   string // of the SMTP listener; if "", Start takes a free port

	// SmartHost is the address everything is sent to, "127.0.0.1:2526"; if "",
	// routes and MX records decide.
	SmartHost string

	// Settings are lines of the configuration with the whole key in each,
	// `limits.message_size = "64MiB"`, stronger than the instance's own.
	Settings []string

	process *exec.Cmd
	ended   chan struct{}
}

// BuildStandalone builds the example server of the module around the working
// directory into dir and returns the program's path.
func BuildStandalone(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "panelmail")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/panelmail/panelmail/examples/standalone")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the server: %w: %s", err, out)
	}
	return binary, nil
}

// Start runs the server and returns when it accepts connections.
func (s *Standalone) Start(ctx context.Context) error {
	if s.Addr == "" {
		addr, err := freeAddr()
		if err != nil {
			return err
		}
		s.Addr = addr
	}
	if err := s.configure(); err != nil {
		return err
	}
	log, err := os.OpenFile(s.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	s.process = s.command(ctx, "serve")
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		s.process.Wait()
	}()
	if err := s.await(ctx); err != nil {
		s.Kill()
		return fmt.Errorf("%w\nlog: %s", err, s.Log())
	}
	return nil
}

// Stop asks the server to end and waits until it is gone; after half a minute
// it is killed, which is an error.
func (s *Standalone) Stop() error {
	s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("the server did not end when told"), s.Kill())
	}
}

// Kill ends the server with SIGKILL and returns when the process is seen gone.
func (s *Standalone) Kill() error {
	pid := s.process.Process.Pid
	s.process.Process.Kill()
	<-s.ended
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("process %d is still there: %v", pid, err)
	}
	return nil
}

// PID is the server's process id.
func (s *Standalone) PID() int { return s.process.Process.Pid }

// Command runs one of the program's other commands on the same state and
// returns its standard output.
func (s *Standalone) Command(ctx context.Context, args ...string) (string, error) {
	if err := s.configure(); err != nil {
		return "", err
	}
	cmd := s.command(ctx, args...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, problems.String())
	}
	return string(out), err
}

// Log is everything the server has printed and logged.
func (s *Standalone) Log() string {
	text, err := os.ReadFile(s.path("log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (s *Standalone) path(name string) string { return filepath.Join(s.Dir, name) }

func (s *Standalone) command(ctx context.Context, args ...string) *exec.Cmd {
	global := []string{"--data", s.path("data"), "--config", s.path("panelmail.toml")}
	return exec.CommandContext(ctx, s.Binary, append(global, args...)...)
}

// configure writes the configuration file.
func (s *Standalone) configure() error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	lines := []string{
		`hostname = "panelmail.test"`,
		`listen.smtp = "` + s.Addr + `"`,
		`listen.submission = ""`,
		`relay.networks = ["127.0.0.0/8"]`,
		`delivery.allow_private = true`,
		`delivery.tls = "none"`,
	}
	if s.SmartHost != "" {
		lines = append(lines, `delivery.smart_host = "`+bracketed(s.SmartHost)+`"`)
	}
	text := strings.Join(lastOfEach(append(lines, s.Settings...)), "\n") + "\n"
	return os.WriteFile(s.path("panelmail.toml"), []byte(text), 0o600)
}

// await returns when the server greets, or at once when it has ended.
func (s *Standalone) await(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	greets := make(chan error, 1)
	go func() { greets <- waitFor(ctx, s.Addr) }()
	select {
	case err := <-greets:
		return err
	case <-s.ended:
		return fmt.Errorf("the server ended: %v", s.process.ProcessState)
	}
}

// bracketed is an address the way next hops are written, "[127.0.0.1]:25".
func bracketed(addr string) string {
	host, port, _ := strings.Cut(addr, ":")
	return "[" + host + "]:" + port
}
