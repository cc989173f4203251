package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/internal/memnet"
	"github.com/panelmail/panelmail/transport"
)

// An attack is what a hostile host does in place of a reply.
type attack struct {
	does   func(conn net.Conn)
	proper verdict // whether it is a proper refusal all the same
}

// A verdict says whether the host has said 550, so that the mail may fail.
type verdict int

const (
	never verdict = iota
	perhaps
	certainly
)

// says writes replies and no line end of its own.
func says(text string) attack {
	return attack{does: func(conn net.Conn) { io.WriteString(conn, text) }}
}

// refuses is says for what is a proper refusal of class 5.
func refuses(text string) attack { return attack{says(text).does, certainly} }

// thenCloses says something and closes the connection.
func thenCloses(text string) attack {
	return attack{does: func(conn net.Conn) {
		io.WriteString(conn, text)
		conn.Close()
	}}
}

// floods says the same for as long as the client takes it.
func floods(text string) attack {
	block := strings.Repeat(text, 1+4096/len(text))
	return attack{does: func(conn net.Conn) {
		for {
			if _, err := io.WriteString(conn, block); err != nil {
				return
			}
		}
	}}
}

// drips says the same once a minute, for as long as the client listens.
func drips(text string) attack {
	return attack{does: func(conn net.Conn) {
		for {
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
			time.Sleep(time.Minute)
		}
	}}
}

func reset(conn net.Conn) {
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn()
	}
	conn.(*memnet.Conn).Reset()
}

func attacks() map[string]attack {
	return map[string]attack{
		"HTTP":                         says("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"a TLS alert":                  says("\x15\x03\x01\x00\x02\x02\x46"),
		"a line of 5000 octets":        says("550 " + strings.Repeat("x", 5000) + "\r\n"),
		"code 999":                     says("999 devil\r\n"),
		"code 600":                     says("600 x\r\n"),
		"code 199":                     says("199 x\r\n"),
		"code -20":                     says("-20 x\r\n"),
		"an empty line":                says("\r\n"),
		"two codes":                    says("250-x\r\n550 y\r\n"),
		"two codes, the refusal first": says("550-x\r\n250 y\r\n"),
		"no blank after the code":      says("550no\r\n"),
		"a NUL after the code":         says("550\x00no\r\n"),
		"UTF-16":                       says("5\x005\x000\x00 \x00n\x00o\x00\r\x00\n\x00"),
		"a question":                   says("334 VXNlcm5hbWU6\r\n"),
		"a refusal of 65 KiB":          says(strings.Repeat("550-"+strings.Repeat("x", 1000)+"\r\n", 66) + "550 x\r\n"),
		"lines without end":            floods("250-" + strings.Repeat("x", 70) + "\r\n"),
		"empty lines of a reply":       floods("550-\r\n"),
		"a line without end":           floods("x"),
		"closed":                       thenCloses(""),
		"closed in mid-line":           thenCloses("550 5.1"),
		"closed in mid-reply":          thenCloses("550-5.1.1 no\r\n"),
		"reset":                        {does: reset},
		"silence":                      {does: func(net.Conn) {}},
		"an octet a minute":            drips("5"),
		"a line a minute":              drips("550-x\r\n"),
		"421 in many lines":            says(strings.Repeat("421-4.3.2 busy\r\n", 1000) + "421 4.3.2 busy\r\n"),
		"450 with a status of class 5": says("450 5.1.1 no\r\n"),
		"550 with a status of class 2": refuses("550 2.0.0 no\r\n"),
		"550 without a text":           refuses("550\r\n"),
		"550 in a hundred lines":       refuses(strings.Repeat("550-5.7.1 "+strings.Repeat("x", 500)+"\r\n", 100) + "550 5.7.1 no\r\n"),
		"550 with terminal sequences":  refuses("550 5.7.1 \x1b[2J\x00\xff no\r\n"),
		"550 with the final dot in it": refuses("550-.\r\n550 .\r\n"),
		"550 three times":              {says("550 no\r\n550 no\r\n550 no\r\n").does, perhaps},
	}
}

// A stage is where a host turns hostile.
type stage struct {
	verb   string // the command that is answered by the attack; empty: none is waited for
	wait   time.Duration
	tls    transport.TLSLevel
	before string // said before the attack
}

// stages have the times of RFC 5321 section 4.5.3.2.
var stages = map[string]stage{
	"greeting":  {"", 5 * time.Minute, transport.TLSNone, ""},
	"EHLO":      {"EHLO", 5 * time.Minute, transport.TLSNone, ""},
	"STARTTLS":  {"STARTTLS", 5 * time.Minute, transport.TLSEncrypt, ""},
	"handshake": {"STARTTLS", 5 * time.Minute, transport.TLSEncrypt, "220 go\r\n"},
	"AUTH":      {"AUTH", 5 * time.Minute, transport.TLSEncrypt, ""},
	"MAIL":      {"MAIL", 5 * time.Minute, transport.TLSNone, ""},
	"RCPT":      {"RCPT", 5 * time.Minute, transport.TLSNone, ""},
	"DATA":      {"DATA", 2 * time.Minute, transport.TLSNone, ""},
	"dot":       {".", 10 * time.Minute, transport.TLSNone, ""},
}

// turn serves one client properly but for one stage.
func (a attack) turn(listener net.Listener, at stage, offers string, secure *tls.Config) {
	conn, err := listener.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	x := &exchanger{offers: strings.Split(offers+"\nAUTH PLAIN", "\n")}
	r := bufio.NewReader(conn)
	verb, reply := "", "220 x"
	for {
		if verb == at.verb || verb == "HELO" && at.verb == "EHLO" {
			io.WriteString(conn, at.before)
			a.does(conn)
		} else if _, err := io.WriteString(conn, reply+"\r\n"); err != nil {
			return
		}
		if verb == "STARTTLS" && verb != at.verb {
			conn = tls.Server(conn, secure)
			r.Reset(conn)
		}
		if verb == "DATA" && verb != at.verb {
			if _, err := readContent(r); err != nil {
				return
			}
			verb, reply = ".", x.reply(".")
			continue
		}
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ = strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
		reply = x.reply(strings.TrimSuffix(line, "\r\n"))
	}
}

// allocated is how many octets are allocated while f runs, whether they are given back
// or not: no less than it holds at any time.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

const mostMemory = 1 << 20 // of one connection

// TestSMTPAHostileHostCanDoNoMoreThanRefuse has hosts turn hostile at each stage of a
// session: the mail waits, or the host has said in so many words that it never takes
// it; no worker waits for longer than it should, and no memory is filled.
func TestSMTPAHostileHostCanDoNoMoreThanRefuse(t *testing.T) {
	secure := serverTLS(t)
	warm := newLab(t) // what crypto/tls does once is none of a host's
	warm.at(t, "192.0.2.1", &exchanger{offers: []string{"STARTTLS"}, tls: secure})
	warm.deliver(mail("b@x.test"))
	for name, a := range attacks() {
		for where, at := range stages {
			for _, offers := range []string{"STARTTLS", "STARTTLS\nPIPELINING"} {
				t.Run(fmt.Sprintf("%s at %s, %q", name, where, offers), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { a.try(t, at, offers, secure) })
				})
			}
		}
	}
}

