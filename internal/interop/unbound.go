package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A Zone is a zone of a test's DNS.
type Zone struct {
	Name string // without a final dot
	Text string // records in the form of a zone file; SOA and NS are added

	// Signed signs the zone with a key that the resolver trusts.
	Signed bool

	// Spoil, if not nil, changes the text of the zone after it was signed.
	Spoil func(text string) string
}

// Unbound runs Debian's Unbound on loopback until the test ends: a resolver that
// validates and that knows these zones alone. It returns the address.
func Unbound(t testing.TB, zones ...Zone) string {
	t.Helper()
	path := Need(t, "unbound")
	dir := t.TempDir()
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`server:
	interface: %s
	port: %s
	do-daemonize: no
	use-syslog: no
	logfile: ""
	username: ""
	chroot: ""
	pidfile: ""
	directory: %q
	module-config: "validator iterator"
	local-zone: "test." nodefault
	do-not-query-localhost: no
`, host, port, dir)
	anchors, served := "", ""
	for _, z := range zones {
		file, key := z.write(t, dir)
		if key != "" {
			anchors += fmt.Sprintf("\ttrust-anchor-file: %q\n", key)
		}
		served += fmt.Sprintf("auth-zone:\n\tname: %q\n\tzonefile: %q\n\tfor-upstream: yes\n\tfor-downstream: no\n", z.Name+".", file)
	}
	file := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(file, []byte(config+anchors+served), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Process{Path: path, Args: []string{"-d", "-c", file}, Addr: addr, File: filepath.Join(dir, "log")}
	if err := p.StartSilent(t.Context()); err != nil {
		t.Fatal(err)
	}
	StopAfter(t, p)
	return addr
}

// write makes the file of a zone, and that of its key if it is signed.
func (z Zone) write(t testing.TB, dir string) (file, key string) {
	t.Helper()
	file = filepath.Join(dir, z.Name)
	text := fmt.Sprintf("$ORIGIN %s.\n$TTL 300\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n%s", z.Name, z.Text)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if z.Signed {
		name := strings.TrimSpace(command(t, dir, Need(t, "ldns-keygen"), "-k", "-a", "ECDSAP256SHA256", z.Name))
		command(t, dir, Need(t, "ldns-signzone"), "-f", file+".signed", file, name)
		file, key = file+".signed", filepath.Join(dir, name+".key")
	}
	if z.Spoil == nil {
		return file, key
	}
	signed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(z.Spoil(string(signed))), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, key
}

func command(t testing.TB, dir, path string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v", path, args, err)
	}
	return string(out)
}
