package sendmail_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/panelmail/panelmail/internal/maildrop"
	"github.com/panelmail/panelmail/internal/smtpserver"
	"github.com/panelmail/panelmail/mailcore/sendmail"
	"github.com/panelmail/panelmail/transport"
)

// lab is a directory with a place for a server and a maildrop in it.
type lab struct {
	t   *testing.T
	dir string
	env sendmail.Env
	box maildrop.Box
}

func newLab(t *testing.T) *lab {
	t.Helper()
	dir, err := os.MkdirTemp("", "sm") // socket names are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := &lab{t: t, dir: dir, box: maildrop.Box{Dir: filepath.Join(dir, "spool")}}
	l.env = sendmail.Env{
		Getenv:   func(string) string { return "" },
		User:     func(int) (sendmail.User, error) { return sendmail.User{Name: "web1"}, nil },
		Hostname: func() (string, error) { return "host.example", nil },
		Places: sendmail.Places{
			Config:   filepath.Join(dir, "sendmail.conf"),
			Socket:   filepath.Join(dir, "sendmail.sock"),
			Maildrop: l.box.Dir,
			Data:     filepath.Join(dir, "panelmail-data"),
		},
	}
	return l
}

// maildrop makes the directory of whoever runs the test.
func (l *lab) maildrop() {
	l.t.Helper()
	if err := l.box.Create(os.Getuid(), os.Getgid()); err != nil {
		l.t.Fatal(err)
	}
}

// drops takes what is in the maildrop.
func (l *lab) drops() []message {
	l.t.Helper()
	var all []message
	_, err := l.box.Take(l.t.Context(), func(_ context.Context, d maildrop.Drop, content io.Reader) error {
		text, err := io.ReadAll(content)
		all = append(all, split(message{From: d.From, To: d.To, Notify: d.Notify, Ret: d.Ret, EnvID: d.EnvID}, string(text)))
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

// run runs the command.
func (l *lab) run(stdin string, args ...string) (status int, stdout, stderr string) {
	l.t.Helper()
	var out, err bytes.Buffer
	status = sendmail.Main(l.t.Context(), args, strings.NewReader(stdin), &out, &err, l.env)
	return status, out.String(), err.String()
}

// message is what somebody received. The submission field is taken out of the
// content, which must begin with it.
type message struct {
	From       string
	To         []string
	Notify     string
	Ret        string
	EnvID      string
	Submission string
	Content    string
}

func split(m message, content string) message {
	first, rest, _ := strings.Cut(content, "\r\n")
	if id, ok := strings.CutPrefix(first, "X-Panelmail-Submission: "); ok && id != "" {
		m.Submission, m.Content = "yes", rest
		return m
	}
	m.Content = content
	return m
}

// server is an SMTP server on the socket of the lab. It remembers, and answers as
// it is told by reply, which is asked with "GREETING", "MAIL", "RCPT address"
// and "DATA".
type server struct {
	reply func(step string) error

	mu       sync.Mutex
	messages []message
	ids      []string // submission IDs in order
}

func (l *lab) serve(reply func(step string) error) *server {
	l.t.Helper()
	s := &server{reply: reply}
	listener, err := net.Listen("unix", l.env.Places.Socket)
	if err != nil {
		l.t.Fatal(err)
	}
	smtp := smtpserver.Server{Hostname: "mx.example", Handler: s, ErrorSleep: -1, Grace: -1, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- smtp.Serve(ctx, listener) }()
	l.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Error(err)
		}
	})
	return s
}

func (s *server) says(step string) error {
	if s.reply == nil {
		return nil
	}
	return s.reply(step)
}

func (s *server) received() []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages
}

func (s *server) NewSession(context.Context, *smtpserver.Conn) (smtpserver.Session, error) {
	return session{s}, s.says("GREETING")
}

type session struct{ server *server }

func (s session) Mail(_ context.Context, from string, p smtpserver.MailParams) (smtpserver.Transaction, error) {
	return &transaction{s.server, message{From: from, Ret: p.Ret, EnvID: p.EnvID}}, s.server.says("MAIL")
}

func (session) Close() {}

type transaction struct {
	server *server
	m      message
}

func (t *transaction) Rcpt(_ context.Context, to string, p smtpserver.RcptParams) error {
	if err := t.server.says("RCPT " + to); err != nil {
		return err
	}
	t.m.To = append(t.m.To, to)
	if p.Notify&smtpserver.NotifySuccess != 0 {
		t.m.Notify = "SUCCESS"
	}
	return nil
}

func (t *transaction) Data(_ context.Context, content io.Reader) (string, error) {
	text, err := io.ReadAll(content)
	if err != nil {
		return "", err
	}
	id, _, _ := strings.Cut(string(text), "\r\n")
	t.server.mu.Lock()
	t.server.messages = append(t.server.messages, split(t.m, string(text)))
	t.server.ids = append(t.server.ids, id)
	t.server.mu.Unlock()
	return "ID", t.server.says("DATA")
}

func (*transaction) Abort() {}

// refuse makes a server that refuses one step.
func refuse(at string, code int, enhanced string) func(string) error {
	return func(step string) error {
		if step != at {
			return nil
		}
		return transport.Replyf(code, enhanced, "no")
	}
}
