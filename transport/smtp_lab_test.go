package transport_test

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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/memnet"
	"github.com/panelmail/panelmail/transport"
)

// zone is a [transport.Resolver] that remembers what it was asked.
type zone struct {
	mx    map[string][]transport.MX
	addrs map[string][]string
	err   map[string]error // by name; for MX look-ups by "MX name"

	mu    sync.Mutex
	asked []string
}

func noSuchHost(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func servfail(name string) error {
	return &net.DNSError{Err: "server failure", Name: name, IsTemporary: true}
}

func (z *zone) MX(_ context.Context, domain string) ([]transport.MX, error) {
	z.ask("MX " + domain)
	if err := z.err["MX "+domain]; err != nil {
		return nil, err
	}
	if mx := z.mx[domain]; mx != nil {
		return append([]transport.MX(nil), mx...), nil
	}
	return nil, noSuchHost(domain)
}

func (z *zone) Addrs(_ context.Context, host string) ([]netip.Addr, error) {
	z.ask("A " + host)
	if err := z.err[host]; err != nil {
		return nil, err
	}
	var all []netip.Addr
	for _, a := range z.addrs[host] {
		all = append(all, netip.MustParseAddr(a))
	}
	if all == nil {
		return nil, noSuchHost(host)
	}
	return all, nil
}

func (z *zone) ask(what string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked = append(z.asked, what)
}

// A visit is what one connection to an exchanger brought.
type visit struct {
	From     netip.Addr
	TLS      bool
	Commands []string
	Contents []string
}

// An exchanger is a server that answers as it is told and remembers. Its answers are
// written after each command, whether the client waits for them or not.
type exchanger struct {
	greeting string   // "220 mx.test" if empty
	offers   []string // keywords of EHLO
	tls      *tls.Config
	implicit bool // TLS before the greeting
	garbled  bool // STARTTLS is answered 220 and followed by no TLS
	closes   bool // after the reply to content
	each     bool // the reply to content is given for each recipient, as in LMTP

	// answer gives the reply to a command, or to content if the line is ".".
	// "" is a usual one; "close" closes; "hang" says nothing.
	answer func(line string) string

	mu     sync.Mutex
	visits []*visit
}

func (x *exchanger) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go x.session(conn)
	}
}

func (x *exchanger) session(conn net.Conn) {
	defer conn.Close()
	v := new(visit)
	if peer, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		v.From = peer.AddrPort().Addr()
	}
	x.mu.Lock()
	x.visits = append(x.visits, v)
	x.mu.Unlock()
	if x.implicit {
		conn = tls.Server(conn, x.tls)
		x.note(func() { v.TLS = true })
	}
	r := bufio.NewReader(conn)
	reply := x.greeting
	if reply == "" {
		reply = "220 mx.test ESMTP"
	}
	for {
		if reply != "" {
			if _, err := io.WriteString(conn, reply+"\r\n"); err != nil {
				return
			}
		}
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		x.note(func() { v.Commands = append(v.Commands, line) })
		reply = x.reply(line)
		switch {
		case reply == "close":
			return
		case reply == "hang":
			reply = ""
		case line == "STARTTLS" && strings.HasPrefix(reply, "220"):
			io.WriteString(conn, reply+"\r\n")
			if x.garbled {
				r.Peek(1) // the ClientHello
				io.WriteString(conn, "this is no TLS at all\r\n")
				return
			}
			conn = tls.Server(conn, x.tls)
			r.Reset(conn)
			x.note(func() { v.TLS = true })
			reply = ""
		case line == "DATA" && strings.HasPrefix(reply, "354"):
			io.WriteString(conn, reply+"\r\n")
			content, err := readContent(r)
			if err != nil {
				return
			}
			x.note(func() { v.Contents = append(v.Contents, content) })
			if reply = x.reply("."); x.each {
				n := strings.Count(strings.Join(v.Commands, "\n"), "RCPT") // of the only message here
				reply = strings.TrimSuffix(strings.Repeat(reply+"\r\n", n), "\r\n")
			}
			switch reply {
			case "close":
				return
			case "hang":
				reply = ""
			}
			if x.closes {
				io.WriteString(conn, reply+"\r\n")
				return
			}
		}
	}
}

