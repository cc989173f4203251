package interop_test

import (
	"encoding/base64"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/panelmail/panelmail/internal/interop"
)

// canary is a password that is found wherever it went.
const canary = "Canary-7f3a-%41-\"x\""

// disguises are the forms in which a password or what is made of it for AUTH may
// turn up.
func disguises(user, password string) []string {
	base64 := base64.StdEncoding.EncodeToString
	return []string{
		password,
		"Canary-7f3a", // however the rest is quoted
		base64([]byte(password)),
		base64([]byte("\x00" + user + "\x00" + password)),
		base64([]byte(user + "\x00" + user + "\x00" + password)),
	}
}

// reveals reports the first disguise found in a text.
func reveals(text string) (string, bool) {
	for _, d := range disguises("panel", canary) {
		if strings.Contains(text, d) {
			return d, true
		}
	}
	return "", false
}

// A tap passes connections on and remembers what the client sent. What the
// server says goes through edit, if that is set.
type tap struct {
	net.Listener
	target string
	edit   func(string) string

	mu      sync.Mutex
	sent    strings.Builder
	running sync.WaitGroup
}

func newTap(t *testing.T, target string, edit func(string) string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tp := &tap{Listener: l, target: target, edit: edit}
	tp.running.Go(tp.serve)
	t.Cleanup(func() {
		l.Close()
		tp.running.Wait()
	})
	return tp
}

func (tp *tap) serve() {
	for {
		client, err := tp.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", tp.target)
		if err != nil {
			client.Close()
			continue
		}
		tp.running.Go(func() {
			io.Copy(server, io.TeeReader(client, tp))
			server.Close()
		})
		tp.running.Go(func() {
			buffer := make([]byte, 64<<10)
			for {
				n, err := server.Read(buffer)
				text := string(buffer[:n])
				if tp.edit != nil {
					text = tp.edit(text)
				}
				if _, werr := io.WriteString(client, text); err != nil || werr != nil {
					client.Close()
					return
				}
			}
		})
	}
}

// Write takes what a client sent.
func (tp *tap) Write(p []byte) (int, error) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.sent.Write(p)
}

// heard is everything that clients sent so far.
func (tp *tap) heard() string {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.sent.String()
}

// keepsSecret looks for the canary in all that the server tells anybody.
func (p *panel) keepsSecret(t *testing.T, sender, recipient string) {
	t.Helper()
	id := p.entries(t)[0].ID
	for _, command := range []string{
		"mailq", "queue list", "queue list --json", "queue show " + id, "queue show --json " + id, "queue cat " + id, "queue stats",
		"smarthost list", "smarthost list --json", "trail", "trail --json", "tls report", "relay list", "relay list --json", "config show",
		"explain " + sender + " " + recipient, "explain --json " + sender + " " + recipient,
	} {
		text := p.do(t, "", strings.Fields(command)...)
		if d, ok := reveals(text); ok {
			t.Errorf("%s says %q:\n%s", command, d, text)
		}
	}
	if d, ok := reveals(p.Log()); ok {
		t.Errorf("the log says %q", d)
	}
}

func TestASmartHostsPasswordIsSeenByNobodyElse(t *testing.T) {
	interop.Need(t, "saslpasswd2")
	s := runSink(t, &interop.Sink{})
	host, _ := smartHost(t, s)
	tp := newTap(t, host.Addr, nil)
	p := newRelay(t, s)
	p.do(t, canary+"\n", "smarthost", "set", "default", bracketed(tp.Addr().String()), "panel")
	p.submits(t, "me@shop.example", "you@example.org")

	reason := p.deferred(t, 1)[0].Recipients[0].Reason
	if want := "535 5.7.8 Error: authentication failed"; !strings.Contains(reason, want) {
		t.Errorf("the reason is %q, want %q in it", reason, want)
	}
	if s.Count() != 0 {
		t.Error("the message was relayed")
	}
	p.keepsSecret(t, "me@shop.example", "you@example.org")
	sent := tp.heard()
	if d, ok := reveals(sent); ok || strings.Contains(sent, "AUTH") || strings.Contains(sent, "MAIL") {
		t.Errorf("sent in clear: %q %q", d, sent)
	}
	if !strings.Contains(sent, "STARTTLS\r\n") {
		t.Errorf("the tap did not hear the dialogue: %q", sent)
	}
}

func TestASmartHostThatRepeatsThePasswordDoesNotSpreadIt(t *testing.T) {
	cert, err := interop.NewCertificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	config, err := cert.Server()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var told bool
	s := runSink(t, &interop.Sink{TLS: config, Answer: func(verb, line string) string {
		switch verb {
		case "EHLO":
			return "250-sink.test\r\n250-STARTTLS\r\n250 AUTH PLAIN"
		case "AUTH":
			mu.Lock()
			defer mu.Unlock()
			_, told = reveals(line)
			return "535 5.7.8 No entry with " + canary + " or " + line
		}
		return ""
	}})
	p := newRelay(t, s)
	p.do(t, canary+"\n", "smarthost", "set", "default", bracketed(s.Addr), "panel")
	p.submits(t, "me@shop.example", "you@example.org")
	if reason := p.deferred(t, 1)[0].Recipients[0].Reason; !strings.Contains(reason, "535 5.7.8 No entry") {
		t.Errorf("the reason is %q", reason)
	}
	mu.Lock()
	defer mu.Unlock()
	if !told {
		t.Error("the password was not tried")
	}
	p.keepsSecret(t, "me@shop.example", "you@example.org")
}

// A host that does not offer STARTTLS where it is required is asked for it
// nevertheless: this one, behind somebody who takes the offer out, has it.
func TestSTARTTLSTakenOutOnTheWayBringsNoLoginIntoTheClear(t *testing.T) {
	interop.Need(t, "saslpasswd2")
	s := runSink(t, &interop.Sink{})
	host, _ := smartHost(t, s)
	tp := newTap(t, host.Addr, func(text string) string {
		return strings.Replace(text, "250-STARTTLS\r\n", "250-AUTH PLAIN LOGIN\r\n", 1)
	})
	p := newRelay(t, s)
	p.do(t, canary+"\n", "smarthost", "set", "default", bracketed(tp.Addr().String()), "panel")
	p.submits(t, "me@shop.example", "you@example.org")

	if reason := p.deferred(t, 1)[0].Recipients[0].Reason; !strings.Contains(reason, "535 5.7.8") {
		t.Errorf("the reason is %q", reason)
	}
	if sent := tp.heard(); !strings.Contains(sent, "STARTTLS\r\n") || strings.Contains(sent, "AUTH") || strings.Contains(sent, "MAIL") {
		t.Errorf("sent: %q", sent)
	}
	p.keepsSecret(t, "me@shop.example", "you@example.org")
}
