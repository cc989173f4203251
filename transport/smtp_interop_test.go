package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/panelmail/panelmail/transport"
)

// A post is the backend of a go-smtp server: code that is not ours at the other end.
type post struct {
	mu       sync.Mutex
	received []letter
}

type letter struct {
	From    string
	To      []string
	Content string
}

func (p *post) NewSession(c *gosmtp.Conn) (gosmtp.Session, error) {
	return &postSession{post: p, conn: c}, nil
}

type postSession struct {
	post *post
	conn *gosmtp.Conn
	now  letter
	user string
}

func (s *postSession) Reset()        { s.now = letter{} }
func (s *postSession) Logout() error { return nil }

func (s *postSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *postSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		if pass != password {
			return &gosmtp.SMTPError{Code: 535, EnhancedCode: gosmtp.EnhancedCode{5, 7, 8}, Message: "wrong"}
		}
		s.user = user
		return nil
	}), nil
}

func (s *postSession) Mail(from string, _ *gosmtp.MailOptions) error {
	s.now.From = from
	return nil
}

func (s *postSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if strings.HasPrefix(to, "no@") {
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	s.now.To = append(s.now.To, to)
	return nil
}

func (s *postSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.now.Content = string(b)
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	s.post.received = append(s.post.received, s.now)
	return nil
}

// goSMTP starts a go-smtp server on a listener.
func goSMTP(t *testing.T, l net.Listener, useTLS bool) *post {
	t.Helper()
	p := &post{}
	s := gosmtp.NewServer(p)
	s.Domain = "mx.test"
	s.ErrorLog = quiet{}
	if useTLS {
		s.TLSConfig = serverTLS(t)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(l); err != nil && !errors.Is(err, gosmtp.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return p
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func TestSMTPAgreesWithGoSMTP(t *testing.T) {
	for name, useTLS := range map[string]bool{"in clear": false, "over TLS": true} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			listener, err := l.net.Listen(netip.MustParseAddrPort("192.0.2.1:25"))
			if err != nil {
				t.Fatal(err)
			}
			p := goSMTP(t, listener, useTLS)
			big := "Subject: big\r\n\r\n" + strings.Repeat(".0123456789\r\n..\r\n", 50_000)
			var want []letter
			for _, content := range []string{message, big, message} {
				d := mail("b@x.test", "no@x.test", "c@x.test")
				d.Size, d.Open = int64(len(content)), contentIs(content)
				if useTLS {
					d.Plan.TLS = transport.TLSEncrypt
					d.Plan.Credential = transport.Credential{User: "u", Password: password}
				}
				report := l.Deliver(context.Background(), d)
				var codes []int
				for _, o := range report {
					codes = append(codes, o.Reply.Code)
				}
				if diff := cmp.Diff([]int{250, 550, 250}, codes); diff != "" {
					t.Errorf("%s\n%s", diff, report[0].Transcript)
				}
				want = append(want, letter{From: "s@site.test", To: []string{"b@x.test", "c@x.test"}, Content: content})
			}
			if diff := cmp.Diff(want, p.received); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSMTPOverRealSockets(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p := goSMTP(t, listener, true)
		s := &transport.SMTP{Hostname: "us.test"}
		defer s.Close()
		d := mail("b@x.test")
		d.Plan.Nexthop = "[127.0.0.1]:" + listener.Addr().String()[len("127.0.0.1:"):]
		d.Plan.Source.IPv4 = netip.MustParseAddr("127.0.0.7")
		for range 2 {
			if o := s.Deliver(context.Background(), d)[0]; !o.Delivered() {
				t.Errorf("%s\n%s", short(o), o.Transcript)
			}
		}
		if len(p.received) != 2 {
			t.Errorf("%d received", len(p.received))
		}
		d.Plan.Source.IPv4 = netip.MustParseAddr("192.0.2.77")
		want := "deferred 451 4.4.0 source address 192.0.2.77 is not on this machine, local"
		if got := short(s.Deliver(context.Background(), d)[0]); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestSMTPHearsARefusalInMidContentOverRealSockets(t *testing.T) {
	for name, linger := range map[string]int{"and a close": -1, "and a reset": 0} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				io.WriteString(conn, "220 x\r\n")
				b := make([]byte, 1<<20)
				conn.Read(b)
				io.WriteString(conn, "250-x\r\n250 PIPELINING\r\n")
				conn.Read(b)
				io.WriteString(conn, "250 ok\r\n250 ok\r\n354 go\r\n")
				conn.Read(b)
				io.WriteString(conn, "552 5.3.4 too much of it\r\n")
				conn.(*net.TCPConn).SetLinger(linger)
				conn.Close()
			}()
			s := &transport.SMTP{Hostname: "us.test"}
			defer s.Close()
			d := mail("b@x.test")
			content := strings.Repeat("0123456789abcde\r\n", 1<<20)
			d.Size, d.Open = int64(len(content)), contentIs(content)
			d.Plan.Nexthop = "[127.0.0.1]:" + listener.Addr().String()[len("127.0.0.1:"):]
			want := "failed 552 5.3.4 too much of it by 127.0.0.1"
			if got := short(s.Deliver(context.Background(), d)[0]); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}
