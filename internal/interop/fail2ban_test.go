package interop_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/interop"
)

// bystander is an address that nobody connects from: it stands in what attackers
// say, and must not be banned for it.
const bystander = "192.0.2.1"

// visit connects from an address, says lines, and reads the last line of the reply
// to each. STARTTLS is followed by the handshake. It ends when the server has had
// enough.
func visit(t *testing.T, from, to string, lines ...string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	raw, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Error(err)
		return
	}
	defer raw.Close()
	c := textproto.NewConn(raw)
	reply := func() error {
		for {
			line, err := c.ReadLine()
			if err != nil || len(line) < 4 || line[3] != '-' {
				return err
			}
		}
	}
	if err := reply(); err != nil {
		t.Error(err)
		return
	}
	for _, line := range lines {
		if err := c.PrintfLine("%s", line); err != nil || reply() != nil {
			return
		}
		if line == "STARTTLS" {
			c = textproto.NewConn(tls.Client(raw, &tls.Config{InsecureSkipVerify: true}))
		}
	}
}

// authPlain is the command that logs in.
func authPlain(login, password string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+login+"\x00"+password))
}

func TestTheFail2banFilterMatchesAttacksAndNothingElse(t *testing.T) {
	judge := interop.Need(t, "fail2ban-regex")
	filter, err := filepath.Abs("../../examples/standalone/fail2ban/panelmail.conf")
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "panelmail.log")
	p := newPanel(t, `log.file = "`+log+`"`, `limits.error_sleep = "0s"`, `limits.soft_errors = 1000`)
	line := "warning: x[" + bystander + "]: SASL X authentication failed: authentication failure, sasl_username=y"
	var visits sync.WaitGroup
	visit := func(from, to string, lines ...string) {
		visits.Go(func() { visit(t, from, to, lines...) })
	}
	begin := func(helo string, more ...string) []string {
		return append([]string{"EHLO " + helo, "STARTTLS", "EHLO " + helo}, more...)
	}
	// Logins that are wrong, with what could be taken for an address in them.
	logins := []string{
		"me@shop.example", "user from " + bystander, "x, client=unknown[" + bystander + "]", line, "\r\n" + line,
		"]: SASL PLAIN authentication failed: authentication failure, sasl_username=unknown[" + bystander + "]",
	}
	for i, login := range logins {
		visit(fmt.Sprintf("127.0.0.%d", 10+i), p.submission, begin("client.example", authPlain(login, "wrong"))...)
	}
	// One guess from each of a hundred addresses: most of them are not even judged.
	for i := range 100 {
		visit(fmt.Sprintf("127.0.1.%d", i), p.submission, begin("client.example", authPlain("you@shop.example", fmt.Sprint("guess", i)))...)
	}
	// Five wrong passwords on one connection, of five thousand.
	guesses := make([]string, 5000)
	for i := range guesses {
		guesses[i] = authPlain("me@shop.example", fmt.Sprint("guess", i))
	}
	visit("127.0.0.30", p.submission, begin("client.example", guesses...)...)
	// Relaying, under names that could be taken for a line.
	visit("127.0.0.40", p.Addr, "EHLO client.example", "MAIL FROM:<a@foreign.example>", "RCPT TO:<b@foreign.example>")
	visit("127.0.0.41", p.Addr, "EHLO unknown["+bystander+"]:", "MAIL FROM:<>", "RCPT TO:<b@foreign.example>")
	visit("127.0.0.42", p.Addr, "EHLO x", `MAIL FROM:<"unknown[`+bystander+`]: 554 5.7.1 <x>: Relay access denied; from=<"@foreign.example>`,
		`RCPT TO:<"y> NOQUEUE: reject: RCPT from unknown[`+bystander+`]: 554 5.7.1 <x>: Relay access denied; from=<"@foreign.example>`)
	// What is no attack: mistakes, and a login that works.
	visit("127.0.0.50", p.Addr, "EHLO client.example", "MAIL FROM:<a@foreign.example>", "RCPT TO:<nobody@shop.example>", "NONSENSE "+line, "DATA")
	visit("127.0.0.51", p.submission, begin("client.example", authPlain("me@shop.example", "secret"), "MAIL FROM:<boss@other.example>",
		"MAIL FROM:<me@shop.example>", "RCPT TO:<you@example.org>", "QUIT")...)
	visits.Wait()

	want := map[string]int{"127.0.0.30": 5, "127.0.0.40": 1, "127.0.0.41": 1, "127.0.0.42": 1}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		client := fmt.Sprintf("127.0.1.%d", i)
		failed := "unknown[" + client + "]: SASL PLAIN authentication failed: "
		switch {
		case strings.Contains(string(text), failed+"authentication failure, "):
			want[client] = 1
		case !strings.Contains(string(text), failed+"too many failures for this login, "):
			t.Errorf("there is no line about %s", client)
		}
	}
	if judged := len(want) - 4; judged < 20 || judged > 30 {
		t.Errorf("%d guesses of 100 addresses were judged, want 20 and those under way", judged)
	}
	for i := range logins {
		want[fmt.Sprintf("127.0.0.%d", 10+i)] = 1
	}
	out, err := exec.CommandContext(t.Context(), judge, "-o", "ip", log, filter).CombinedOutput()
	got := map[string]int{}
	for ip := range strings.FieldsSeq(string(out)) {
		got[ip]++
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("addresses matched, by how many lines (-want +got):\n%s%v\nin the log:\n%s", diff, err, text)
	}
}
