package mailcore_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/transport"
)

// dovecotPeer is the other end of DovecotAuth, by hand: it says greeting to each
// connection, and answers each request with what answer makes of it.
type dovecotPeer struct {
	socket   string
	listener net.Listener

	mu       sync.Mutex
	requests []string
	conns    []net.Conn
	accepted int
}

const dovecotGreeting = "VERSION\t1\t2\nMECH\tLOGIN\tplaintext\nMECH\tPLAIN\tplaintext\nSPID\t42\nCUID\t1\nCOOKIE\tabc\nDONE\n"

// newDovecotPeer listens in a directory whose name is short enough for a socket.
func newDovecotPeer(t *testing.T, greeting string, answer func(id, name, password string) string) *dovecotPeer {
	t.Helper()
	dir, err := os.MkdirTemp("", "dovecot")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &dovecotPeer{socket: filepath.Join(dir, "auth")}
	if p.listener, err = net.Listen("unix", p.socket); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		p.listener.Close()
		p.hangUp()
		all.Wait()
	})
	all.Go(func() {
		for {
			conn, err := p.listener.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.accepted++
			p.conns = append(p.conns, conn)
			p.mu.Unlock()
			all.Go(func() { p.serve(conn, greeting, answer) })
		}
	})
	return p
}

// hangUp closes every connection.
func (p *dovecotPeer) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func (p *dovecotPeer) serve(conn net.Conn, greeting string, answer func(id, name, password string) string) {
	defer conn.Close()
	fmt.Fprint(conn, greeting)
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		word := strings.Split(lines.Text(), "\t")
		if word[0] != "AUTH" {
			continue
		}
		p.mu.Lock()
		p.requests = append(p.requests, lines.Text())
		p.mu.Unlock()
		last := strings.TrimPrefix(word[len(word)-1], "resp=")
		raw, _ := base64.StdEncoding.DecodeString(last)
		part := append(strings.Split(string(raw), "\x00"), "", "", "")
		fmt.Fprint(conn, answer(word[1], part[1], part[2]))
	}
}

func (p *dovecotPeer) seen() (requests []string, connections int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.requests...), p.accepted
}

// judgeLikeDovecot knows bob, and has moods.
func judgeLikeDovecot(id, name, password string) string {
	switch {
	case name == "bob" && password == "secret":
		return "OK\t" + id + "\tuser=bob@shop.example\tanonymous=no\n"
	case name == "late":
		return "FAIL\t4711\tuser=other\nOK\t4712\tuser=other\nOK\t" + id + "\n"
	case name == "trouble":
		return "FAIL\t" + id + "\tuser=trouble\ttemp\n"
	case name == "trouble23":
		return "FAIL\t" + id + "\tuser=trouble\tcode=temp_fail\n"
	case name == "more":
		return "CONT\t" + id + "\tAAAA\n"
	case name == "nonsense":
		return strings.Repeat("x", 10_000) + "\n"
	}
	return "FAIL\t" + id + "\tuser=" + name + "\n"
}

// judgement is who it was, or the class of the refusal: 4 of trouble, 5 of a wrong
// password.
func judgement(who mailcore.Identity, err error) string {
	var reply transport.Reply
	switch {
	case err == nil:
		return who.Login
	case errors.As(err, &reply):
		return fmt.Sprint(reply.Code)
	}
	return "wrong"
}

