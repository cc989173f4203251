package interop_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/interop"
)

// dovecotStore is a Dovecot that takes mail by LMTP: for bob and ann at shop.example,
// and for full, whose quota is used up by any message.
type dovecotStore struct {
	dir  string // with the socket "lmtp" in it
	inet string // where it listens too
}

func newDovecotStore(t *testing.T) *dovecotStore {
	t.Helper()
	interop.NeedTime(t)
	interop.NeedRoot(t)
	dovecot := interop.Need(t, "dovecot")
	interop.NeedFile(t, "/usr/lib/dovecot/lmtp")
	s := &dovecotStore{dir: openDir(t), inet: freePort(t)}
	host, port, err := net.SplitHostPort(s.inet)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.dir, 0o755); err != nil { // for the users of Dovecot
		t.Fatal(err)
	}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(s.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	users := write("users", "bob@shop.example:::::::\nann@shop.example:::::::\nfull@shop.example:::::::userdb_quota_rule=*:bytes=10\n")
	config := write("dovecot.conf", `
protocols = lmtp
base_dir = `+s.dir+`/run
state_dir = `+s.dir+`/state
log_path = /dev/stderr
ssl = no
mail_location = maildir:`+s.dir+`/mail/%u
mail_uid = `+mailUser+`
mail_gid = `+mailUser+`
first_valid_uid = 1
mail_plugins = quota
plugin {
  quota = maildir:User quota
  quota_rule = *:bytes=1000000
}
userdb {
  driver = passwd-file
  args = `+users+`
}
passdb {
  driver = passwd-file
  args = `+users+`
}
service lmtp {
  unix_listener `+s.dir+`/lmtp {
    mode = 0666
  }
  inet_listener lmtp {
    address = `+host+`
    port = `+port+`
  }
}
service anvil {
  chroot =
}
`)
	if err := os.Mkdir(filepath.Join(s.dir, "mail"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(s.dir, "mail"), 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), dovecot, "-F", "-c", config)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	read := make(chan struct{})
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		<-read
		cmd.Wait()
		if t.Failed() {
			t.Logf("log of Dovecot:\n%s", said.String())
		}
	})
	lines := bufio.NewScanner(io.TeeReader(log, &said))
	for lines.Scan() {
		if strings.Contains(lines.Text(), "starting up") { // it listens by then
			go func() {
				defer close(read)
				for lines.Scan() {
				}
			}()
			return s
		}
	}
	close(read)
	t.Fatal("Dovecot does not start")
	return nil
}

// mailUser is a system user without rights, of the Debian package.
const mailUser = "mail"

// fetch is what doveadm reads in a mailbox.
func (s *dovecotStore) fetch(t *testing.T, user, fields string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), interop.Need(t, "doveadm"), "-c", filepath.Join(s.dir, "dovecot.conf"), "fetch", "-u", user, fields, "all")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("doveadm: %v: %s", err, out)
	}
	return string(out)
}

// An attempted is what these tests read of a line of trail --json.
type attempted struct {
	Event      string `json:"event"`
	Recipient  string `json:"recipient"`
	Code       int    `json:"code"`
	Status     string `json:"status"`
	Reply      string `json:"reply"`
	Address    string `json:"address"`
	Transcript string `json:"transcript"`
}

// attempts waits until a message has n outcomes and returns them by recipient.
func (p *panel) attempts(t *testing.T, id string, n int) map[string]attempted {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		all := map[string]attempted{}
		d := json.NewDecoder(strings.NewReader(p.do(t, "", "trail", "--id", id, "--json")))
		for d.More() {
			var a attempted
			if err := d.Decode(&a); err != nil {
				t.Fatal(err)
			}
			if a.Code != 0 {
				all[a.Recipient] = a
			}
		}
		if len(all) >= n {
			return all
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%d of %d outcomes: %+v", len(all), n, all)
		}
	}
}

// hands gives the server a message for its own mailboxes, from a stranger, and returns
// the queue ID.
func (p *panel) hands(t *testing.T, to ...string) string {
	t.Helper()
	c := submitter(t, p.Addr)
	reply, err := c.Send("you@elsewhere.example", to, interop.Stuffed([]byte("From: you@elsewhere.example\r\nSubject: for the store\r\n\r\nline\r\n.dot\r\n")))
	id := reply[strings.LastIndexByte(reply, ' ')+1:]
	if err != nil || !strings.HasPrefix(reply, "250") {
		t.Fatalf("%q: %v", reply, err)
	}
	return id
}

