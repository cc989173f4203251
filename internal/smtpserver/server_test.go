package smtpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/memnet"
)

// serve runs a server on a network in memory. stop ends it and returns how long
// that took.
func serve(t *testing.T, s *Server) (dial func(from string) *peer, stop func() time.Duration) {
	t.Helper()
	return serveWith(t, func() *Server { return s })
}

// serveWith is serve with a server that can be replaced.
func serveWith(t *testing.T, current func() *Server) (dial func(from string) *peer, stop func() time.Duration) {
	t.Helper()
	n := memnet.New()
	l, err := n.Listen(serverAddr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, current) }()
	dial = func(from string) *peer {
		t.Helper()
		local := netip.MustParseAddr(from)
		n.AddLocal(local)
		c, err := n.Dial(t.Context(), local, serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return newPeer(t, c.(*memnet.Conn))
	}
	return dial, func() time.Duration {
		start := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		return time.Since(start)
	}
}

func TestConnectionsAreLimitedInAllAndPerClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		s.MaxConns, s.MaxConnsPerIP = 6, 2
		s.ExemptNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.128/25")}
		dial, stop := serve(t, s)
		var got []string
		for _, from := range []string{
			"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.200", "192.0.2.200", "192.0.2.200", "192.0.2.2", "192.0.2.3",
		} {
			p := dial(from)
			got = append(got, strings.Join(p.hear(), " "))
		}
		const greeting = "220 mx.local.test ESMTP"
		want := []string{
			greeting, greeting, "421 4.7.0 mx.local.test Error: too many connections from 192.0.2.1 (closed)",
			greeting, greeting, greeting, greeting, "421 4.7.0 mx.local.test Error: too many connections (closed)",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		stop()
		if s.own.all != 0 || len(s.own.clients) != 0 {
			t.Errorf("still counted: %d, %v", s.own.all, s.own.clients)
		}
	})
}

func TestAnIPv6NetworkCountsAsOneClient(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8::1", "2001:db8::2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"192.0.2.1", "192.0.2.2", false},
	} {
		if got := network(netip.MustParseAddr(tt.a)) == network(netip.MustParseAddr(tt.b)); got != tt.same {
			t.Errorf("%s and %s count as one: %v", tt.a, tt.b, got)
		}
	}
}

func TestTheHandlerCanRefuseBeforeTheGreeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, _ := newServer()
		d.greet = fmt.Errorf("listed: %w", replyError{554, [3]int{5, 7, 1}, "Service unavailable; Client host [192.0.2.1] blocked"})
		c, _, _ := connect(t, s)
		want := []string{"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked", "(closed)"}
		if diff := cmp.Diff(want, newPeer(t, c).hear()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestStoppingLetsTransactionsFinish has clients in all stages when the server
// is told to stop.
func TestStoppingLetsTransactionsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, _ := newServer()
		s.TLS = tlsConfig(t)
		s.AuthWithoutTLS = true
		s.Grace = time.Minute
		dial, stop := serve(t, s)
		clients := map[string][]string{
			"idle":          {"EHLO client.test"},
			"logging in":    {"EHLO client.test", "AUTH LOGIN"},
			"shaking hands": {"EHLO client.test", "STARTTLS"},
			"in MAIL":       {"EHLO client.test", "MAIL FROM:<a@remote.test>", "RCPT TO:<u@local.test>"},
			"in DATA":       {"EHLO client.test", "MAIL FROM:<a@remote.test>", "RCPT TO:<u@local.test>", "DATA", "first"},
			"in BDAT":       {"EHLO client.test", "MAIL FROM:<a@remote.test>", "RCPT TO:<u@local.test>", "BDAT 0"},
			"stalled":       {"EHLO client.test", "MAIL FROM:<a@remote.test>", "RCPT TO:<u@local.test>", "DATA", "first"},
		}
		peers := map[string]*peer{}
		for name, lines := range clients {
			peers[name] = dial("192.0.2.1")
			peers[name].say(lines...)
		}
		took := make(chan time.Duration)
		go func() { took <- stop() }()
		synctest.Wait()
		got := map[string][]string{
			"in MAIL": peers["in MAIL"].say("DATA", "."),
			"in DATA": peers["in DATA"].say("second", ".", "MAIL FROM:<b@remote.test>"),
			"in BDAT": peers["in BDAT"].say("BDAT 0 LAST", "NOOP"),
		}
		for _, name := range []string{"idle", "logging in", "shaking hands"} {
			got[name] = peers[name].hear()
		}
		const bye = "421 4.3.2 mx.local.test Service shutting down"
		want := map[string][]string{
			"idle": {bye, "(closed)"}, "logging in": {bye, "(closed)"}, "shaking hands": {"(closed)"},
			"in MAIL": {"354 End data with <CR><LF>.<CR><LF>", "250 2.0.0 Ok: queued as ID1", bye, "(closed)"},
			"in DATA": {"250 2.0.0 Ok: queued as ID2", bye, "(closed)"},
			"in BDAT": {"250 2.0.0 Ok: queued as ID3", bye, "(closed)"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if d := <-took; d != time.Minute {
			t.Errorf("Serve returned after %v; the stalled client has a minute", d)
		}
		if len(d.accepted()) != 3 || d.open != 0 || d.sessions != 0 {
			t.Errorf("%d messages; %d transactions and %d sessions were not ended", len(d.accepted()), d.open, d.sessions)
		}
	})
}

func TestStoppingAnIdleServerTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		dial, stop := serve(t, s)
		p := dial("192.0.2.1")
		go p.hear()
		synctest.Wait()
		if d := stop(); d > lingerTime {
			t.Errorf("took %v", d)
		}
	})
}

// faultyListener fails a few times before it works.
type faultyListener struct {
	net.Listener
	errs []error
}

func (l *faultyListener) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, &net.OpError{Op: "accept", Err: err}
	}
	return l.Listener.Accept()
}

func TestRunningOutOfFileDescriptorsIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, err := n.Listen(serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		s, _, log := newServer()
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		ended := make(chan error)
		go func() {
			ended <- s.Serve(ctx, &faultyListener{l, []error{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED}})
		}()
		c, err := n.Dial(t.Context(), netip.Addr{}, serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		if got := newPeer(t, c.(*memnet.Conn)).hear(); !slices.Equal(got, []string{"220 mx.local.test ESMTP"}) {
			t.Errorf("heard %q", got)
		}
		if d := time.Since(start) - quiet; d != 35*time.Millisecond {
			t.Errorf("the waits were %v in all", d)
		}
		if n := strings.Count(log.String(), "accept failed"); n != 3 {
			t.Errorf("%d lines in the log:\n%s", n, log)
		}
		c.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestABrokenListenerEndsServeAndItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		l, err := n.Listen(serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		s, d, _ := newServer()
		ended := make(chan error)
		go func() { ended <- s.Serve(t.Context(), l) }()
		c, err := n.Dial(t.Context(), netip.Addr{}, serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		newPeer(t, c.(*memnet.Conn)).hear()
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
		if d.sessions != 0 {
			t.Error("a session is left")
		}
		c.Close()
	})
}

func TestServeNamesAllThatIsMissing(t *testing.T) {
	l, err := memnet.New().Listen(serverAddr)
	if err != nil {
		t.Fatal(err)
	}
	err = (&Server{ImplicitTLS: true}).Serve(t.Context(), l)
	for _, want := range []string{"Hostname", "Handler", "TLS"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

// TestContentMustComeAtAMinimumRate has a slow but honest client beside one that
// drips.
func TestContentMustComeAtAMinimumRate(t *testing.T) {
	for _, tt := range []struct {
		name     string
		octets   int // a second
		seconds  int
		accepted bool
	}{
		{"a drip", 1, 1200, false},
		{"below the rate", 400, 1600, false},
		{"above the rate", 600, 4000, true},
		{"50 MB at 64 kB a second", 65536, 763, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, verb := range []string{"DATA", "BDAT 0\r\nBDAT " + strconv.Itoa(tt.octets*tt.seconds+5) + " LAST"} {
				if tt.octets > 10_000 && (verb != "DATA" || testing.Short()) {
					continue // much content, which takes real time
				}
				synctest.Test(t, func(t *testing.T) {
					s, d, _ := newServer()
					s.MaxSize = 64 << 20
					c, served, _ := connect(t, s)
					p := newPeer(t, c)
					p.say("EHLO client.test", "MAIL FROM:<a@remote.test>", "RCPT TO:<u@local.test>", verb)
					line := strings.Repeat("x", tt.octets)
					if tt.octets > 10 {
						line = line[2:] + "\r\n"
					}
					cut := false
					for range tt.seconds {
						if _, err := c.Write([]byte(line)); err != nil {
							cut = true
							break
						}
						time.Sleep(time.Second)
					}
					if !cut {
						p.say("", ".", "QUIT")
						<-served
					}
					if got := len(d.accepted()) == 1; got != tt.accepted || cut == tt.accepted {
						t.Errorf("%.6s: accepted: %v, cut off: %v", verb, got, cut)
					}
				})
			}
		})
	}
}

func TestACommandMustComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		c, served, _ := connect(t, s)
		start := time.Now()
		for writing := true; writing; {
			_, err := c.Write([]byte("N"))
			writing = err == nil
			time.Sleep(time.Second)
		}
		<-served
		if d := time.Since(start); d > s.timeout()+5*time.Second {
			t.Errorf("a command that dripped in took %v", d)
		}
	})
}

