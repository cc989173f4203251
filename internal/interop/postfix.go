package interop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Postfix is a private instance of Debian's Postfix: its own configuration,
// queue and log below one directory, one SMTP listener on loopback, nothing
// shared with an instance of the machine. It takes root to run.
//
// Without further settings it relays for loopback, is responsible for no
// domain, and looks next hops up as Postfix does. Set fields before Start.
type Postfix struct {
	// Dir holds everything. Postfix runs as an unprivileged user, so each
	// directory above must let others through.
	Dir string

	// Addr is the listener's address, "127.0.0.1:2526"; if "", Start takes a
	// free port of 127.0.0.1.
	Addr string

	// Main are lines of main.cf, one "name = value" each, stronger than the
	// instance's own.
	Main []string

	// Services sets how many processes of a service master(8) runs at most, by
	// the service's name, "smtpd" for the listener; the others have Postfix's
	// own limits.
	Services map[string]int

	// Logins may authenticate, name to password. If not nil, AUTH PLAIN and
	// LOGIN are offered, backed by a Cyrus sasldb.
	Logins map[string]string

	// Certificate is used for STARTTLS, if set.
	Certificate *Certificate
}

// services are the lines of master(5) beside the SMTP listener: Postfix's own
// limits, nothing chrooted.
var services = []string{
	"pickup unix n - n 60 1 pickup",
	"cleanup unix n - n - 0 cleanup",
	"qmgr unix n - n 300 1 qmgr",
	"tlsmgr unix - - n 1000? 1 tlsmgr",
	"rewrite unix - - n - - trivial-rewrite",
	"bounce unix - - n - 0 bounce",
	"defer unix - - n - 0 bounce",
	"trace unix - - n - 0 bounce",
	"verify unix - - n - 1 verify",
	"flush unix n - n 1000? 0 flush",
	"proxymap unix - - n - - proxymap",
	"proxywrite unix - - n - 1 proxymap",
	"smtp unix - - n - - smtp",
	"relay unix - - n - - smtp",
	"showq unix n - n - - showq",
	"error unix - - n - - error",
	"retry unix - - n - - error",
	"discard unix - - n - - discard",
	"lmtp unix - - n - - lmtp",
	"anvil unix - - n - 1 anvil",
	"scache unix - - n - 1 scache",
	"postlog unix-dgram n - n - 1 postlogd",
}

// RunPostfix starts an instance for the length of a test and shows its log
// when the test fails. p.Dir is made if it is "".
func RunPostfix(t testing.TB, p *Postfix) {
	t.Helper()
	NeedTime(t)
	Need(t, "postfix")
	NeedRoot(t)
	if p.Dir == "" {
		dir, err := os.MkdirTemp("", "postfix")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		p.Dir = dir
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log of Postfix:\n%s", p.Log())
		}
	})
}

// Start writes the configuration, starts the instance, and returns when it
// accepts connections.
func (p *Postfix) Start(ctx context.Context) error {
	if p.Addr == "" {
		addr, err := FreeAddr()
		if err != nil {
			return err
		}
		p.Addr = addr
	}
	for _, step := range []func() error{p.directories, p.secrets, p.configure} {
		if err := step(); err != nil {
			return fmt.Errorf("preparing Postfix: %w", err)
		}
	}
	if _, err := p.Command(ctx, "postfix", "start"); err != nil {
		return fmt.Errorf("%w\nlog: %s", err, p.Log())
	}
	return waitUntil(ctx, p.Addr, greeted)
}

// Stop ends the instance and returns when it is gone.
func (p *Postfix) Stop(ctx context.Context) error {
	_, err := p.Command(ctx, "postfix", "stop")
	return err
}

// Command runs one of Postfix's own commands (postfix, postqueue, postsuper,
// postconf …) on this instance and returns what it printed.
func (p *Postfix) Command(ctx context.Context, name string, args ...string) (string, error) {
	path, err := find(name)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, append([]string{"-c", p.path("conf")}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out.String())
	}
	return out.String(), nil
}

