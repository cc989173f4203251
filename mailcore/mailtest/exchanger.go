package mailtest

import (
	"crypto/tls"
	"io"
	"log"
	"net/netip"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/transport"
)

// A Stage is a moment of the dialogue at which an exchanger can be told what to
// answer.
type Stage string

// The stages.
const (
	Greeting Stage = "greeting"
	Mail     Stage = "MAIL"
	Rcpt     Stage = "RCPT"
	Data     Stage = "DATA" // after the final dot
)

// A Message is one that an exchanger took.
type Message struct {
	ReversePath string
	Recipients  []string
	Content     string // CRLF line ends, as received
	Client      netip.Addr
	HELO        string
	TLS         bool
	Login       string // whom the client authenticated as
	Time        time.Time
}

// An Exchanger is a mail host of the lab. It takes everything until it is told
// otherwise, and remembers what it took.
type Exchanger struct {
	Host string
	Addr netip.AddrPort

	lab    *Lab
	server *smtp.Server
	tls    *tls.Config
	noDSN  bool

	mu       sync.Mutex
	script   map[Stage][]transport.Reply
	always   map[Stage]transport.Reply
	messages []Message
	attempts []time.Time
	login    [2]string
	tried    []string
}

// Domain makes a mail domain with one exchanger, named mx.DOMAIN.
func (l *Lab) Domain(domain string) *Exchanger {
	l.t.Helper()
	x := l.Exchanger("mx." + domain)
	l.DNS.set(func() { l.DNS.MX[domain] = []transport.MX{{Preference: 10, Host: x.Host}} })
	return x
}

// Exchanger makes a host that listens on port 25, with an address record.
func (l *Lab) Exchanger(host string) *Exchanger {
	l.t.Helper()
	addr := l.newHost()
	l.DNS.set(func() { l.DNS.Addr[host] = []string{addr.String()} })
	x := &Exchanger{
		Host: host, Addr: netip.AddrPortFrom(addr, 25), lab: l,
		script: map[Stage][]transport.Reply{}, always: map[Stage]transport.Reply{},
	}
	x.Up()
	l.exchangers = append(l.exchangers, x)
	return x
}

// Up has the exchanger listen, as it does from the start.
func (x *Exchanger) Up() {
	x.lab.t.Helper()
	listener, err := x.lab.net.Listen(x.Addr)
	if err != nil {
		x.lab.t.Fatal(err)
	}
	x.server = smtp.NewServer(smtp.BackendFunc(x.newSession))
	x.server.Domain = x.Host
	x.server.EnableDSN, x.server.EnableSMTPUTF8 = !x.noDSN, true
	x.server.AllowInsecureAuth = true
	x.server.MaxLineLength = 128 << 10
	x.server.TLSConfig = x.tls
	x.server.ErrorLog = log.New(io.Discard, "", 0)
	go x.server.Serve(listener)
	synctest.Wait() // until it serves, Down would not know of the listener
}

// Down has the exchanger refuse connections, and closes those there are.
func (x *Exchanger) Down() {
	x.server.Close()
	synctest.Wait()
}

// Answer queues replies for a stage. Each is given once, in turn; after the last
// the exchanger takes everything again.
func (x *Exchanger) Answer(stage Stage, replies ...transport.Reply) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.script[stage] = append(x.script[stage], replies...)
}

// Always sets the reply for a stage that is given whenever none is queued. The
// zero Reply takes everything again.
func (x *Exchanger) Always(stage Stage, reply transport.Reply) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.always[stage] = reply
}

// Require has the exchanger offer AUTH, and take no mail without this login.
func (x *Exchanger) Require(name, password string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.login = [2]string{name, password}
}

// OfferNoDSN has the exchanger not offer DSN (RFC 3461), as it does otherwise.
func (x *Exchanger) OfferNoDSN() {
	x.Down()
	x.noDSN = true
	x.Up()
}

// OfferTLS has the exchanger offer STARTTLS from now on, with a self-signed
// certificate.
func (x *Exchanger) OfferTLS() {
	x.lab.t.Helper()
	certificate, key, err := mailcore.SelfSigned(x.Host)
	if err != nil {
		x.lab.t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		x.lab.t.Fatal(err)
	}
	x.Down()
	x.tls = &tls.Config{Certificates: []tls.Certificate{pair}}
	x.Up()
}

// Messages are those taken so far, in order.
func (x *Exchanger) Messages() []Message {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]Message(nil), x.messages...)
}

// Logins are the names that clients authenticated with, rightly or not.
func (x *Exchanger) Logins() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]string(nil), x.tried...)
}

// Attempts are the instants at which a RCPT arrived, whatever was answered.
func (x *Exchanger) Attempts() []time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]time.Time(nil), x.attempts...)
}

// next is what to answer at a stage now; nil takes it.
func (x *Exchanger) next(stage Stage) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	reply := x.always[stage]
	if queued := x.script[stage]; len(queued) > 0 {
		reply, x.script[stage] = queued[0], queued[1:]
	}
	if reply.Code == 0 {
		return nil
	}
	return &smtp.SMTPError{Code: reply.Code, EnhancedCode: smtp.EnhancedCode(reply.Enhanced), Message: reply.Text}
}

func (x *Exchanger) newSession(c *smtp.Conn) (smtp.Session, error) {
	if err := x.next(Greeting); err != nil {
		return nil, err
	}
	s := &session{exchanger: x, conn: c}
	if ap, err := netip.ParseAddrPort(c.Conn().RemoteAddr().String()); err == nil {
		s.client = ap.Addr().Unmap()
	}
	return s, nil
}

// session is one connection to an exchanger.
type session struct {
	exchanger *Exchanger
	conn      *smtp.Conn
	client    netip.Addr
	login     string
	message   Message
}

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string {
	s.exchanger.mu.Lock()
	defer s.exchanger.mu.Unlock()
	if s.exchanger.login[0] == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements smtp.AuthSession.
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, name, password string) error {
		s.exchanger.mu.Lock()
		defer s.exchanger.mu.Unlock()
		s.exchanger.tried = append(s.exchanger.tried, name)
		if s.exchanger.login != [2]string{name, password} {
			return smtp.ErrAuthFailed
		}
		s.login = name
		return nil
	}), nil
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if len(s.AuthMechanisms()) > 0 && s.login == "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	if err := s.exchanger.next(Mail); err != nil {
		return err
	}
	s.message = Message{ReversePath: from, Client: s.client, HELO: s.conn.Hostname(), Login: s.login}
	_, s.message.TLS = s.conn.TLSConnectionState()
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.exchanger.mu.Lock()
	s.exchanger.attempts = append(s.exchanger.attempts, time.Now())
	s.exchanger.mu.Unlock()
	if err := s.exchanger.next(Rcpt); err != nil {
		return err
	}
	s.message.Recipients = append(s.message.Recipients, to)
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	var content strings.Builder
	if _, err := io.Copy(&content, r); err != nil {
		return err
	}
	if err := s.exchanger.next(Data); err != nil {
		return err
	}
	s.message.Content, s.message.Time = content.String(), time.Now()
	s.exchanger.mu.Lock()
	defer s.exchanger.mu.Unlock()
	s.exchanger.messages = append(s.exchanger.messages, s.message)
	return nil
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.message = Message{} }

// Logout implements smtp.Session.
func (*session) Logout() error { return nil }
