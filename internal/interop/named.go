package interop

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"
)

// Named runs Debian's BIND on loopback until the test ends: the authoritative server
// of one zone, whose file has SOA and NS records too. It returns the address.
func Named(t testing.TB, zone, file string) string {
	t.Helper()
	path := Need(t, "named")
	dir := t.TempDir()
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`options {
	directory %q;
	pid-file none;
	session-keyfile none;
	listen-on port %s { %s; };
	listen-on-v6 { none; };
	recursion no;
	dnssec-validation no;
};
controls { };
zone %q { type primary; file %q; };
`, dir, port, host, zone, file)
	config := filepath.Join(dir, "named.conf")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Process{Path: path, Args: []string{"-g", "-n", "1", "-c", config}, Addr: addr, File: filepath.Join(dir, "log")}
	if err := p.startUntil(t.Context(), func(ctx context.Context, addr string) error { return serves(ctx, addr, zone) }); err != nil {
		t.Fatal(err)
	}
	StopAfter(t, p)
	return addr
}

// serves asks a name server for a zone that it is to have loaded.
func serves(ctx context.Context, addr, zone string) error {
	client := dns.Client{Net: "tcp"}
	answer, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion(dns.Fqdn(zone), dns.TypeSOA), addr)
	if err == nil && len(answer.Answer) != 1 {
		err = fmt.Errorf("%s is not served", zone)
	}
	return err
}
