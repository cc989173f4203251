package mailcore_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/transport"
)

// A tap is a mail host that takes everything and keeps every octet it was sent,
// the commands too. It knows only as much of SMTP as that takes.
type tap struct {
	host string

	mu     sync.Mutex
	octets strings.Builder
	taken  []string // the MAIL commands of messages that ended
}

// listen starts a tap that the server under test can reach by its address.
func listen(t *testing.T, lab *mailtest.Lab) *tap {
	t.Helper()
	l := lab.Listen()
	t.Cleanup(func() { l.Close() })
	host, _, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	x := &tap{host: host}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go x.serve(conn)
		}
	}()
	return x
}

// Write keeps octets from the wire.
func (x *tap) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.octets.Write(p)
}

// serve splits lines at LF alone: what is a line to anybody is one here.
func (x *tap) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(io.TeeReader(conn, x))
	io.WriteString(conn, "220 tap ESMTP\r\n")
	mail, data := "", false
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		word, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		answer := "250 Ok\r\n"
		switch {
		case data && line != ".\r\n":
			continue
		case data:
			data = false
			x.mu.Lock()
			x.taken = append(x.taken, mail)
			x.mu.Unlock()
		case word == "MAIL":
			mail = line
		case word == "EHLO":
			answer = "250-tap\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
		case word == "DATA":
			answer, data = "354 Go on\r\n", true
		case word == "QUIT":
			io.WriteString(conn, "221 Bye\r\n")
			return
		}
		io.WriteString(conn, answer)
	}
}

func (x *tap) messages() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]string(nil), x.taken...)
}

// forbidden is each octet, with its neighbours, that no SMTP client may send.
func (x *tap) forbidden() (bad []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	wire := " " + x.octets.String() + " "
	for i := 1; i < len(wire)-1; i++ {
		c := wire[i]
		if c == 0 || c == '\r' && wire[i+1] != '\n' || c == '\n' && wire[i-1] != '\r' {
			bad = append(bad, wire[max(0, i-8):min(len(wire), i+8)])
		}
	}
	return bad
}

func recipients(addresses ...string) (all []transport.Recipient) {
	for _, a := range addresses {
		all = append(all, transport.Recipient{Address: a})
	}
	return all
}
