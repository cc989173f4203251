package interop_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// customer is the uid of a site's programs in these tests: nobody's.
const customer = 65534

// A panel is a server with a site whose programs run as another user, and the
// sink that everything is sent to.
type panel struct {
	*interop.Standalone
	sink       *interop.Sink
	submission string
	socket     string
	dir        string
}

// newPanel starts a server that keeps its sendmail socket and maildrop outside
// of its data directory, as a service does.
func newPanel(t *testing.T, settings ...string) *panel {
	t.Helper()
	interop.NeedTime(t)
	dir, err := os.MkdirTemp("", "panel")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	binary, err := interop.BuildStandalone(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	p := &panel{sink: &interop.Sink{}, submission: freePort(t), dir: dir, socket: filepath.Join(dir, "run", "sendmail.sock")}
	if err := p.sink.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.sink.Close() })
	p.Standalone = &interop.Standalone{
		Binary: binary, Dir: filepath.Join(dir, "state"), SmartHost: p.sink.Addr,
		Settings: append([]string{
			`relay.networks = []`, `listen.submission = "` + p.submission + `"`, `listen.sendmail = "` + p.socket + `"`,
			`queue.backoff_min = "1s"`, `queue.backoff_max = "2s"`,
		}, settings...),
	}
	p.start(t)
	interop.StopAfter(t, p)
	p.do(t, "", "site", "add", "shop", "--uid", fmt.Sprint(customer))
	p.do(t, "", "domain", "add", "shop.example", "--site", "shop")
	p.do(t, "secret\n", "login", "add", "me@shop.example", "--site", "shop")
	return p
}

func (p *panel) start(t *testing.T) {
	t.Helper()
	if err := p.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// do runs a command of the server's program.
func (p *panel) do(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.Binary, append([]string{"--data", filepath.Join(p.Dir, "data"), "--config", filepath.Join(p.Dir, "panelmail.toml")}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("panelmail %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// asCustomer runs a program as the customer, somewhere else, with the binary as
// its sendmail.
func (p *panel) asCustomer(t *testing.T, stdin string, program string, args ...string) (output string, took time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), interop.Need(t, program), args...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "PANELMAIL_SOCKET="+p.socket, "HOME=/nonexistent", "MAILRC="+filepath.Join(p.dir, "mailrc"))
	cmd.Stdin = strings.NewReader(stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: customer, Gid: customer}}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Run()
	took = time.Since(began)
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, out.String())
	}
	return out.String(), took
}

// arrives waits for n messages at the sink and checks that each is whole.
func (p *panel) arrives(t *testing.T, n int) []interop.Message {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for more := p.sink.Arrived(); p.sink.Count() < n; more = p.sink.Arrived() {
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("%d messages of %d arrived; the queue:\n%s", p.sink.Count(), n, p.do(t, "", "mailq"))
		}
	}
	got := p.sink.Messages()
	for _, m := range got {
		content := "\n" + string(m.Content())
		for _, field := range []string{"\nReceived: ", "\nDate: ", "\nMessage-I", "\nFrom: "} {
			if strings.Count(content, field) != 1 {
				t.Errorf("%d of %q in\n%s", strings.Count(content, field), field, content)
			}
		}
	}
	return got
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// php runs mail() and returns how long the call itself took.
func (p *panel) php(t *testing.T, subject string) time.Duration {
	t.Helper()
	script := fmt.Sprintf(`$began = microtime(true);
		$ok = mail("you@example.org", %q, "From PHP.\nSecond line.\n", "From: me@shop.example\r\nBcc: hidden@example.org", "-fme@shop.example");
		printf("%%s %%d", $ok ? "true" : "false", (microtime(true) - $began) * 1000000);`, subject)
	out, _ := p.asCustomer(t, "", "php", "-d", "sendmail_path="+p.Binary+" sendmail -t -i", "-r", script)
	var ok string
	var us int64
	if _, err := fmt.Sscanf(out, "%s %d", &ok, &us); err != nil || ok != "true" {
		t.Fatalf("mail() said %q; %s", out, p.maildrops())
	}
	return time.Duration(us) * time.Microsecond
}

// maildrops lists the directories below the maildrop, for failures.
func (p *panel) maildrops() string {
	out, _ := exec.Command("ls", "-lnaR", filepath.Join(p.dir, "run")).CombinedOutput()
	return string(out)
}

