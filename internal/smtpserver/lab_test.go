package smtpserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/panelmail/panelmail/internal/memnet"
)

var (
	clientAddr = netip.MustParseAddrPort("192.0.2.1:40000")
	serverAddr = netip.MustParseAddrPort("192.0.2.25:25")
)

// replyError is a reply as the desk returns it.
type replyError struct {
	code     int
	enhanced [3]int
	text     string
}

func (r replyError) Error() string                    { return r.text }
func (r replyError) SMTPReply() (int, [3]int, string) { return r.code, r.enhanced, r.text }

// A message is what a desk has accepted.
type message struct {
	from    string
	rcpts   []string
	content string
}

// A desk is a handler that remembers. Addresses make it do things: see Mail,
// Rcpt and Data.
type desk struct {
	greet error // what NewSession returns
	angry bool  // sessions panic in Close

	mu       sync.Mutex
	messages []message
	events   []string // calls, in order
	open     int      // transactions that neither Data nor Abort has ended
	sessions int      // not closed
	clients  []string // of all sessions
}

func (d *desk) NewSession(_ context.Context, c *Conn) (Session, error) {
	if d.greet != nil {
		return nil, d.greet
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sessions++
	d.clients = append(d.clients, c.ClientIP().String())
	return &deskSession{desk: d, conn: c}, nil
}

func (d *desk) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, fmt.Sprintf(format, args...))
}

func (d *desk) ended() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
}

func (d *desk) accepted() []message {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.messages)
}

type deskSession struct {
	desk *desk
	conn *Conn
}

func (s *deskSession) Close() {
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	s.desk.sessions--
	if s.desk.angry {
		panic("secret detail")
	}
}

func (s *deskSession) Mechanisms() []string { return []string{"PLAIN", "LOGIN"} }

func (s *deskSession) Auth(_ context.Context, mechanism string) (sasl.Server, error) {
	if mechanism == "LOGIN" {
		return &loginServer{check: s.check}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return s.check(user, password) }), nil
}

func (s *deskSession) check(user, password string) error {
	switch {
	case user == "alice" && password == "secret":
		return nil
	case user == "down":
		return fmt.Errorf("looking up: %w", replyError{454, [3]int{4, 7, 0}, "Temporary authentication failure"})
	case user == "slow":
		return context.DeadlineExceeded
	case user == "unknown":
		return replyError{550, [3]int{5, 1, 1}, "no such user"}
	}
	return errors.New("wrong password")
}