func TestDovecotJudgesPasswords(t *testing.T) {
	p := newDovecotPeer(t, dovecotGreeting, judgeLikeDovecot)
	d := &mailcore.DovecotAuth{Socket: p.socket}
	defer d.Close()
	for _, tt := range []struct{ name, password, want string }{
		{"bob", "secret", "bob@shop.example"},
		{"bob", "wrong", "wrong"},
		{"late", "x", "late"},
		{"trouble", "x", "454"},
		{"trouble23", "x", "454"},
		{"bob", "secret", "bob@shop.example"},
		{"more", "x", "454"},
		{"nonsense", "x", "454"},
		{"bob", strings.Repeat("x", 10_000), "wrong"},
		{"bob\x00secret", "x", "wrong"},
		{"bob", "secret\x00x", "wrong"},
		{"bob", "secret", "bob@shop.example"},
	} {
		if got := judgement(d.Authenticate(t.Context(), tt.name, tt.password)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	requests, connections := p.seen()
	if connections != 3 { // "more" and "nonsense" spoil one each
		t.Errorf("%d connections", connections)
	}
	if want := "AUTH\t1\tPLAIN\tservice=smtp\tsecured\tnologin\tresp=AGJvYgBzZWNyZXQ="; requests[0] != want {
		t.Errorf("request %q, want %q", requests[0], want)
	}
}

func TestARestartOfDovecotIsNotNoticed(t *testing.T) {
	p := newDovecotPeer(t, dovecotGreeting, judgeLikeDovecot)
	d := &mailcore.DovecotAuth{Socket: p.socket}
	defer d.Close()
	for range 3 {
		if got := judgement(d.Authenticate(t.Context(), "bob", "secret")); got != "bob@shop.example" {
			t.Error(got)
		}
		p.hangUp()
	}
	if _, connections := p.seen(); connections != 3 {
		t.Errorf("%d connections, want 3", connections)
	}
}

func TestWithoutDovecotTheFailureIsTemporaryAndKeepsTheSecret(t *testing.T) {
	silent := newDovecotPeer(t, dovecotGreeting, func(id, name, password string) string { return "" })
	for what, d := range map[string]*mailcore.DovecotAuth{
		"no socket":       {Socket: filepath.Join(t.TempDir(), "none")},
		"silent":          {Socket: silent.socket, Timeout: 50 * time.Millisecond},
		"silent at first": {Socket: newDovecotPeer(t, "VERSION\t1\t2\n", judgeLikeDovecot).socket, Timeout: 50 * time.Millisecond},
		"version 2":       {Socket: newDovecotPeer(t, "VERSION\t2\t0\nDONE\n", judgeLikeDovecot).socket},
		"without PLAIN":   {Socket: newDovecotPeer(t, "VERSION\t1\t2\nMECH\tLOGIN\nDONE\n", judgeLikeDovecot).socket},
		"no version":      {Socket: newDovecotPeer(t, "MECH\tPLAIN\nDONE\n", judgeLikeDovecot).socket},
	} {
		_, err := d.Authenticate(t.Context(), "bob", "canary")
		if got := judgement(mailcore.Identity{}, err); got != "454" || strings.Contains(fmt.Sprintf("%+v", err), "canary") {
			t.Errorf("%s: %v", what, err)
		}
		d.Close()
	}
}

func TestManyAskDovecotAtOnce(t *testing.T) {
	p := newDovecotPeer(t, dovecotGreeting, judgeLikeDovecot)
	d := &mailcore.DovecotAuth{Socket: p.socket}
	defer d.Close()
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			password, want := "secret", "bob@shop.example"
			if i%2 == 1 {
				password, want = "wrong", "wrong"
			}
			if got := judgement(d.Authenticate(t.Context(), "bob", password)); got != want {
				t.Errorf("%s: %s", password, got)
			}
		})
	}
	all.Wait()
}

func TestAGoneContextEndsTheWaitForDovecot(t *testing.T) {
	p := newDovecotPeer(t, dovecotGreeting, func(id, name, password string) string { return "" })
	d := &mailcore.DovecotAuth{Socket: p.socket}
	defer d.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := judgement(d.Authenticate(ctx, "bob", "secret")); got != "454" {
		t.Error(got)
	}
}

// TestARealDovecotJudgesPasswords asks Dovecot's own auth service.
func TestARealDovecotJudgesPasswords(t *testing.T) {
	interop.NeedTime(t)
	interop.NeedRoot(t)
	dovecot := interop.Need(t, "dovecot")
	dir, err := os.MkdirTemp("", "dovecot")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "auth")
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	users := write("users", "bob@shop.example:{SSHA}h8T4jWKd6M+PmCFCZqXCw5PvjPtXEzNh\n")
	config := write("dovecot.conf", `
protocols =
base_dir = `+dir+`/run
state_dir = `+dir+`/state
log_path = /dev/stderr
ssl = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_default_realm = shop.example
passdb {
  driver = passwd-file
  args = `+users+`
}
userdb {
  driver = passwd-file
  args = `+users+`
}
service auth {
  unix_listener `+socket+` {
    mode = 0666
  }
}
service anvil {
  chroot =
}
`)
	cmd := exec.CommandContext(t.Context(), dovecot, "-F", "-c", config)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}()
	for lines := bufio.NewScanner(log); ; {
		if !lines.Scan() {
			t.Fatal("Dovecot does not start")
		}
		t.Log(lines.Text())
		if strings.Contains(lines.Text(), "starting up") { // it listens by then
			break
		}
	}
	d := &mailcore.DovecotAuth{Socket: socket}
	defer d.Close()
	for _, tt := range []struct{ name, password, want string }{
		{"bob@shop.example", "pässword", "bob@shop.example"},
		{"BOB", "pässword", "bob@shop.example"},
		{"bob", "wrong", "wrong"},
		{"nobody", "pässword", "wrong"},
	} {
		if got := judgement(d.Authenticate(t.Context(), tt.name, tt.password)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
