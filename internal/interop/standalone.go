package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Standalone is the example server run as a process of its own, from its
// command line like anybody's: state, configuration and log in one directory,
// one SMTP listener on loopback that relays for loopback. Set fields before
// Start; Start again after Stop or Kill continues with the same state.
type Standalone struct {
	Process        // its Addr may be set, or Start takes a free port; the rest is set by Start
	Binary  string // the program, see [BuildStandalone]
	Dir     string

	// SmartHost is the address everything is sent to, "127.0.0.1:2526"; if "",
	// routes and MX records decide.
	SmartHost string

	// Settings are lines of the configuration with the whole key in each,
	// `limits.message_size = "64MiB"`, stronger than the instance's own.
	Settings []string

	// Wrapper, if set, is a command with arguments that runs the server.
	Wrapper []string
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

// Start writes the configuration, runs the server, and returns when it greets.
func (s *Standalone) Start(ctx context.Context) error {
	if s.Addr == "" {
		addr, err := FreeAddr()
		if err != nil {
			return err
		}
		s.Addr = addr
	}
	if err := s.configure(); err != nil {
		return err
	}
	command := append(append(slices.Clone(s.Wrapper), s.Binary), s.Arguments("serve")...)
	s.Process.Path, s.Process.Args, s.File = command[0], command[1:], s.path("log")
	return s.Process.Start(ctx)
}

// Command runs one of the program's other commands on the same state and
// returns its standard output.
func (s *Standalone) Command(ctx context.Context, args ...string) (string, error) {
	if err := s.configure(); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, s.Binary, s.Arguments(args...)...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, problems.String())
	}
	return string(out), err
}

func (s *Standalone) path(name string) string { return filepath.Join(s.Dir, name) }

// Database is the path of the server's database.
func (s *Standalone) Database() string { return filepath.Join(s.path("data"), "panelmail.db") }

// Arguments are those of the program for a command on this state.
func (s *Standalone) Arguments(command ...string) []string {
	return append([]string{"--data", s.path("data"), "--config", s.path("panelmail.toml")}, command...)
}

// configure writes the configuration file. A server that reads it meanwhile finds
// what was there before or all of it.
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
	f, err := os.CreateTemp(s.Dir, "panelmail.toml.")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), s.path("panelmail.toml"))
}

// bracketed is an address the way next hops are written, "[127.0.0.1]:25".
func bracketed(addr string) string {
	host, port, _ := strings.Cut(addr, ":")
	return "[" + host + "]:" + port
}