func TestDovecotTakesByLMTPWhatOneRecipientHasRoomForAndAnotherHasNot(t *testing.T) {
	store := newDovecotStore(t)
	p := newPanel(t, `delivery.socket_dir = "`+store.dir+`"`)
	for address, deliver := range map[string]string{
		"bob": "lmtp:unix:lmtp", "full": "lmtp:unix:lmtp", "gone": "lmtp:unix:lmtp", "ann": "lmtp:inet:" + store.inet,
	} {
		p.do(t, "", "mailbox", "add", address+"@shop.example", "--deliver", deliver)
	}
	got := p.attempts(t, p.hands(t, "bob@shop.example", "full@shop.example", "gone@shop.example", "ann@shop.example"), 4)
	codes := map[string]string{}
	for who, a := range got {
		codes[who] = a.Event + " " + a.Status + " " + a.Address
	}
	want := map[string]string{
		"bob@shop.example":  "delivered 2.0.0 " + store.dir + "/lmtp",
		"full@shop.example": "failed 5.2.2 " + store.dir + "/lmtp",
		"gone@shop.example": "failed 5.1.1 " + store.dir + "/lmtp",
		"ann@shop.example":  "delivered 2.0.0 " + store.inet,
	}
	if diff := cmp.Diff(want, codes); diff != "" {
		t.Errorf("%s\n%+v", diff, got)
	}
	one := got["full@shop.example"].Transcript
	if !strings.Contains(one, "RCPT TO:<bob@") || strings.Count(one, "MAIL FROM") != 1 || strings.Count(one, "RCPT TO") != 3 {
		t.Errorf("not one transaction:\n%s", one)
	}
	for _, user := range []string{"bob@shop.example", "ann@shop.example"} {
		text := store.fetch(t, user, "hdr.return-path hdr.subject body")
		for _, part := range []string{"hdr.return-path: <you@elsewhere.example>", "hdr.subject: for the store", "line\n.dot"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %q in %q", user, part, text)
			}
		}
	}
	if text := store.fetch(t, "full@shop.example", "hdr.subject"); strings.Contains(text, "for the store") {
		t.Errorf("the full mailbox has %q", text)
	}
	bounce := string(arrive(t, p.sink, 1)[0].Content())
	for _, part := range []string{"Final-Recipient: rfc822; full@shop.example", "Status: 5.2.2", "Status: 5.1.1"} {
		if !strings.Contains(bounce, part) {
			t.Errorf("no %q in the bounce:\n%s", part, bounce)
		}
	}
}

// readMaildir is Python's own reader.
const readMaildir = `
import mailbox, sys
box = mailbox.Maildir(sys.argv[1], create=False)
for m in box:
    print(m.get_subdir(), m["Return-Path"], m["Delivered-To"], m["Subject"], repr(m.get_payload()))
`

func TestPythonReadsWhatIsDeliveredToAMaildir(t *testing.T) {
	python := interop.Need(t, "python3")
	p := newPanel(t)
	p.do(t, "", "mailbox", "add", "bob@shop.example", "--deliver", "maildir:shop.example/bob")
	p.do(t, "", "mailbox", "add", "@shop.example", "--deliver", "maildir:shop.example/bob")
	id := p.hands(t, "bob@shop.example", "any@shop.example")
	for who, a := range p.attempts(t, id, 2) {
		if a.Event != "delivered" || a.Status != "2.0.0" {
			t.Errorf("%s: %+v", who, a)
		}
	}
	path := filepath.Join(p.Dir, "data", "maildir", "shop.example", "bob")
	out, err := exec.CommandContext(t.Context(), python, "-c", readMaildir, path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, who := range []string{"bob", "any"} {
		line := `new <you@elsewhere.example> ` + who + `@shop.example for the store 'line\n.dot\n'` + "\n"
		if strings.Count(string(out), line) != 1 {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
	entries, err := os.ReadDir(filepath.Join(path, "new"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !regexp.MustCompile(`^\d+\.M\d+P\d+R[A-Z2-7]+\.panelmail\.test,S=\d+$`).MatchString(e.Name()) {
			t.Errorf("name %s", e.Name())
		}
	}
	if left, err := os.ReadDir(filepath.Join(path, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("tmp has %v, %v", left, err)
	}
}
