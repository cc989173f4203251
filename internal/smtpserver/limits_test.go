package smtpserver

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rateCases has each rate: how it is limited, and how an event happens on a new
// connection and is answered.
var rateCases = []struct {
	name    string
	limit   func(s *Server, n int)
	event   func(p *peer) string
	passes  string
	refuses string
}{
	{
		"connections", func(s *Server, n int) { s.ConnRate = n },
		func(p *peer) string { return p.hear()[0] },
		"220 mx.local.test ESMTP", "421 4.7.0 mx.local.test Error: too many connections from 192.0.2.1",
	},
	{
		"messages", func(s *Server, n int) { s.MailRate = n },
		func(p *peer) string { return last(p.say("EHLO c.test", "MAIL FROM:<>")) },
		"250 2.1.0 Ok", "450 4.7.1 Error: too much mail from 192.0.2.1",
	},
	{
		"recipients", func(s *Server, n int) { s.RcptRate = n },
		func(p *peer) string { return last(p.say("EHLO c.test", "MAIL FROM:<>", "RCPT TO:<u@local.test>")) },
		"250 2.1.5 Ok", "450 4.7.1 Error: too many recipients from 192.0.2.1",
	},
	{
		"logins", func(s *Server, n int) { s.AuthRate = n },
		func(p *peer) string { return last(p.say("EHLO c.test", "AUTH PLAIN AGFsaWNlAHNlY3JldA==")) },
		"235 2.7.0 Authentication successful", "450 4.7.1 Error: too many AUTH commands from 192.0.2.1",
	},
	{
		"handshakes", func(s *Server, n int) { s.TLSRate = n },
		func(p *peer) string {
			if answer := last(p.say("EHLO c.test", "STARTTLS")); answer != "220 2.0.0 Ready to start TLS" {
				return answer
			}
			p.startTLS()
			return p.say("NOOP")[0]
		},
		"250 2.0.0 Ok", "421 4.7.0 mx.local.test Error: too many new TLS sessions from 192.0.2.1",
	},
}

func last(lines []string) string { return lines[len(lines)-1] }

// rated starts a server that has one of the limits.
func rated(t *testing.T, i, n int, more func(*Server)) (try func(from string) string) {
	t.Helper()
	s, _, _ := newServer()
	s.AuthWithoutTLS, s.TLS = true, tlsConfig(t)
	rateCases[i].limit(s, n)
	if more != nil {
		more(s)
	}
	dial, _ := serve(t, s)
	return func(from string) string { // events a tenth of a second apart
		t.Helper()
		p := dial(from)
		defer p.raw.Close()
		p.patience = 100 * time.Millisecond
		return rateCases[i].event(p)
	}
}

func TestARateOfNPassesNEventsAndRefusesTheNext(t *testing.T) {
	for i, tt := range rateCases {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 3
				try := rated(t, i, n, nil)
				for range n {
					if got := try("192.0.2.1"); got != tt.passes {
						t.Errorf("within the limit: %q", got)
					}
				}
				if got := try("192.0.2.1"); got != tt.refuses {
					t.Errorf("beyond the limit: %q, want %q", got, tt.refuses)
				}
				if got := try("192.0.2.2"); got != tt.passes {
					t.Errorf("another client: %q", got)
				}
			})
		})
	}
}

func TestAWindowBeginsWithTheFirstEventAndIsOverAfterAMinute(t *testing.T) {
	for i, tt := range rateCases {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				try := rated(t, i, 1, nil)
				time.Sleep(30 * time.Second)
				try("192.0.2.1")
				time.Sleep(50 * time.Second)
				if got := try("192.0.2.1"); got == tt.passes {
					t.Error("the window was over before a minute")
				}
				time.Sleep(10 * time.Second) // a minute after the first, and not after what was refused
				if got := try("192.0.2.1"); got != tt.passes {
					t.Errorf("after a minute: %q", got)
				}
			})
		})
	}
}

func TestExemptNetworksHaveNoRates(t *testing.T) {
	for i, tt := range rateCases {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				try := rated(t, i, 1, func(s *Server) { s.ExemptNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
				for range 3 {
					if got := try("192.0.2.1"); got != tt.passes {
						t.Errorf("heard %q", got)
					}
				}
			})
		})
	}
}

