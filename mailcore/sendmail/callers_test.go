package sendmail_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/mailcore/sendmail"
)

// asSendmail makes the test binary the command itself.
const asSendmail = "PANELMAIL_TEST_AS_SENDMAIL"

func TestMain(m *testing.M) {
	if os.Getenv(asSendmail) != "" {
		env := sendmail.Env{Hostname: func() (string, error) { return "host.example", nil }}
		os.Exit(sendmail.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, env))
	}
	os.Exit(m.Run())
}

// command is a program that finds the test binary as sendmail, and the lab.
func (l *lab) command(name string, args ...string) *exec.Cmd {
	l.t.Helper()
	if testing.Short() {
		l.t.Skip("drives another process")
	}
	cmd := exec.CommandContext(l.t.Context(), interop.Need(l.t, name), args...)
	cmd.Dir = l.t.TempDir()
	cmd.Env = append(os.Environ(), asSendmail+"=1",
		"PANELMAIL_SOCKET="+l.env.Places.Socket, "PANELMAIL_MAILDROP="+l.box.Dir)
	return cmd
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMailOfPHPReturnsTrue(t *testing.T) {
	const script = `
		$ok = mail("A <a@x.example>", "Grüße", "line\nline\n.\nlast", "From: shop@x.example\r\nBcc: b@x.example", "-fbounce@x.example");
		echo $ok ? "true" : "false";`
	for _, row := range []struct {
		what  string
		serve bool
	}{{"with a server", true}, {"without", false}} {
		t.Run(row.what, func(t *testing.T) {
			l := newLab(t)
			l.maildrop()
			var s *server
			if row.serve {
				s = l.serve(nil)
			}
			php := l.command("php", "-n", "-d", "sendmail_path="+self(t)+" -t -i", "-r", script)
			out, err := php.CombinedOutput()
			if err != nil || string(out) != "true" {
				t.Fatalf("%s, %v", out, err)
			}
			got := l.drops()
			if row.serve {
				got = append(got, s.received()...)
			}
			if len(got) != 1 {
				t.Fatalf("%d messages", len(got))
			}
			header, body, _ := strings.Cut(got[0].Content, "\r\n\r\n")
			if got[0].From != "bounce@x.example" || !cmp.Equal(got[0].To, []string{"a@x.example", "b@x.example"}) {
				t.Errorf("envelope %+v", got[0])
			}
			if strings.Contains(header, "Bcc") || !strings.Contains(header, "From: shop@x.example") || body != "line\r\nline\r\n.\r\nlast\r\n" {
				t.Errorf("content %q", got[0].Content)
			}
		})
	}
}

func TestMailxSends(t *testing.T) {
	l := newLab(t)
	s := l.serve(nil)
	mail := l.command("mail", "-s", "t", "a@x.example")
	rc := filepath.Join(t.TempDir(), "mailrc")
	if err := os.WriteFile(rc, fmt.Appendf(nil, "set sendwait\nset sendmail=%s\nset mta=%s\n", self(t), self(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	mail.Env = append(mail.Env, "MAILRC="+rc)
	mail.Stdin = strings.NewReader("x\n")
	if out, err := mail.CombinedOutput(); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	if len(s.received()) != 1 {
		t.Fatalf("received %v", s.received())
	}
	got := s.received()[0]
	if !cmp.Equal(got.To, []string{"a@x.example"}) || !strings.Contains(got.Content, "Subject: t\r\n") || !strings.HasSuffix(got.Content, "\r\n\r\nx\r\n") {
		t.Errorf("received %+v", got)
	}
}
