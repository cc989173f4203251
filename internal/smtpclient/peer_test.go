package smtpclient

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/memnet"
)

// A peer plays a scripted server on one end of a connection in memory.
type peer struct {
	conn    net.Conn
	r       *bufio.Reader
	content strings.Builder // what came between 354 and the dot, dots removed
	done    chan error
}

// play starts a peer. Each line of the script is one of
//
//	S: text    send a line; lines that follow each other go in one write
//	s: text    send text without a line end
//	C: text    expect that line; "C: *" any line
//	content    read content to the dot
//	tls        shake hands
//	drip n     read n octets of content each ten seconds, to the dot
//	rest       read until the client closes, and keep it as content
//	record     read a TLS record
//	drain      read until the client closes; fail if there is nothing but EOF
//	silent     expect that the client closes without another octet
//	wait       let an hour of virtual time pass
//	close, reset
//
// The peer closes after the last line.
func play(t *testing.T, script string) (*peer, net.Conn) {
	t.Helper()
	here, there := memnet.Pipe(
		netip.MustParseAddrPort("192.0.2.1:25"), netip.MustParseAddrPort("192.0.2.2:40000"))
	p := &peer{conn: here, r: bufio.NewReader(here), done: make(chan error, 1)}
	go func() {
		p.done <- p.run(t, strings.Split(strings.TrimSpace(script), "\n"))
		p.conn.Close()
	}()
	return p, there
}

func (p *peer) run(t *testing.T, lines []string) error {
	var out strings.Builder
	flush := func() error {
		if out.Len() == 0 {
			return nil
		}
		_, err := io.WriteString(p.conn, out.String())
		out.Reset()
		return err
	}
	for n, line := range lines {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "":
			continue
		case "S:":
			out.WriteString(rest + "\r\n")
			continue
		case "s:":
			out.WriteString(rest)
			continue
		}
		if err := flush(); err != nil {
			return fmt.Errorf("line %d, write: %w", n+1, err)
		}
		if err := p.step(t, verb, rest); err != nil {
			return fmt.Errorf("line %d, %q: %w", n+1, line, err)
		}
	}
	return flush()
}

func (p *peer) step(t *testing.T, verb, rest string) error {
	switch verb {
	case "C:":
		line, err := p.r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("got %q: %w", line, err)
		}
		if rest != "*" && line != rest+"\r\n" {
			return fmt.Errorf("got %q", line)
		}
	case "content":
		for {
			line, err := p.r.ReadString('\n')
			if err != nil {
				return err
			}
			if line == ".\r\n" {
				return nil
			}
			p.content.WriteString(strings.TrimPrefix(line, "."))
		}
	case "drip":
		var n int
		if _, err := fmt.Sscan(rest, &n); err != nil {
			return err
		}
		for buf := make([]byte, n); ; {
			<-time.After(10 * time.Second)
			for left := buf; len(left) > 0; {
				got, err := p.r.Read(left)
				p.content.Write(left[:got])
				if err != nil || strings.HasSuffix(p.content.String(), "\r\n.\r\n") {
					return err
				}
				left = left[got:]
			}
		}
	case "tls":
		conn := tls.Server(p.conn, serverTLS(t))
		if err := conn.Handshake(); err != nil {
			return err
		}
		p.conn, p.r = conn, bufio.NewReader(conn)
	case "wait":
		<-time.After(time.Hour)
	case "record":
		head := make([]byte, 5)
		if _, err := io.ReadFull(p.r, head); err != nil {
			return err
		}
		_, err := io.CopyN(io.Discard, p.r, int64(head[3])<<8|int64(head[4]))
		return err
	case "rest":
		io.Copy(&p.content, p.r)
	case "drain", "silent":
		n, err := io.Copy(io.Discard, p.r)
		if (verb == "silent") == (n > 0) {
			return fmt.Errorf("the client wrote %d octets, then %v", n, err)
		}
	case "close":
		return p.conn.Close()
	case "reset":
		p.conn.(*memnet.Conn).Reset()
	default:
		panic("no such step: " + verb)
	}
	return nil
}

// end waits for the peer and fails the test if the client kept not to the script.
func (p *peer) end(t *testing.T) {
	t.Helper()
	if err := <-p.done; err != nil {
		t.Errorf("peer: %v", err)
	}
}

// greet opens a session with a scripted peer.
func greet(t *testing.T, script string) (*peer, *Client, error) {
	t.Helper()
	p, conn := play(t, script)
	c, err := Greet(context.Background(), conn, Options{HELO: "us.test"})
	if c != nil {
		t.Cleanup(func() { c.Close() })
	}
	return p, c, err
}

// start opens a session that must succeed.
func start(t *testing.T, script string) (*peer, *Client) {
	t.Helper()
	p, c, err := greet(t, script)
	if err != nil {
		t.Fatalf("Greet: %v", err)
	}
	return p, c
}

const hello = `
	S: 220 mx.test ESMTP
	C: EHLO us.test
	S: 250-mx.test
	S: 250-PIPELINING
	S: 250-SIZE 100000
	S: 250-8BITMIME
	S: 250-SMTPUTF8
	S: 250-DSN
	S: 250 STARTTLS
`

const plainHello = `
	S: 220 mx.test
	C: EHLO us.test
	S: 250 mx.test
`

const text = "Subject: x\r\n\r\nbody\r\n"

func envelope(to ...string) Envelope {
	e := Envelope{From: "a@us.test"}
	for _, r := range to {
		e.To = append(e.To, Recipient{Address: r})
	}
	return e
}

// send sends text on a session.
func send(c *Client, content string, to ...string) (Result, error) {
	return c.Send(context.Background(), envelope(to...), strings.NewReader(content))
}

// step is the step of an [Error].
func step(err error) Step {
	var e *Error
	if errors.As(err, &e) {
		return e.Step
	}
	return ""
}

func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Error(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.test"}, DNSNames: []string{"mx.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Error(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func anyTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true, ServerName: "mx.test"} }