// TestWhatIsRefusedCountsAsWell: without that, STARTTLS would be offered to a client
// whose last handshake was refused.
func TestWhatIsRefusedCountsAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		s.TLS, s.TLSRate = tlsConfig(t), 1
		dial, _ := serve(t, s)
		var got []string
		for range 3 {
			p := dial("192.0.2.1")
			p.patience = 100 * time.Millisecond
			answer := last(p.say("EHLO c.test", "STARTTLS"))
			if strings.HasPrefix(answer, "220 ") {
				p.startTLS()
				answer = p.say("NOOP")[0]
			}
			got = append(got, answer)
		}
		want := []string{
			"250 2.0.0 Ok",
			"421 4.7.0 mx.local.test Error: too many new TLS sessions from 192.0.2.1",
			"454 4.7.0 Error: too many new TLS sessions from 192.0.2.1",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestImplicitTLSIsRefusedInsideTLSAndThenWithoutIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, log := newServer()
		s.TLS, s.ImplicitTLS, s.TLSRate = tlsConfig(t), true, 1
		dial, _ := serve(t, s)
		for _, want := range []string{
			"220 mx.local.test ESMTP", "421 4.7.0 mx.local.test Error: too many new TLS sessions from 192.0.2.1",
		} {
			p := dial("192.0.2.1")
			p.startTLS()
			if got := p.hear()[0]; got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
		}
		c := tls.Client(dial("192.0.2.1").raw, &tls.Config{InsecureSkipVerify: true})
		if err := c.Handshake(); err == nil {
			t.Error("a third handshake")
		}
		if !strings.Contains(log.String(), `msg="connection refused"`) {
			t.Errorf("log: %s", log)
		}
	})
}

func TestAResumedSessionIsNoNewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		s.TLS, s.TLSRate = tlsConfig(t), 1
		dial, _ := serve(t, s)
		cache := tls.NewLRUClientSessionCache(1)
		for i := range 3 {
			p := dial("192.0.2.1")
			p.say("EHLO c.test", "STARTTLS")
			p.raw.SetDeadline(time.Time{})
			c := tls.Client(p.raw, &tls.Config{InsecureSkipVerify: true, ServerName: "mx.local.test", ClientSessionCache: cache})
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			if c.ConnectionState().DidResume != (i > 0) {
				t.Errorf("handshake %d resumed: %v", i, i == 0)
			}
			p.conn = c
			p.r.Reset(c)
			if got := p.say("NOOP"); got[0] != "250 2.0.0 Ok" {
				t.Errorf("handshake %d: %q", i, got)
			}
		}
	})
}

func TestServersThatShareClientsShareTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients := &Clients{}
		var got []string
		for range 2 {
			s, _, _ := newServer()
			s.Clients, s.MailRate = clients, 1
			dial, _ := serve(t, s)
			got = append(got, last(dial("192.0.2.1").say("EHLO c.test", "MAIL FROM:<>")))
		}
		want := []string{"250 2.1.0 Ok", "450 4.7.1 Error: too much mail from 192.0.2.1"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAnotherServerTakesOverWithTheNextConnection changes settings under way.
func TestAnotherServerTakesOverWithTheNextConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, _, _ := newServer()
		old.Clients = &Clients{}
		next := &Server{Hostname: "new.local.test", Handler: old.Handler, Clients: old.Clients, MaxErrors: 1, Log: old.Log}
		now := old
		dial, stop := serveWith(t, func() *Server { return now })
		first := dial("192.0.2.1")
		first.say("EHLO c.test", "MAIL FROM:<>")
		now = next
		if got := dial("192.0.2.1").say("WHAT"); got[0] != "220 new.local.test ESMTP" || last(got) != "(closed)" {
			t.Errorf("a new connection hears %q", got)
		}
		if got := first.say("WHAT", "RSET"); last(got) != "250 2.0.0 Ok" {
			t.Errorf("an old connection hears %q", got)
		}
		stop()
		if k := old.Clients; k.all != 0 || len(k.clients) != 0 {
			t.Errorf("still counted: %d, %v", k.all, k.clients)
		}
	})
}

func TestWindowsTakeBoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, k := &Server{MailRate: 1}, &Clients{}
		s.Clients = k
		for i := range maxWindows + 10 {
			s.allows(mailing, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		}
		if len(k.clients) != maxWindows || k.windows.Len() != maxWindows {
			t.Errorf("%d clients, %d windows", len(k.clients), k.windows.Len())
		}
		time.Sleep(time.Minute)
		s.allows(mailing, netip.MustParseAddr("192.0.2.1"))
		if len(k.clients) != 1 || k.windows.Len() != 1 {
			t.Errorf("after a minute: %d clients, %d windows", len(k.clients), k.windows.Len())
		}
	})
}

// TestAnEmptyWindowIsNotKept: looking costs no memory.
func TestAnEmptyWindowIsNotKept(t *testing.T) {
	s := &Server{TLSRate: 1}
	if !s.allowsN(encrypting, netip.MustParseAddr("192.0.2.1"), 0) || len(s.own.clients) != 0 {
		t.Errorf("kept: %v", s.own.clients)
	}
}

