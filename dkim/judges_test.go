package dkim_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	. "github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/internal/interop"
)

var stride = flag.Int("stride", 6, "which part of the corpus is signed with RSA and judged by other programs: one message in `n`")

// TestSignaturesVerify signs the corpus and has the signatures judged: all of it by the
// library in this process, and a part by programs. These get each message in a file, in
// the form in which it is sent, and some of them once more with a field put on top.
func TestSignaturesVerify(t *testing.T) {
	rsa, ed := generate(t, "example.com", "r1", RSA2048), generate(t, "example.com", "e1", Ed25519)
	one, two := &Signer{Keys: keys(ed)}, &Signer{Keys: keys(ed, rsa)}
	dir := t.TempDir()
	var files []string
	for i, msg := range corpus() {
		s, want := one, "[example.com]"
		if i%*stride == 0 {
			s, want = two, "[example.com example.com]"
		}
		msg = signed(t, s, msg)
		for _, msg := range []string{msg, sent(msg)} {
			if got := judge(t, published(rsa, ed), msg); fmt.Sprint(got) != want {
				t.Errorf("message %d: %v\n%q", i, got, msg)
			}
		}
		if s == two {
			files = append(files, write(t, dir, i, sent(msg))...)
		}
	}
	t.Run("with dkimpy", func(t *testing.T) { judgeDkimpy(t, dir, files, rsa, ed) })
	t.Run("with OpenDKIM", func(t *testing.T) { judgeOpenDKIM(t, dir, files, rsa) })
}

// write puts a message into a file, and of some messages spoiled copies into others. It
// returns the names.
func write(t *testing.T, dir string, i int, msg string) (names []string) {
	t.Helper()
	kind := "regular"
	if i >= regular {
		kind = "repeating"
	}
	texts := map[string]string{fmt.Sprintf("%s-%04d.eml", kind, i): msg}
	if i%90 == 0 {
		for _, field := range []string{"From", "Subject", "To"} {
			texts[fmt.Sprintf("spoiled-%04d-%s.eml", i, field)] = field + ": eve@example.net\r\n" + msg
		}
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return slices.Sorted(maps.Keys(texts))
}

// judgeDkimpy expects of dkimpy that both signatures of every message verify and none of
// those spoiled.
func judgeDkimpy(t *testing.T, dir string, files []string, k ...Key) {
	interop.NeedTime(t)
	interop.NeedFile(t, "/usr/lib/python3/dist-packages/dkim/__init__.py")
	records := map[string]string{}
	for _, k := range k {
		records[k.RecordName()] = k.Record()
	}
	text, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "records.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-I", "testdata/dkimpy.py", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var want strings.Builder
	for _, name := range slices.Sorted(slices.Values(files)) {
		result := "True"
		if strings.HasPrefix(name, "spoiled") {
			result = "False"
		}
		fmt.Fprintf(&want, "%s %s %s\n", name, result, result)
	}
	if diff := cmp.Diff(want.String(), string(out)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// judgeOpenDKIM expects of opendkim-testmsg that every regular message verifies and none
// of those spoiled. At those that repeat fields it refuses to look.
//
// The program asks the servers of /etc/resolv.conf: it gets one of its own, in a mount
// namespace.
func judgeOpenDKIM(t *testing.T, dir string, files []string, k Key) {
	interop.NeedTime(t)
	interop.NeedRoot(t)
	program := interop.Need(t, "opendkim-testmsg")
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver "+nameServer(t, k)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const script = `mount --bind resolv.conf /etc/resolv.conf
for m in regular-*.eml spoiled-*.eml; do
	if "$1" <$m >/dev/null 2>&1; then echo $m; fi
done`
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-ec", script, "-", program)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := slices.DeleteFunc(slices.Sorted(slices.Values(files)), func(name string) bool { return !strings.HasPrefix(name, "regular") })
	if diff := cmp.Diff(want, strings.Fields(string(out))); diff != "" {
		t.Errorf("messages that verify (-want +got):\n%s", diff)
	}
}

// sent is a message as SMTP carries it: its last line has an end.
func sent(msg string) string {
	if strings.HasSuffix(msg, "\r\n") {
		return msg
	}
	return msg + "\r\n"
}

// nameServer is the address of a name server at the port that everybody asks, which has
// the records of these keys.
func nameServer(t *testing.T, k ...Key) string {
	t.Helper()
	lookup := published(k...)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg).SetReply(q)
		name := q.Question[0].Name
		texts, err := lookup(strings.ToLower(strings.TrimSuffix(name, ".")))
		switch {
		case err != nil:
			reply.Rcode = dns.RcodeNameError
		case q.Question[0].Qtype == dns.TypeTXT:
			head := dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}
			reply.Answer = append(reply.Answer, &dns.TXT{Hdr: head, Txt: []string{texts[0][:200], texts[0][200:]}})
		}
		w.WriteMsg(reply)
	})
	for last := 1; last < 255; last++ { // others may run this test at the same time
		host := fmt.Sprintf("127.6.37.%d", last)
		conn, err := net.ListenPacket("udp", host+":53")
		if err != nil {
			continue
		}
		server := &dns.Server{PacketConn: conn, Handler: handler}
		over := make(chan error, 1)
		go func() { over <- server.ActivateAndServe() }()
		t.Cleanup(func() {
			conn.Close()
			<-over
		})
		return host
	}
	t.Fatal("no address for a name server is free")
	return ""
}
