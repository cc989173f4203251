package mailcore_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A parrot is a smart host that repeats what it is told.
type parrot struct {
	offers string // mechanisms
	clear  bool   // there is no STARTTLS

	// answer is the reply to a command or a response; "" is a usual one, "close"
	// closes. echo is all that it was told to log in with, as it was and decoded.
	answer func(line, echo string) string

	mu       sync.Mutex
	heard    string
	contents []string
	seen     map[string]asSeen // by recipient
}

// start starts it at an address, and returns the port.
func (p *parrot) start(t *testing.T, addr string) (port string) {
	t.Helper()
	certificate, key, err := mailcore.SelfSigned("smart.example")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", addr+":0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(t.Context(), func() { conn.Close() })()
				p.session(conn, &tls.Config{Certificates: []tls.Certificate{pair}})
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		sessions.Wait()
	})
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

func (p *parrot) session(conn net.Conn, config *tls.Config) {
	fmt.Fprint(conn, "220 smart.example ESMTP\r\n")
	r, secure, echo := bufio.NewReader(conn), false, ""
	w := asSeen{From: conn.RemoteAddr().(*net.TCPAddr).IP.String()}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		fields := strings.Fields(line)
		if secure && len(fields) > 0 {
			said, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
			if err == nil && line != "DATA" && line != "QUIT" {
				if parts := strings.Split(string(said), "\x00"); len(parts) == 3 {
					w.Login = parts[1]
				}
				echo += line + " " + strings.Map(noControls, string(said)) + " " + fmt.Sprintf("%x", said) + " "
			}
		}
		p.note(func() {
			p.heard += echo
			if to, ok := strings.CutPrefix(line, "RCPT TO:<"); ok && p.seen != nil {
				p.seen[to[:strings.IndexByte(to, '>')]] = w
			}
		})
		reply := p.answer(line, echo)
		switch {
		case reply == "close":
			return
		case reply != "":
		case line == "STARTTLS":
			fmt.Fprint(conn, "220 go\r\n")
			conn, secure, w.TLS = tls.Server(conn, config), true, true
			r.Reset(conn)
			continue
		case strings.HasPrefix(line, "EHLO"):
			w.HELO = fields[1]
			if reply = "250-smart.example\r\n250-STARTTLS\r\n250 AUTH " + p.offers; p.clear {
				reply = "250 smart.example"
			}
		case strings.HasPrefix(line, "AUTH"):
			reply = "235 2.7.0 welcome " + echo
		case line == "DATA":
			fmt.Fprint(conn, "354 go\r\n")
			var content strings.Builder
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
				content.WriteString(line)
			}
			p.note(func() { p.contents = append(p.contents, content.String()) })
			reply = "250 2.0.0 taken " + echo
		default:
			reply = "250 2.0.0 ok " + echo
		}
		if _, err := io.WriteString(conn, reply+"\r\n"); err != nil {
			return
		}
	}
}