// TestAFewGreedyClientsDoNotLockOutTheOthers: 20 addresses hold all they may, and
// that is as much as the server has.
func TestAFewGreedyClientsDoNotLockOutTheOthers(t *testing.T) {
	s, k := &Server{}, &Clients{} // as it is without settings
	ip := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, byte(i >> 8), byte(i)}) }
	entered, calm := 0, 0
	for i := range 20 {
		for range 60 {
			hurry, refusal := k.enter(s, ip(2+i))
			if refusal == "" {
				entered++
				if !hurry {
					calm++
				}
			}
		}
	}
	if entered != 910 || calm != 900 { // 18 have 50, and the last two 5 each
		t.Errorf("%d got in, %d of them in calm", entered, calm)
	}
	var got []string
	for i := range 92 {
		hurry, refusal := k.enter(s, ip(512+i))
		if text := fmt.Sprint(hurry, refusal); i == 0 || text != got[len(got)-1] {
			got = append(got, text)
		}
	}
	if diff := cmp.Diff([]string{"true", "falseError: too many connections"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAServerThatIsAlmostFullIsInAHurry(t *testing.T) {
	for _, tt := range []struct {
		name string
		with func(*Server)
		errs int
		wait time.Duration
	}{
		{"without settings", func(*Server) {}, 1, 10 * time.Second},
		{"less patience anyway", func(s *Server) { s.Timeout = time.Second; s.MaxErrors = 3 }, 1, time.Second},
		{"an exempt client", func(s *Server) { s.ExemptNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }, 20, 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _, _ := newServer()
				s.MaxConns, s.ErrorSleep = 10, -1
				tt.with(s)
				dial, _ := serve(t, s)
				for range 9 {
					dial("192.0.2.1")
				}
				synctest.Wait()
				p := dial("192.0.2.2")
				got := p.say(strings.Split(strings.Repeat("WHAT ", 25), " ")...)
				if n := strings.Count(strings.Join(got, "\n"), "500 5.5.2"); n != tt.errs || last(got) != "(closed)" {
					t.Errorf("after %d errors: %q", n, got)
				}
				p.raw.Close()
				synctest.Wait()
				p = dial("192.0.2.3")
				start := time.Now()
				for {
					if _, err := p.r.ReadString('\n'); err != nil {
						break
					}
				}
				if took := time.Since(start); took < tt.wait || took > tt.wait+lingerTime {
					t.Errorf("an idle client was left after %v", took)
				}
			})
		})
	}
}

// TestCommandsThatDoNothingAreErrorsAfterAHundred has each of them. The first HELO does
// something.
func TestCommandsThatDoNothingAreErrorsAfterAHundred(t *testing.T) {
	for _, tt := range []struct {
		command string
		max     int // MaxJunk
		served  int
	}{
		{"NOOP", 0, 101}, {"RSET", 0, 101}, {"HELO c.test", 0, 102}, {"HELP", 0, 101}, {"NOOP", 5, 6},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, _, _ := newServer()
			s.MaxErrors, s.MaxJunk = 1, tt.max
			c, _, _ := connect(t, s)
			got := newPeer(t, c).say(strings.Split(strings.Repeat(tt.command+"\n", 110), "\n")...)
			// The greeting before, 421 and the end after.
			if n := len(got) - 3; n != tt.served || !strings.HasSuffix(got[n+1], "Error: too many errors") {
				t.Errorf("%s: %d were served, then %q", tt.command, n, got[n+1:])
			}
		})
	}
	// VRFY is refused, so it is an error from the first on, and two after a hundred.
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		s.MaxErrors, s.SoftErrors = 104, 1000
		c, _, _ := connect(t, s)
		got := newPeer(t, c).say(strings.Split(strings.Repeat("VRFY u\n", 110), "\n")...)
		if n := len(got) - 3; n != 102 {
			t.Errorf("VRFY: %d were answered", n)
		}
	})
}

func TestErrorLimitsHoldAtTheirNumber(t *testing.T) {
	for _, n := range []int{4, 5} { // errors before the command whose reply is measured
		synctest.Test(t, func(t *testing.T) {
			s, _, _ := newServer()
			s.SoftErrors, s.ErrorSleep, s.MaxErrors = 5, 3*time.Second, 6
			c, served, _ := connect(t, s)
			start := time.Now()
			c.Write([]byte(strings.Repeat("WHAT\r\n", n) + "NOOP\r\n"))
			c.CloseWrite()
			<-served
			if slow := time.Since(start) >= 3*time.Second; slow != (n == 5) {
				t.Errorf("after %d errors of 5 a reply is slow: %v", n, slow)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			s, _, _ := newServer()
			s.MaxErrors, s.ErrorSleep = 5, -1
			c, _, _ := connect(t, s)
			got := newPeer(t, c).say(strings.Split(strings.Repeat("WHAT\n", n)+"NOOP", "\n")...)
			if open := last(got) == "250 2.0.0 Ok"; open != (n == 4) {
				t.Errorf("after %d errors of 5: %q", n, got)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			s, _, _ := newServer()
			s.AuthWithoutTLS, s.ErrorSleep = true, -1 // five failures close
			c, _, _ := connect(t, s)
			got := newPeer(t, c).say(strings.Split("EHLO c.test\n"+strings.Repeat("AUTH PLAIN AGFsaWNlAHdyb25n\n", n)+"NOOP", "\n")...)
			if open := last(got) == "250 2.0.0 Ok"; open != (n == 4) {
				t.Errorf("after %d failed logins of 5: %q", n, got)
			}
		})
	}
}
