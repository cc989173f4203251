package smtpserver

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/memnet"
)

func TestAHugeChunkIsNotReadToItsEnd(t *testing.T) {
	const envelope = "MAIL FROM:<a@remote.test>\r\nRCPT TO:<u@local.test>\r\n"
	for name, before := range map[string]string{
		"without a transaction": "",
		"without a recipient":   "MAIL FROM:<a@remote.test>\r\n",
		"the first":             envelope,
		"the second":            envelope + "BDAT 3\r\na\r\n",
	} {
		for _, size := range []string{"30000000", "9000000000000000000", "9000000000000000000 LAST"} {
			synctest.Test(t, func(t *testing.T) {
				s, d, _ := newServer()
				c, served, _ := connect(t, s)
				p := newPeer(t, c)
				p.send("EHLO client.test\r\n" + before + "BDAT " + size + "\r\n")
				got := p.say("QUIT")
				want := []string{"552 5.3.4 Error: message file too big", "(closed)"}
				if n := max(0, len(got)-2); !slices.Equal(got[n:], want) {
					t.Errorf("%s, %s: heard %q", name, size, got)
				}
				<-served
				if len(d.accepted()) > 0 || d.open != 0 {
					t.Errorf("%s, %s: accepted %q, %d transactions open", name, size, d.accepted(), d.open)
				}
			})
		}
	}
}

// TestChunksShareTheTimeForContent: as many chunks as there are octets must not take
// that many times five minutes.
func TestChunksShareTheTimeForContent(t *testing.T) {
	for _, tt := range []struct {
		name     string
		part     string        // sent again and again
		pause    time.Duration // after each
		times    int
		minRate  int
		accepted bool
	}{
		{"chunks of one octet", "BDAT 1\r\nx", 4 * time.Minute, 100, 0, false},
		{"with commands between", "BDAT 1\r\nxNOOP\r\n", 4 * time.Minute, 20, 0, false},
		{"a command between", "NOOP\r\n", 4 * time.Minute, 20, 0, false},
		{"slow chunks", chunkOf(64 << 10), time.Minute, 100, 0, true},
		{"too slow chunks", chunkOf(16 << 10), time.Minute, 100, 0, false},
		{"no least rate", "BDAT 1\r\nx", 4 * time.Minute, 100, -1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, d, _ := newServer()
				s.MinRate = tt.minRate
				c, served, _ := connect(t, s)
				p := newPeer(t, c)
				p.say("EHLO client.test", "MAIL FROM:<a@remote.test>", "RCPT TO:<u@local.test>", "BDAT 0")
				cut := false
				for range tt.times {
					if _, err := c.Write([]byte(tt.part)); err != nil {
						cut = true
						break
					}
					time.Sleep(tt.pause)
				}
				if !cut {
					p.say("BDAT 0 LAST", "QUIT")
				}
				<-served
				if got := len(d.accepted()) == 1; got != tt.accepted || cut == tt.accepted {
					t.Errorf("accepted: %v, cut off: %v", got, cut)
				}
			})
		})
	}
}

func chunkOf(n int) string {
	line := strings.Repeat("x", 62) + "\r\n"
	return fmt.Sprintf("BDAT %d\r\n%s", n, strings.Repeat(line, n/len(line)))
}

func TestWithoutALeastRateOnlyAPauseIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, _ := newServer()
		s.MinRate = -1
		c, _, _ := connect(t, s)
		p := newPeer(t, c)
		p.say("EHLO client.test", "MAIL FROM:<a@remote.test>", "RCPT TO:<u@local.test>", "DATA")
		for range 20 {
			p.send("x")
			time.Sleep(4 * time.Minute)
		}
		want := []string{"250 2.0.0 Ok: queued as ID1"}
		if diff := cmp.Diff(want, p.say("", ".")); diff != "" || len(d.accepted()) != 1 {
			t.Error(diff)
		}
	})
}

// A watched connection notes when octets arrived at a time when nothing could be
// written, as TLS may have to.
type watched struct {
	*memnet.Conn

	mu      sync.Mutex
	writeBy time.Time
	late    []time.Duration
}

func (w *watched) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeBy = t
	return w.Conn.SetWriteDeadline(t)
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	if over := time.Since(w.writeBy); over >= 0 && !w.writeBy.IsZero() && n > 0 {
		w.late = append(w.late, over)
	}
	return n, err
}

var _ net.Conn = (*watched)(nil)

func TestALongUploadLeavesTimeToWrite(t *testing.T) {
	for verb, end := range map[string]string{"DATA\r\n": ".\r\nQUIT", "BDAT 640000 LAST\r\n": "QUIT"} {
		synctest.Test(t, func(t *testing.T) {
			s, d, _ := newServer()
			s.TLS, s.ImplicitTLS = tlsConfig(t), true
			near, far := memnet.Pipe(clientAddr, serverAddr)
			w := &watched{Conn: far}
			served := make(chan struct{})
			go func() {
				defer close(served)
				s.ServeConn(t.Context(), w)
			}()
			p := newPeer(t, near)
			p.startTLS()
			p.say("EHLO client.test", "MAIL FROM:<a@remote.test>", "RCPT TO:<u@local.test>")
			p.send(verb)
			line := strings.Repeat("x", 62) + "\r\n"
			for range 20 {
				p.send(strings.Repeat(line, 500)) // 32,000 octets a minute
				time.Sleep(time.Minute)
			}
			p.say(end)
			<-served
			if len(d.accepted()) != 1 {
				t.Errorf("%q: not accepted", verb)
			}
			if len(w.late) > 0 {
				t.Errorf("%q: nothing could be written at %d reads, for %v", verb, len(w.late), w.late[len(w.late)-1])
			}
		})
	}
}