func readContent(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return b.String(), err
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

// seen returns the visits so far.
func (x *exchanger) seen() []visit {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []visit
	for _, v := range x.visits {
		c := *v
		c.Commands, c.Contents = slices.Clone(v.Commands), slices.Clone(v.Contents)
		all = append(all, c)
	}
	return all
}

func (x *exchanger) note(f func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f()
}

func (x *exchanger) reply(line string) string {
	if x.answer != nil {
		if r := x.answer(line); r != "" {
			return r
		}
	}
	switch verb, _, _ := strings.Cut(line, " "); verb {
	case "EHLO":
		r := ""
		for _, o := range x.offers {
			r += "250-" + o + "\r\n"
		}
		return "250-mx.test\r\n" + r + "250 HELP"
	case "DATA":
		return "354 go"
	case "STARTTLS":
		if x.tls == nil && !x.garbled && !slices.ContainsFunc(x.offers, func(o string) bool { return strings.EqualFold(o, verb) }) {
			return "502 5.5.1 what?"
		}
		return "220 go"
	case "AUTH":
		return "235 welcome"
	case ".":
		return "250 2.0.0 taken"
	}
	return "250 ok"
}

// lab is a network with names and exchangers, and an SMTP in it.
type lab struct {
	*transport.SMTP
	net  *memnet.Network
	zone *zone
}

// newLab makes a lab in which x.test has the exchanger mx.x.test at 192.0.2.1.
func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{net: memnet.New(), zone: &zone{
		mx:    map[string][]transport.MX{"x.test": {{Preference: 10, Host: "mx.x.test."}}},
		addrs: map[string][]string{"mx.x.test": {"192.0.2.1"}},
		err:   map[string]error{},
	}}
	l.SMTP = &transport.SMTP{Hostname: "us.test", Network: l.net, Resolver: l.zone}
	t.Cleanup(func() { l.Close() })
	return l
}

// at starts an exchanger at an address, on port 25 unless it says otherwise.
func (l *lab) at(t *testing.T, addr string, x *exchanger) *exchanger {
	t.Helper()
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		at = netip.AddrPortFrom(netip.MustParseAddr(addr), 25)
	}
	listener, err := l.net.Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	go x.serve(listener)
	t.Cleanup(func() { listener.Close() })
	return x
}

const message = "Subject: x\r\n\r\n.body\r\n"

// mail is a delivery of message by a plan for x.test.
func mail(recipients ...string) *transport.Delivery {
	d := delivery(recipients...)
	d.Size = int64(len(message))
	d.Open = contentIs(message)
	d.Plan = transport.Plan{Transport: "smtp", Nexthop: "x.test", TLS: transport.TLSMay}
	return d
}

func contentIs(s string) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

// deliver delivers and returns what became of the recipients, in short.
func (l *lab) deliver(d *transport.Delivery) []string {
	var all []string
	for _, o := range l.Deliver(context.Background(), d) {
		all = append(all, short(o))
	}
	return all
}

// short is an outcome as a text: its class, reply and flags.
func short(o transport.Outcome) string {
	class := "none"
	switch {
	case o.Delivered():
		class = "delivered"
	case o.Failed():
		class = "failed"
	case o.Deferred():
		class = "deferred"
	}
	s := fmt.Sprintf("%s %s", class, o.Reply.Error())
	if o.Host != "" {
		s += " by " + o.Host
	}
	for _, f := range []struct {
		set  bool
		name string
	}{{o.Uncertain, "uncertain"}, {o.Local, "local"}, {o.Destination, "destination"}} {
		if f.set {
			s += ", " + f.name
		}
	}
	return s
}

var certificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.test"}, DNSNames: []string{"mx.test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<37, 0),
	}
	der, err2 := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, errors.Join(err, err2)
})

func serverTLS(t *testing.T) *tls.Config {
	t.Helper()
	c, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{c}}
}