func (a attack) try(t *testing.T, at stage, offers string, secure *tls.Config) {
	l := newLab(t)
	listener, err := l.net.Listen(netip.MustParseAddrPort("192.0.2.1:25"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	over := make(chan struct{})
	go func() {
		defer close(over)
		a.turn(listener, at, offers, secure)
	}()
	d := mail("b@x.test")
	d.Plan.TLS = at.tls
	if at.verb == "AUTH" {
		d.Plan.Credential = transport.Credential{User: "us", Password: "canary"}
	}
	var (
		o     transport.Outcome
		begun = time.Now()
	)
	memory := allocated(func() { o = l.Deliver(context.Background(), d)[0] })
	took := time.Since(begun)
	l.Close()
	<-over
	proper := a.proper
	switch at.verb {
	case "", "EHLO", "AUTH": // where another host, or another hour, may be better
		proper = never
	case "STARTTLS":
		proper = min(proper, perhaps)
		if at.before != "" {
			proper = never
		}
	}
	failed := o.Failed() && o.Reply.Code == 550
	if !(failed && proper != never || o.Deferred() && proper != certainly) {
		t.Errorf("outcome: %s", short(o))
	}
	if took > at.wait+10*time.Second {
		t.Errorf("the worker was held for %v", took)
	}
	if memory > mostMemory {
		t.Errorf("%d octets were allocated", memory)
	}
	if strings.ContainsAny(o.Reply.Text, "\x00\x1b\r") || len(o.Reply.Text) > 8<<10 || len(o.Transcript) > 4<<10 {
		t.Errorf("%d octets of text, %d of transcript: %q", len(o.Reply.Text), len(o.Transcript), o.Reply.Text)
	}
}

// TestAClientThatReadsWhateverComesIsSeenToFillMemory is the counterproof: the measure
// above finds a client that has no limit.
func TestAClientThatReadsWhateverComesIsSeenToFillMemory(t *testing.T) {
	here, there := memnet.Pipe(netip.AddrPort{}, netip.AddrPort{})
	defer here.Close()
	go floods("250-" + strings.Repeat("x", 70) + "\r\n").does(here)
	memory := allocated(func() {
		r := textproto.NewReader(bufio.NewReader(io.LimitReader(there, 4*mostMemory)))
		r.ReadResponse(250)
	})
	there.Close()
	if memory <= mostMemory {
		t.Errorf("%d octets were allocated", memory)
	}
}

// TestSMTPLittleIsKeptOfWhatAHostSays: replies within their limit add up, with a
// recipient for each.
func TestSMTPLittleIsKeptOfWhatAHostSays(t *testing.T) {
	long := strings.Repeat("550-5.7.1 "+strings.Repeat("x", 500)+"\r\n", 120) + "550 5.7.1 no"
	extensions := make([]string, 5000)
	for i := range extensions {
		extensions[i] = fmt.Sprint("X", i)
	}
	for name, x := range map[string]*exchanger{
		"60 KiB for each of 50 recipients": {answer: on("RCPT", long)},
		"5000 extensions":                  {offers: extensions},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.at(t, "192.0.2.1", x)
			var to []string
			for i := range 50 {
				to = append(to, fmt.Sprintf("r%d@x.test", i))
			}
			before := inUse()
			report := l.Deliver(context.Background(), mail(to...))
			if kept := inUse() - before; kept > mostMemory {
				t.Errorf("%d octets are kept", kept)
			}
			runtime.KeepAlive(report)
		})
	}
}

// inUse is how many octets of memory are in use.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
