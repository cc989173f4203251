package interop_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/smtp"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// arrive waits until a sink has n messages.
func arrive(t *testing.T, s *interop.Sink, n int) []interop.Message {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		next := s.Arrived()
		if s.Count() >= n {
			return s.Messages()
		}
		select {
		case <-next:
		case <-timeout:
			t.Fatalf("%d of %d messages arrived", s.Count(), n)
		}
	}
}

// openDir makes a directory that other users can pass, as those of
// testing.T cannot.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// bracketed is an address as Postfix writes next hops.
func bracketed(addr string) string {
	return strings.Replace("["+addr, ":", "]:", 1)
}

func TestPostfixRelaysToTheSink(t *testing.T) {
	s := runSink(t, &interop.Sink{})
	p := &interop.Postfix{Main: []string{"relayhost = " + bracketed(s.Addr)}}
	interop.RunPostfix(t, p)
	c := submitter(t, p.Addr)
	reply, err := c.Send("a@a.test", []string{"b@b.test"}, interop.Stuffed([]byte("Subject: x\r\n\r\n.dot\r\n")))
	if err != nil || !strings.HasPrefix(reply, "250 2.0.0 Ok: queued as ") {
		t.Fatalf("%q, %v", reply, err)
	}
	m := arrive(t, s, 1)[0]
	id := strings.TrimPrefix(reply, "250 2.0.0 Ok: queued as ")
	content := string(m.Content())
	if m.HELO != "peer.test" || m.From() != "a@a.test" || m.To()[0] != "b@b.test" ||
		!strings.Contains(content, id) || !strings.HasSuffix(content, "\r\n\r\n.dot\r\n") {
		t.Errorf("got %+v\n%s", m, content)
	}
}

func TestAStoppedPostfixIsGoneAndKeepsItsQueue(t *testing.T) {
	interop.NeedTime(t)
	interop.Need(t, "postfix")
	interop.NeedRoot(t)
	p := &interop.Postfix{Dir: openDir(t), Main: []string{"defer_transports = smtp"}}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer p.Stop(context.Background())
	if _, err := submitter(t, p.Addr).Send("", []string{"b@b.test"}, []byte("x\r\n.\r\n")); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Queued(t.Context()); n != 1 || err != nil {
		t.Errorf("%d queued, %v", n, err)
	}
	pid, err := p.PID()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err == nil && !zombie(t, pid) {
		t.Errorf("process %d is still there", pid)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Queued(t.Context()); n != 1 || err != nil {
		t.Errorf("%d queued after a restart, %v", n, err)
	}
}

// zombie reports whether a process has ended and waits to be reaped.
func zombie(t *testing.T, pid int) bool {
	t.Helper()
	state, err := interop.State(pid)
	return errors.Is(err, os.ErrNotExist) || state == 'Z'
}

func TestPostfixAsSmartHostWantsTLSAndTheRightPassword(t *testing.T) {
	interop.Need(t, "saslpasswd2")
	s := runSink(t, &interop.Sink{})
	p, cert := smartHost(t, s)

	if _, err := submitter(t, p.Addr).Command("MAIL FROM:<a@a.test>"); err == nil || !strings.Contains(err.Error(), "530 5.7.0") {
		t.Errorf("in clear: %v", err)
	}
	for _, row := range []struct{ password, want string }{
		{"wrong", `535 "5.7.8`},
		{"right", ""},
	} {
		err := relay(p.Addr, cert, smtp.PlainAuth("", "panel", row.password, "127.0.0.1"))
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("password %s: %v, want %q", row.password, err, row.want)
		}
	}
	arrive(t, s, 1)
}

// relay sends one message through a smart host.
func relay(addr string, cert *interop.Certificate, auth smtp.Auth) error {
	c, err := smtp.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.StartTLS(&tls.Config{RootCAs: cert.Pool(), ServerName: "peer.test"}); err != nil {
		return err
	}
	if err := c.Auth(auth); err != nil {
		return err
	}
	if err := errors.Join(c.Mail("a@a.test"), c.Rcpt("b@b.test")); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	io.WriteString(w, "x\r\n")
	return w.Close()
}

func TestAMistakeInMainCFIsReported(t *testing.T) {
	interop.NeedTime(t)
	interop.Need(t, "postfix")
	interop.NeedRoot(t)
	p := &interop.Postfix{Dir: openDir(t), Main: []string{"default_process_limit = many"}}
	if err := p.Start(t.Context()); err == nil {
		p.Stop(t.Context())
		t.Error("no error")
	}
}
