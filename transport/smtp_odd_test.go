package transport_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/memnet"
	"github.com/panelmail/panelmail/transport"
)

// wordless answers with codes alone.
func wordless(line string) string {
	switch verb, _, _ := strings.Cut(line, " "); verb {
	case "DATA":
		return "354"
	case "QUIT":
		return "close"
	}
	return "250"
}

// TestSMTPAnOddHostGetsItsMail: what is unusual, and clear all the same, does not keep
// mail from its recipient. The code of a reply counts, and not what follows it.
func TestSMTPAnOddHostGetsItsMail(t *testing.T) {
	for name, x := range map[string]*exchanger{
		"a greeting of many lines":             {greeting: "220-mx.test\r\n220-no spam\r\n220 go on"},
		"a status of another class at RCPT":    {answer: on("RCPT", "250 5.1.1 fine")},
		"a status of another class at the dot": {answer: on(".", "250 4.0.0 fine")},
		"no text at all":                       {greeting: "220", answer: wordless},
		"354 in many lines":                    {answer: on("DATA", "354-go\r\n354 on")},
		"lines that end in LF":                 {answer: on("RCPT", "250-one\n250 two")},
		"251 at RCPT":                          {answer: on("RCPT", "251 2.1.5 forwarded")},
		"252 at RCPT":                          {answer: on("RCPT", "252 cannot verify")},
		"EHLO is not known":                    {answer: on("EHLO", "500 5.5.1 what")},
		"EHLO is refused for now":              {answer: on("EHLO", "450 later")},
		"EHLO without an extension":            {answer: on("EHLO", "250 mx.test")},
		"a limit of size that is none":         {offers: []string{"SIZE unlimited", "PIPELINING"}},
		"extensions with bad parameters":       {offers: []string{"PIPELINING yes", "8BITMIME=1", "DSN;", "AUTH=", "SIZE -1", "LIMITS ="}},
		"a keyword twice":                      {offers: []string{"SIZE 1", "SIZE 1000"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.at(t, "192.0.2.1", x)
			for range 2 { // the second over what is kept
				o := l.Deliver(context.Background(), mail("b@x.test"))[0]
				if !o.Delivered() || o.Reply.Code != 250 {
					t.Error(short(o))
				}
			}
			if n := len(x.seen()); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestSMTPNoHELOWhereTLSOrALoginIsRequired: it would bring neither, and the host has
// said what is the matter.
func TestSMTPNoHELOWhereTLSOrALoginIsRequired(t *testing.T) {
	for name, change := range map[string]func(*transport.Plan){
		"TLS":     func(p *transport.Plan) { p.TLS = transport.TLSEncrypt },
		"a login": func(p *transport.Plan) { p.Credential = transport.Credential{User: "u", Password: "p"} },
	} {
		l := newLab(t)
		x := l.at(t, "192.0.2.1", &exchanger{answer: on("EHLO", "554 5.7.1 your address is listed")})
		d := mail("b@x.test")
		change(&d.Plan)
		want := "deferred 451 4.7.1 host mx.x.test[192.0.2.1] refused to talk to me: 554 5.7.1 your address is listed by mx.x.test, destination"
		if diff := cmp.Diff([]string{want}, l.deliver(d)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		l.Close()
		for _, line := range x.seen()[0].Commands {
			if strings.HasPrefix(line, "HELO") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}

// serveOnce serves a connection properly until a message is taken, then does what it is
// told.
func serveOnce(conn net.Conn, then func(conn net.Conn, r *bufio.Reader)) {
	defer conn.Close()
	x := &exchanger{offers: pipelining}
	r := bufio.NewReader(conn)
	reply := "220 mx.test"
	for {
		io.WriteString(conn, reply+"\r\n")
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if reply = x.reply(strings.TrimSpace(line)); line == "DATA\r\n" {
			io.WriteString(conn, reply+"\r\n")
			if _, err := readContent(r); err != nil {
				return
			}
			io.WriteString(conn, "250 2.0.0 taken\r\n")
			then(conn, r)
			return
		}
	}
}

// TestSMTPAHostMayEndAConnectionBetweenMessages without a note of it in the next
// message's report: that goes over another connection at once.
func TestSMTPAHostMayEndAConnectionBetweenMessages(t *testing.T) {
	const bye = "421 4.4.2 mx.test idle too long\r\n"
	for name, then := range map[string]func(net.Conn, *bufio.Reader){
		"421":                        func(conn net.Conn, _ *bufio.Reader) { io.WriteString(conn, bye) },
		"421, and it reads on":       func(conn net.Conn, r *bufio.Reader) { io.WriteString(conn, bye); io.Copy(io.Discard, r) },
		"closed":                     func(net.Conn, *bufio.Reader) {},
		"reset":                      func(conn net.Conn, _ *bufio.Reader) { conn.(*memnet.Conn).Reset() },
		"421 to whatever comes next": func(conn net.Conn, r *bufio.Reader) { r.ReadString('\n'); io.WriteString(conn, bye) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t)
				listener, err := l.net.Listen(netip.MustParseAddrPort("192.0.2.1:25"))
				if err != nil {
					t.Fatal(err)
				}
				visits := 0
				over := make(chan struct{})
				go func() {
					defer close(over)
					for {
						conn, err := listener.Accept()
						if err != nil {
							return
						}
						visits++
						serveOnce(conn, then)
					}
				}()
				for range 3 {
					if diff := cmp.Diff([]string{taken}, l.deliver(mail("b@x.test"))); diff != "" {
						t.Error(diff)
					}
					time.Sleep(time.Second)
				}
				l.Close()
				listener.Close()
				<-over
				if visits != 3 {
					t.Errorf("%d connections", visits)
				}
			})
		})
	}
}