type loginServer struct {
	check func(user, password string) error
	user  string
	step  int
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && l.step == 0 {
		return []byte("Username:"), false, nil
	}
	l.step++
	if l.step == 1 {
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}

func (s *deskSession) Mail(_ context.Context, from string, p MailParams) (Transaction, error) {
	s.desk.note("MAIL %q %+v %s", from, p, s.conn.Protocol())
	local, _, _ := strings.Cut(from, "@")
	switch local {
	case "refused":
		return nil, replyError{553, [3]int{5, 7, 1}, "<" + from + ">: Sender address rejected: not owned by user alice"}
	case "wrapped":
		return nil, fmt.Errorf("secret detail: %w", replyError{452, [3]int{4, 3, 1}, "Insufficient system storage"})
	case "plain":
		return nil, errors.New("secret detail")
	case "success":
		return nil, replyError{250, [3]int{2, 0, 0}, "this is no error"}
	case "late":
		return nil, fmt.Errorf("secret detail: %w", context.DeadlineExceeded)
	case "bye":
		return nil, replyError{521, [3]int{5, 7, 1}, "Go away"}
	case "long":
		return nil, replyError{550, [3]int{5, 7, 1}, strings.Repeat("x", 1000)}
	case "lines":
		return nil, replyError{550, [3]int{4, 7, 1}, "one\r\ntwo\x1b\xff\nthree"}
	case "panic":
		panic("secret detail")
	}
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	s.desk.open++
	return &deskTransaction{desk: s.desk, conn: s.conn, from: from, local: local}, nil
}

type deskTransaction struct {
	desk  *desk
	conn  *Conn
	from  string
	local string
	rcpts []string
}

func (t *deskTransaction) Lenient() bool { return t.local == "lenient" }

func (t *deskTransaction) Ready(context.Context) error {
	if t.local == "patient" && t.conn.Pipelined() {
		return replyError{503, [3]int{5, 5, 0}, "Improper use of SMTP command pipelining"}
	}
	return nil
}

func (t *deskTransaction) Abort() {
	t.desk.ended()
	t.desk.note("ABORT")
}

func (t *deskTransaction) Rcpt(_ context.Context, to string, p RcptParams) error {
	t.desk.note("RCPT %q %+v", to, p)
	domain := to[strings.LastIndexByte(to, '@')+1:]
	switch strings.ToLower(domain) {
	case "local.test", "[127.0.0.1]", "postmaster":
	default:
		return replyError{554, [3]int{5, 7, 1}, "<" + to + ">: Relay access denied"}
	}
	t.rcpts = append(t.rcpts, to)
	return nil
}

func (t *deskTransaction) Data(_ context.Context, content io.Reader) (string, error) {
	defer t.desk.ended()
	switch t.local {
	case "early":
		io.CopyN(io.Discard, content, 10)
		return "", replyError{452, [3]int{4, 3, 1}, "Insufficient system storage"}
	case "careless":
		io.CopyN(io.Discard, content, 10)
		return "ID0", nil
	case "crash":
		panic("secret detail")
	}
	b, err := io.ReadAll(content)
	if t.local == "deaf" {
		return "ID0", nil
	}
	if err != nil {
		t.desk.note("DATA failed")
		return "", fmt.Errorf("storing: %w", err)
	}
	if t.local == "full" {
		return "", errors.New("secret detail")
	}
	t.desk.mu.Lock()
	defer t.desk.mu.Unlock()
	t.desk.messages = append(t.desk.messages, message{t.from, t.rcpts, string(b)})
	return fmt.Sprintf("ID%d", len(t.desk.messages)), nil
}

// logBuffer keeps what is logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// newServer returns a server with a desk and its log.
func newServer() (*Server, *desk, *logBuffer) {
	d, l := &desk{}, &logBuffer{}
	return &Server{Hostname: "mx.local.test", Handler: d, Log: l.logger()}, d, l
}

// connect has the server serve one connection. When it is over, served is
// closed; stop is the end of the server.
func connect(t testing.TB, s *Server) (client *memnet.Conn, served <-chan struct{}, stop func()) {
	t.Helper()
	near, far := memnet.Pipe(clientAddr, serverAddr)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ServeConn(ctx, far)
	}()
	t.Cleanup(func() {
		near.Close()
		cancel()
		<-done
	})
	return near, done, cancel
}

// A peer is the client's side of a dialogue.
type peer struct {
	t    testing.TB
	raw  *memnet.Conn
	conn net.Conn
	r    *bufio.Reader

	// patience is how long the server may be silent, in virtual time, before the
	// client believes that there is no more to come.
	patience time.Duration
}

func newPeer(t testing.TB, c *memnet.Conn) *peer {
	return &peer{t: t, raw: c, conn: c, r: bufio.NewReader(c), patience: quiet}
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := p.conn.Write([]byte(s)); err != nil {
		p.t.Logf("sending %.40q: %v", s, err)
	}
}

// quiet is the patience of most clients.
const quiet = 20 * time.Second

// hear returns the lines that the server says, the last is "(closed)" or
// "(reset)" if the connection has ended.
func (p *peer) hear() []string {
	p.t.Helper()
	var lines []string
	for {
		p.raw.SetReadDeadline(time.Now().Add(p.patience))
		line, err := p.r.ReadString('\n')
		var ne net.Error
		switch {
		case err == nil && strings.HasSuffix(line, "\r\n"):
			lines = append(lines, line[:len(line)-2])
		case errors.As(err, &ne) && ne.Timeout() && line == "":
			return lines
		case err == io.EOF && line == "":
			return append(lines, "(closed)")
		case line == "":
			return append(lines, "(reset)")
		default:
			p.t.Fatalf("malformed line %q, %v", line, err)
		}
	}
}

// say sends lines and returns the answers.
func (p *peer) say(lines ...string) []string {
	p.t.Helper()
	p.send(strings.Join(lines, "\r\n") + "\r\n")
	return p.hear()
}

// startTLS puts TLS above the connection.
func (p *peer) startTLS() {
	p.t.Helper()
	c := tls.Client(p.raw, &tls.Config{InsecureSkipVerify: true})
	p.raw.SetDeadline(time.Time{})
	if err := c.Handshake(); err != nil {
		p.t.Fatalf("handshake: %v", err)
	}
	p.conn, p.r = c, bufio.NewReader(c)
}

// tlsConfig makes a certificate.
func tlsConfig(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mx.local.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
