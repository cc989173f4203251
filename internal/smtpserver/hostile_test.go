package smtpserver

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestTwoHundredMebibytesWithoutALineEndAreNotKept: the connection is closed long
// before, and what was read took no memory beyond the buffers.
func TestTwoHundredMebibytesWithoutALineEndAreNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		c, served, _ := connect(t, s)
		p := newPeer(t, c)
		p.hear()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		line := bytes.Repeat([]byte("x"), 64<<10)
		sent := 0
		for sent < 200<<20 {
			n, err := c.Write(line)
			sent += n
			if err != nil {
				break
			}
		}
		<-served
		runtime.ReadMemStats(&after)
		// What lies in the network's buffer counts as sent, and takes memory.
		if most := maxFlood + lingerOctets + 3*len(line); sent > most {
			t.Errorf("%d octets were taken, %d at most", sent, most)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 512<<10 {
			t.Errorf("%d octets were allocated", n)
		}
	})
}

// TestTwentyThousandRecipientsAreNotListenedTo sends RCPT as fast as can be.
func TestTwentyThousandRecipientsAreNotListenedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, _ := newServer()
		s.ErrorSleep = -1
		c, served, _ := connect(t, s)
		go func() {
			io.WriteString(c, "EHLO x\r\nMAIL FROM:<>\r\n")
			for range 20_000 {
				if _, err := io.WriteString(c, "RCPT TO:<u@local.test>\r\n"); err != nil {
					return
				}
			}
		}()
		replies, _ := io.ReadAll(c)
		<-served
		got := []int{
			strings.Count(string(replies), "250 2.1.5 Ok\r\n"),
			strings.Count(string(replies), "452 4.5.3 Error: too many recipients\r\n"),
			strings.Count(string(replies), "421 4.7.0 mx.local.test Error: too many errors\r\n"),
		}
		if diff := cmp.Diff([]int{1000, overshoot + 20, 1}, got); diff != "" {
			t.Errorf("accepted, refused, closed: %s", diff)
		}
		if n := strings.Count(strings.Join(d.events, "\n"), "RCPT"); n != 1000 {
			t.Errorf("the handler was asked %d times", n)
		}
	})
}

// TestASizeBeyondAllNumbersIsTooBig: it is no syntax error.
func TestASizeBeyondAllNumbersIsTooBig(t *testing.T) {
	for _, size := range []string{"10240001", "5000000000", "99999999999999999999"} {
		synctest.Test(t, func(t *testing.T) {
			s, _, _ := newServer()
			c, _, _ := connect(t, s)
			got := last(newPeer(t, c).say("EHLO x", "MAIL FROM:<> SIZE="+size))
			if got != "552 5.3.4 Message size exceeds fixed limit" {
				t.Errorf("SIZE=%s: %q", size, got)
			}
		})
	}
}

// TestSTARTTLSWithAnythingBehindItIsNotServed: neither a longer verb nor an argument
// begins a handshake, and nothing behind the command is served in clear or in TLS.
func TestSTARTTLSWithAnythingBehindItIsNotServed(t *testing.T) {
	for command, want := range map[string][]string{
		"STARTTLSxyz":   {"500 5.5.2 Error: command not recognized"},
		"STARTTLS xyz":  {"501 5.5.4 Syntax: STARTTLS"},
		"STARTTLS\r\nx": {"(closed)"},
		"STARTTLS\r\nMAIL FROM:<a@remote.test>\r\nRCPT TO:<u@local.test>": {"(closed)"},
		"STARTTLS\r\n\x16\x03\x01":                                        {"(closed)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, d, _ := newServer()
			s.TLS = tlsConfig(t)
			c, _, _ := connect(t, s)
			p := newPeer(t, c)
			p.say("EHLO x")
			if got := p.say(command); !slices.Equal(got, want) || len(d.events) > 0 {
				t.Errorf("%q: %q, %q", command, got, d.events)
			}
		})
	}
}

// TestASlowCommandIsLeftAtItsTimeout has one octet each tenth of a second, and a
// server with little time.
func TestASlowCommandIsLeftAtItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := newServer()
		s.Timeout = 10 * time.Second
		c, _, _ := connect(t, s)
		p := newPeer(t, c)
		p.patience = time.Millisecond
		p.hear()
		start := time.Now()
		var got []string
		for len(got) == 0 {
			c.Write([]byte("N"))
			time.Sleep(100 * time.Millisecond)
			got = p.hear()
		}
		if diff := cmp.Diff([]string{"421 4.4.2 mx.local.test Error: timeout exceeded", "(closed)"}, got); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(start); took > s.Timeout+time.Second {
			t.Errorf("took %v", took)
		}
	})
}