func TestASilentHandshakeEndsInTime(t *testing.T) {
	for _, implicit := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, _, _ := newServer()
			s.TLS, s.ImplicitTLS = tlsConfig(t), implicit
			c, served, _ := connect(t, s)
			start := time.Now()
			if !implicit {
				c.Write([]byte("STARTTLS\r\n"))
			}
			<-served
			if d := time.Since(start); d != time.Minute {
				t.Errorf("implicit %v: took %v", implicit, d)
			}
		})
	}
}

func TestAClientThatDoesNotReadIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		s.MaxErrors, s.SoftErrors = 1<<30, 1<<30
		c, served, _ := connect(t, s)
		go func() {
			for {
				if _, err := c.Write([]byte("HELP\r\nWHAT\r\n")); err != nil {
					return
				}
			}
		}()
		start := time.Now()
		<-served
		if d := time.Since(start); d > s.timeout()+lingerTime {
			t.Errorf("took %v", d)
		}
	})
}

func TestImplicitTLSGreetsAfterTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, _ := newServer()
		s.TLS, s.ImplicitTLS = tlsConfig(t), true
		c, _, _ := connect(t, s)
		p := newPeer(t, c)
		p.startTLS()
		got := p.say("EHLO client.test", "AUTH PLAIN AGFsaWNlAHNlY3JldA==", "MAIL FROM:<a@remote.test>", "QUIT")
		if got[0] != "220 mx.local.test ESMTP" || slices.Contains(got, "250-STARTTLS") || !slices.Contains(got, "250-AUTH PLAIN LOGIN") {
			t.Errorf("heard %q", got)
		}
		want := []string{
			`MAIL "a@remote.test" {Size:0 Body: Ret: EnvID: UTF8:false RequireTLS:false Auth:} ESMTPSA`, "ABORT",
		}
		if diff := cmp.Diff(want, d.events); diff != "" {
			t.Error(diff)
		}
	})
}

func TestALongCommandIsRefusedOnceAndDropped(t *testing.T) {
	for _, tt := range []struct {
		name string
		send string
		want []string
	}{
		{"2,000 octets", "NOOP " + strings.Repeat("x", 1993) + "\r\nNOOP\r\n", []string{"250 2.0.0 Ok", "250 2.0.0 Ok"}},
		{"2,001 octets", "NOOP " + strings.Repeat("x", 1994) + "\r\nNOOP\r\n", []string{"500 5.5.2 Error: line too long", "250 2.0.0 Ok"}},
		{"more than the buffer", strings.Repeat("x", 40<<10) + "\r\nNOOP\r\n", []string{"500 5.5.2 Error: line too long", "250 2.0.0 Ok"}},
		{"no end", strings.Repeat("x", 200<<10), []string{"500 5.5.2 Error: line too long", "(closed)"}},
		{"BDAT", "BDAT 6" + strings.Repeat(" ", 3000) + "\r\nQUIT\r\n", []string{"501 5.5.4 Syntax: BDAT count [LAST]", "(closed)"}},
		{"longer BDAT", "BDAT 6" + strings.Repeat(" ", 20000) + "\r\nQUIT\r\n", []string{"501 5.5.4 Syntax: BDAT count [LAST]", "(closed)"}},
		{"long AUTH", "EHLO x\r\nAUTH PLAIN " + strings.Repeat("AAAA", 1000) + "\r\nNOOP\r\n", []string{"535 5.7.8 Error: authentication failed", "250 2.0.0 Ok"}},
		{"longer AUTH", "EHLO x\r\nAUTH PLAIN " + strings.Repeat("AAAA", 4000) + "\r\nNOOP\r\n", []string{"500 5.5.2 Error: line too long", "250 2.0.0 Ok"}},
		{"response", "EHLO x\r\nAUTH PLAIN\r\n" + strings.Repeat("AAAA", 4000) + "\r\nNOOP\r\n", []string{"334 ", "500 5.5.6 Error: authentication response too long", "250 2.0.0 Ok"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _, _ := newServer()
				s.AuthWithoutTLS = true
				c, _, _ := connect(t, s)
				p := newPeer(t, c)
				go p.send(tt.send)
				got := p.hear()
				if n := len(got) - len(tt.want); n < 0 || !slices.Equal(got[n:], tt.want) {
					t.Errorf("heard %q, want %q at the end", got, tt.want)
				}
			})
		})
	}
}

func TestParametersReachTheTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, _ := newServer()
		s.TLS, s.ImplicitTLS, s.OfferRequireTLS = tlsConfig(t), true, true
		c, _, _ := connect(t, s)
		p := newPeer(t, c)
		p.startTLS()
		p.say("EHLO client.test",
			"MAIL FROM:<a@remote.test> SIZE=17 BODY=8bitmime RET=full ENVID=a+2Bb+20c AUTH=b+2Bc@remote.test SMTPUTF8 REQUIRETLS",
			`RCPT TO:<"u"@local.test> NOTIFY=SUCCESS,delay ORCPT=rfc822;a+2Bb@remote.test`,
			`RCPT TO:<"u\ v"@local.test> NOTIFY=NEVER`,
			"RCPT TO:<u@local.test> ORCPT=utf-8;ü@remote.test", "RSET", "QUIT")
		want := []string{
			`MAIL "a@remote.test" {Size:17 Body:8BITMIME Ret:FULL EnvID:a+b c UTF8:true RequireTLS:true Auth:b+c@remote.test} ESMTPS`,
			`RCPT "u@local.test" {Notify:10 ORcpt:rfc822;a+b@remote.test}`,
			`RCPT "\"u v\"@local.test" {Notify:1 ORcpt:}`,
			`RCPT "u@local.test" {Notify:0 ORcpt:utf-8;ü@remote.test}`,
			"ABORT",
		}
		if diff := cmp.Diff(want, d.events); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestTheLogTellsOfRefusalsAndKeepsSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, log := newServer()
		s.AuthWithoutTLS = true
		c, _, _ := connect(t, s)
		newPeer(t, c).say("EHLO client.test", "RCPT TO:<u@local.test>", "AUTH PLAIN AHVua25vd24Ad3Jvbmc=", "AUTH LOGIN",
			"Y2FuYXJ5", "Y2FuYXJ5", "Y2FuYXJ5", "MAIL FROM:<plain@local.test>", "NOOP \x1b[31m", "QUIT")
		text := log.String()
		for _, secret := range []string{"AHVua25vd24Ad3Jvbmc=", "wrong", "Y2FuYXJ5", "canary", "\x1b"} {
			if strings.Contains(strings.ReplaceAll(text, "wrong password", ""), secret) {
				t.Errorf("%q is in the log:\n%s", secret, text)
			}
		}
		if strings.Contains(text, "command=AUTH") {
			t.Errorf("a failed login is logged, which is for the session to do:\n%s", text)
		}
		for _, want := range []string{
			`msg="command refused" client=192.0.2.1 helo=client.test command=RCPT argument=TO:<u@local.test> reply="503 5.5.1 Error: need MAIL command"`,
			`msg="handler failed" client=192.0.2.1 helo=client.test command=MAIL error="secret detail"`,
		} {
			if n := strings.Count(text, want); n == 0 {
				t.Errorf("not in the log: %s\n%s", want, text)
			}
		}
	})
}

func TestAPanicIsLoggedAndEndsOneConnectionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, log := newServer()
		dial, stop := serve(t, s)
		other := dial("192.0.2.2")
		other.hear()
		dial("192.0.2.1").say("EHLO client.test", "MAIL FROM:<crash@local.test>", "RCPT TO:<u@local.test>", "DATA", ".")
		if got := other.say("NOOP"); !slices.Equal(got, []string{"250 2.0.0 Ok"}) {
			t.Errorf("the other connection hears %q", got)
		}
		if !strings.Contains(log.String(), "secret detail") || !strings.Contains(log.String(), "goroutine") {
			t.Errorf("the log does not say where:\n%s", log)
		}
		stop()
		if d.sessions != 0 {
			t.Error("a session is left")
		}
	})
}

func TestAPanicInCloseIsSurvivedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, log := newServer()
		d.angry = true
		c, served, _ := connect(t, s)
		newPeer(t, c).say("QUIT")
		<-served
		if !strings.Contains(log.String(), "secret detail") {
			t.Errorf("log: %s", log)
		}
	})
}

func TestEachFailedLoginIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		s.AuthWithoutTLS, s.ErrorSleep = true, 3*time.Second
		c, served, _ := connect(t, s)
		start := time.Now()
		c.Write([]byte("EHLO x\r\n" + strings.Repeat("AUTH PLAIN AGFsaWNlAHdyb25n\r\n", 9)))
		c.CloseWrite()
		<-served
		if d := time.Since(start); d != 5*3*time.Second {
			t.Errorf("five failures took %v", d)
		}
	})
}

// TestAHandshakeHasItsOwnTime: what is left of the time of the command is none of
// its business.
func TestAHandshakeHasItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		s.TLS = tlsConfig(t)
		c, _, _ := connect(t, s)
		p := newPeer(t, c)
		p.hear()
		time.Sleep(4*time.Minute + 10*time.Second)
		p.say("STARTTLS") // hears for 20 seconds
		time.Sleep(20 * time.Second)
		p.startTLS()
		if got := p.say("EHLO client.test"); len(got) < 2 {
			t.Errorf("heard %q", got)
		}
	})
}

// TestADrainedWireReadsNothingMore is for the moment between a look at whether
// the server stops and the read after it.
func TestADrainedWireReadsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := memnet.Pipe(clientAddr, serverAddr)
		w := newWire(far, time.Minute)
		w.await(0)
		w.drain()
		start := time.Now()
		if _, err := w.r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		near.Close()
		far.Close()
	})
}

func TestErrorsMakeRepliesSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		s.SoftErrors, s.ErrorSleep = 2, 3*time.Second
		c, served, _ := connect(t, s)
		start := time.Now()
		c.Write([]byte("WHAT\r\nWHAT\r\nNOOP\r\nWHAT\r\nNOOP\r\n"))
		c.CloseWrite()
		<-served
		if d := time.Since(start); d != 3*3*time.Second {
			t.Errorf("three replies after two errors took %v", d)
		}
	})
}

func TestTooManyRecipientsAreErrorsInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		s.MaxRecipients, s.MaxErrors, s.ErrorSleep = 1, 5, -1
		c, served, _ := connect(t, s)
		go io.WriteString(c, "EHLO x\r\nMAIL FROM:<>\r\n"+strings.Repeat("RCPT TO:<u@local.test>\r\n", 2000))
		replies, _ := io.ReadAll(c)
		<-served
		if n, want := strings.Count(string(replies), "452 4.5.3 "), overshoot+5; n != want {
			t.Errorf("%d refused before the end, want %d", n, want)
		}
		if !strings.HasSuffix(string(replies), "421 4.7.0 mx.local.test Error: too many errors\r\n") {
			t.Errorf("the end is %q", replies[max(0, len(replies)-60):])
		}
	})
}

func TestTheNameInHELOIsPrintableASCII(t *testing.T) {
	for arg, want := range map[string]string{
		"client.test": "client.test", "[192.0.2.1]": "[192.0.2.1]", "two words": "two", "b\u00e4d": "b?d", "a\tb": "a?b",
	} {
		synctest.Test(t, func(t *testing.T) {
			s, _, log := newServer()
			c, _, _ := connect(t, s)
			newPeer(t, c).say("HELO "+arg, "WHAT", "QUIT")
			if !strings.Contains(log.String(), "helo="+want+" ") {
				t.Errorf("%q, want %q: %s", arg, want, log)
			}
		})
	}
}

func TestLongParametersAreRefused(t *testing.T) {
	c := &Conn{server: &Server{}}
	for _, tt := range []struct {
		param string
		ok    bool
	}{
		{"ENVID=" + strings.Repeat("x", 100), true},
		{"ENVID=" + strings.Repeat("x", 101), false},
		{"ENVID=", false},
	} {
		if _, bad := c.mailParams(tt.param); (bad == nil) != tt.ok {
			t.Errorf("%d octets of %.8s: %v", len(tt.param), tt.param, bad)
		}
	}
	for _, n := range []int{493, 494} {
		param := "ORCPT=rfc822;" + strings.Repeat("x", n)
		if _, bad := rcptParams(param); (bad == nil) != (n == 493) {
			t.Errorf("%d octets of ORCPT: %v", len(param), bad)
		}
	}
}