func (p *parrot) note(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func noControls(r rune) rune {
	if r < ' ' {
		return ' '
	}
	return r
}

// buffer is a bytes.Buffer for many goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func usual(string, string) string { return "" }

func on(verb string, reply func(echo string) string) func(line, echo string) string {
	return func(line, echo string) string {
		if strings.HasPrefix(line, verb) {
			return reply(echo)
		}
		return ""
	}
}

func TestT8ThePasswordOfASmartHostShowsNowhereWhateverTheHostRepeats(t *testing.T) {
	for name, test := range map[string]struct {
		offers string
		answer func(line, echo string) string
		until  queue.Kind
		oauth  bool
	}{
		"accepts":           {"PLAIN", usual, queue.Delivered, false},
		"accepts a token":   {"XOAUTH2", usual, queue.Delivered, true},
		"refuses the login": {"PLAIN", on("AUTH", func(echo string) string { return "535-5.7.8 wrong: " + echo + "\r\n535 5.7.8 " + echo }), queue.Deferred, false},
		"refuses a token":   {"XOAUTH2", on("AUTH", func(echo string) string { return "535 5.7.8 wrong: " + echo }), queue.Deferred, true},
		"cuts what it repeats": {"PLAIN", on("AUTH", func(echo string) string {
			return "535-5.7.8 " + echo[11:35] + "\r\n535-5.7.8 " + echo[35:60] + "\r\n535 5.7.8 " + echo[60:]
		}), queue.Deferred, false},
		"asks for the password, and refuses it": {"LOGIN", func(line, echo string) string {
			switch {
			case strings.HasPrefix(line, "AUTH LOGIN "):
				return "334 UGFzc3dvcmQ6"
			case line == base64.StdEncoding.EncodeToString([]byte(canary)):
				return "535 5.7.8 wrong: " + echo
			}
			return ""
		}, queue.Deferred, false},
		"closes":                  {"PLAIN", on("AUTH", func(string) string { return "close" }), queue.Deferred, false},
		"speaks no SMTP":          {"PLAIN", on("AUTH", func(echo string) string { return echo }), queue.Deferred, false},
		"goes":                    {"PLAIN", on("AUTH", func(echo string) string { return "421 4.3.2 " + echo }), queue.Deferred, false},
		"refuses the sender":      {"PLAIN", on("MAIL FROM:<me", func(echo string) string { return "550 5.7.1 not with " + echo }), queue.Failed, false},
		"refuses the recipient":   {"PLAIN", on("RCPT TO:<u", func(echo string) string { return "550 5.1.1 not with " + echo }), queue.Failed, false},
		"puts the recipient off":  {"PLAIN", on("RCPT TO:<u", func(echo string) string { return "450 4.1.1 not with " + echo }), queue.Deferred, false},
		"closes behind the login": {"PLAIN", on("MAIL", func(string) string { return "close" }), queue.Deferred, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := &parrot{offers: test.offers, answer: test.answer}
			shown := deliverThrough(t, p, test.until, test.oauth)
			p.mu.Lock()
			defer p.mu.Unlock()
			if !shows(p.heard) {
				t.Errorf("the host was never told the password: the test proves nothing")
			}
			if test.until == queue.Failed && (len(p.contents) == 0 || !strings.Contains(p.contents[0], "***")) {
				t.Errorf("no bounce repeats the host: %q", p.contents)
			}
			if !strings.Contains(shown, string(test.until)) {
				t.Errorf("nothing is %s in\n%s", test.until, shown)
			}
			for what, text := range map[string]string{"what the server shows": shown, "what it sends": strings.Join(p.contents, "")} {
				if shows(text) {
					t.Errorf("%s has the password:\n%s", what, text)
				}
			}
		})
	}
}

// deliverThrough sends a message through a smart host until something of a kind has
// become of it, and returns all that is to be seen of that.
func deliverThrough(t *testing.T, p *parrot, until queue.Kind, oauth bool) string {
	t.Helper()
	var log buffer
	done := make(chan bool, 100)
	credential := transport.Credential{User: "acct", Password: canary}
	config := mailcore.Config{
		Hostname: "mail.panel.example", SmartHost: "[127.0.0.1]:" + p.start(t, "127.0.0.1"), SmartHostCredential: credential,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	config.Observe = func(events []queue.Event) {
		for _, e := range events {
			fmt.Fprintf(&log, "event %+v %#v\n", e, e)
			switch {
			case e.Kind == queue.Failed && e.Report != "", e.Kind == queue.Queued:
			case e.Kind == until, until == queue.Failed && e.Kind == queue.Delivered: // the bounce
				done <- true
			}
		}
	}
	if oauth {
		config.SmartHostCredential = transport.Credential{User: "acct", OAuth: true}
		config.Tokens = transport.TokenerFunc(func(context.Context, transport.TokenRequest) (string, error) { return canary, nil })
	}
	srv, err := mailcore.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), config)
	if err != nil {
		t.Fatal(err)
	}
	addSite(t, srv, "shop", "shop.example")
	if err := srv.Sites().SetCredential(t.Context(), sites.Credential{Key: "[elsewhere.example]", Credential: credential}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- srv.Run(ctx) }()
	defer func() {
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	}()
	m := hello("me@shop.example", "u@customer.example")
	m.Site = "shop"
	id := submit(t, srv, m)
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("nothing is %s:\n%s", until, log.String())
	}
	return log.String() + shownOf(t, srv, id) + inspect(config)
}

// shownOf is what a server shows of a message and of its settings.
func shownOf(t *testing.T, srv *mailcore.Server, id string) string {
	t.Helper()
	all := []any{srv, srv.Sites()}
	for e, err := range srv.Queue().Entries(t.Context(), queue.Match{All: true}) {
		all = append(all, e, err)
	}
	history, err := srv.Queue().History(t.Context(), id)
	plan, err2 := srv.Explain(t.Context(), "shop", "me@shop.example", "u@customer.example")
	credentials, err3 := srv.Sites().ListCredentials(t.Context())
	if err != nil || err2 != nil || err3 != nil {
		t.Error(err, err2, err3)
	}
	return inspect(append(all, history, plan, credentials)...)
}

// inspect prints values in every way that somebody might.
func inspect(values ...any) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%v\n%+v\n%#v\n%x\n", v, v, v, v)
		if text, err := json.Marshal(v); err == nil {
			fmt.Fprintf(&b, "%s\n", text)
		}
		slog.New(slog.NewJSONHandler(&b, nil)).Info("value", "v", v)
	}
	return b.String()
}