func TestSwaksSubmitsOverSTARTTLSWithALogin(t *testing.T) {
	swaks := interop.Need(t, "swaks")
	p := newPanel(t)
	submit := func(password, from string) (string, error) {
		out, err := exec.CommandContext(t.Context(), swaks, "--server", p.submission, "--tls", "--auth-user", "me@shop.example",
			"--auth-password", password, "--from", from, "--to", "you@example.org").CombinedOutput()
		return string(out), err
	}
	out, err := submit("secret", "me@shop.example")
	if err != nil || !strings.Contains(out, "250 2.0.0 Ok: queued as ") {
		t.Fatalf("%v\n%s", err, out)
	}
	if m := p.arrives(t, 1)[0]; m.From() != "me@shop.example" {
		t.Errorf("reverse-path %q", m.From())
	}
	if out, err := submit("wrong", "me@shop.example"); err == nil || !strings.Contains(out, "535 5.7.8") {
		t.Errorf("a wrong password: %v\n%s", err, out)
	}
	if out, err := submit("secret", "boss@other.example"); err == nil || !strings.Contains(out, "553 5.7.1") {
		t.Errorf("a sender of somebody else: %v\n%s", err, out)
	}
}

func TestPHPMailOfAnotherUserArrives(t *testing.T) {
	interop.NeedRoot(t)
	p := newPanel(t)
	p.php(t, "Hello")
	for _, m := range p.arrives(t, 1) {
		if len(m.To()) != 2 {
			t.Errorf("recipients %q, want those of To and Bcc", m.To())
		}
		if text := string(m.Content()); strings.Contains(strings.ToLower(text), "bcc:") || !strings.Contains(text, "From PHP.\r\nSecond line.\r\n") {
			t.Errorf("content:\n%s", text)
		}
		if !strings.Contains(string(m.Content()), fmt.Sprintf("userid %d", customer)) {
			t.Errorf("the trace does not name the uid:\n%s", m.Content())
		}
	}
}

func TestPHPMailReturnsWithinASecondWhateverIsDown(t *testing.T) {
	interop.NeedRoot(t)
	hole := make(chan struct{})
	p := newPanel(t)
	fill := sync.OnceFunc(func() { close(hole) })
	t.Cleanup(fill)
	p.sink.Answer = func(verb, _ string) string {
		if verb == "" {
			<-hole
		}
		return ""
	}
	quickest := func(subject string) time.Duration { // of three: the machine has other work
		return min(p.php(t, subject), p.php(t, subject), p.php(t, subject))
	}
	if took := quickest("black hole"); took > time.Second {
		t.Errorf("mail() took %v while the destination was a black hole", took)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := quickest("server down"); took > time.Second {
		t.Errorf("mail() took %v while the server was stopped", took)
	}
	fill()
	p.start(t)
	p.arrives(t, 6)
}

func TestTheMailCommandArrives(t *testing.T) {
	interop.NeedRoot(t)
	p := newPanel(t)
	link := filepath.Join(p.dir, "sendmail")
	if err := os.Symlink(p.Binary, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "mailrc"), []byte("set sendmail="+link+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.asCustomer(t, "x\n", "mail", "-s", "t", "-r", "me@shop.example", "you@example.org")
	if text := string(p.arrives(t, 1)[0].Content()); !strings.Contains(text, "\r\nSubject: t\r\n") || !strings.HasSuffix(text, "\r\n\r\nx\r\n") {
		t.Errorf("content:\n%s", text)
	}
}

func TestADialogueOverBSArrivesWithTheServerUpAndDown(t *testing.T) {
	interop.NeedRoot(t)
	p := newPanel(t)
	dialogue := "EHLO [127.0.0.1]\r\nMAIL FROM:<me@shop.example>\r\nRCPT TO:<you@example.org>\r\nDATA\r\n" +
		"Subject: bs\r\n\r\n..dot\r\n.\r\nQUIT\r\n"
	for _, down := range []bool{false, true} {
		if down {
			if err := p.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		out, _ := p.asCustomer(t, dialogue, p.Binary, "sendmail", "-bs")
		if !strings.Contains(out, "\n250 2.0.0 ") || !strings.Contains(out, "\n354 ") {
			t.Errorf("server down %v:\n%s", down, out)
		}
		if down {
			p.start(t)
		}
	}
	for _, m := range p.arrives(t, 2) {
		if !strings.HasSuffix(string(m.Content()), "\r\n\r\n.dot\r\n") {
			t.Errorf("content:\n%s", m.Content())
		}
	}
}

func TestAUIDOfNoSiteIsRefused(t *testing.T) {
	interop.NeedRoot(t)
	p := newPanel(t)
	cmd := exec.CommandContext(t.Context(), p.Binary, "sendmail", "-f", "x@shop.example", "you@example.org")
	cmd.Env = append(os.Environ(), "PANELMAIL_SOCKET="+p.socket)
	cmd.Stdin = strings.NewReader("Subject: x\n\nx\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
	var problems bytes.Buffer
	cmd.Stderr = &problems
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 77 {
		t.Errorf("exit status %v, want 77: %s", err, problems.String())
	}
}