// Log is everything the instance has logged.
func (p *Postfix) Log() string {
	text, err := os.ReadFile(p.path("log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	return string(text)
}

// PID is the process id of the master, of which all other processes of the
// instance are children.
func (p *Postfix) PID() (int, error) {
	text, err := os.ReadFile(p.path("queue", "pid", "master.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// Queued counts the messages in the queue, whatever their state.
func (p *Postfix) Queued(ctx context.Context) (int, error) {
	out, err := p.Command(ctx, "postqueue", "-j")
	ids := map[string]bool{} // one on its way between two directories is listed twice
	for line := range strings.Lines(out) {
		_, id, _ := strings.Cut(line, `"queue_id": "`)
		id, _, _ = strings.Cut(id, `"`)
		ids[id] = true
	}
	return len(ids), err
}

func (p *Postfix) path(elem ...string) string {
	return filepath.Join(append([]string{p.Dir}, elem...)...)
}

// directories makes what Postfix expects to find; the rest it makes itself.
func (p *Postfix) directories() error {
	for _, name := range []string{"", "conf", "conf/sasl", "queue", "data", "sasl"} {
		if err := os.MkdirAll(p.path(name), 0o755); err != nil {
			return err
		}
		if err := os.Chmod(p.path(name), 0o755); err != nil {
			return err
		}
	}
	return chown(p.path("data"), "postfix")
}

// secrets writes the certificate, and the password database with the file that
// tells the SASL library of it. Debian's Postfix looks for that file below the
// configuration directory whatever cyrus_sasl_config_path says.
func (p *Postfix) secrets() error {
	if p.Certificate != nil {
		if err := os.WriteFile(p.path("conf", "cert.pem"), p.Certificate.Cert, 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(p.path("conf", "key.pem"), p.Certificate.Key, 0o600); err != nil {
			return err
		}
	}
	if p.Logins == nil {
		return nil
	}
	program, err := find("saslpasswd2")
	if err != nil {
		return err
	}
	db := p.path("sasl", "sasldb2")
	for name, password := range p.Logins {
		cmd := exec.Command(program, "-c", "-p", "-f", db, "-u", "peer.test", name)
		cmd.Stdin = strings.NewReader(password)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("saslpasswd2: %w: %s", err, out)
		}
	}
	library := "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: " + db + "\n"
	if err := os.WriteFile(p.path("conf", "sasl", "smtpd.conf"), []byte(library), 0o644); err != nil {
		return err
	}
	return chown(db, "postfix")
}

// configure writes main.cf and master.cf.
func (p *Postfix) configure() error {
	lines := []string{
		"compatibility_level = 3.6",
		"queue_directory = " + p.path("queue"),
		"data_directory = " + p.path("data"),
		"maillog_file_prefixes = " + p.Dir,
		"maillog_file = " + p.path("log"),
		"myhostname = peer.test",
		"mydestination =",
		"mynetworks = 127.0.0.0/8",
		"inet_interfaces = 127.0.0.1",
		"inet_protocols = ipv4",
		"alias_maps =",
		"alias_database =",
		"local_recipient_maps =",
	}
	if p.Certificate != nil {
		lines = append(lines,
			"smtpd_tls_security_level = may",
			"smtpd_tls_cert_file = "+p.path("conf", "cert.pem"),
			"smtpd_tls_key_file = "+p.path("conf", "key.pem"))
	}
	if p.Logins != nil {
		lines = append(lines,
			"smtpd_sasl_auth_enable = yes",
			"smtpd_sasl_path = smtpd",
			"cyrus_sasl_config_path = "+p.path("conf", "sasl"),
			"smtpd_sasl_local_domain = peer.test")
	}
	main := strings.Join(lastOfEach(append(lines, p.Main...)), "\n") + "\n"
	if err := os.WriteFile(p.path("conf", "main.cf"), []byte(main), 0o644); err != nil {
		return err
	}
	return os.WriteFile(p.path("conf", "master.cf"), []byte(p.master()), 0o644)
}

// lastOfEach drops settings that a later line overrides: Postfix would warn of
// each of them in every process.
func lastOfEach(lines []string) []string {
	seen := map[string]bool{}
	var kept []string
	for _, line := range slices.Backward(lines) {
		name, _, _ := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !seen[name] {
			kept = append(kept, line)
		}
		seen[name] = true
	}
	slices.Reverse(kept)
	return kept
}

// master is the text of master.cf.
func (p *Postfix) master() string {
	var b strings.Builder
	for _, line := range append([]string{p.Addr + " inet n - n - - smtpd"}, services...) {
		columns := strings.Fields(line)
		name := columns[0]
		if columns[7] == "smtpd" {
			name = "smtpd"
		}
		if n, ok := p.Services[name]; ok {
			columns[6] = strconv.Itoa(n)
		}
		b.WriteString(strings.Join(columns, " ") + "\n")
	}
	return b.String()
}

// FreeAddr finds a port of 127.0.0.1 that nobody listens on at the moment.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// waitUntil returns when a try at addr succeeds, after a minute at most.
func waitUntil(ctx context.Context, addr string, try func(ctx context.Context, addr string) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := try(ctx, addr)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody is ready at %s: %w", addr, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// connected connects to addr and leaves.
func connected(ctx context.Context, addr string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// greeted connects to addr, reads the greeting and leaves.
func greeted(ctx context.Context, addr string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "220") {
		return fmt.Errorf("greeted with %q", line)
	}
	_, err = c.Write([]byte("QUIT\r\n"))
	return err
}

// chown gives a file to a user.
func chown(name, owner string) error {
	u, err := user.Lookup(owner)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	return os.Chown(name, uid, -1)
}
