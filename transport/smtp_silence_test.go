package transport_test

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSMTPASilentHostFreesTheWorkerInTime has a host fall silent at each stage: the
// worker waits for as long as RFC 5321 section 4.5.3.2 has it wait, and no longer.
func TestSMTPASilentHostFreesTheWorkerInTime(t *testing.T) {
	for _, stage := range []struct {
		name    string
		replies []string // given before
		wait    time.Duration
		says    string
	}{
		{"connection", nil, 30 * time.Second, ""},
		{"greeting", []string{}, 5 * time.Minute, "greeting"},
		{"EHLO", []string{"220 x"}, 5 * time.Minute, "EHLO"},
		{"MAIL", []string{"220 x", "250 x"}, 5 * time.Minute, "MAIL"},
		{"RCPT", []string{"220 x", "250 x", "250 ok"}, 5 * time.Minute, "RCPT"},
		{"DATA", []string{"220 x", "250 x", "250 ok", "250 ok"}, 2 * time.Minute, "DATA"},
		{"content", []string{"220 x", "250 x", "250 ok", "250 ok", "354 go", "and reads no more"}, 3 * time.Minute, "content"},
		{"end of data", []string{"220 x", "250 x", "250 ok", "250 ok", "354 go"}, 10 * time.Minute, ""},
	} {
		t.Run(stage.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t)
				at := netip.MustParseAddrPort("192.0.2.1:25")
				if stage.replies == nil {
					l.net.BlackHole(at.Addr())
				} else {
					listener, err := l.net.Listen(at)
					if err != nil {
						t.Fatal(err)
					}
					defer listener.Close()
					over := make(chan struct{})
					defer close(over)
					go silence(listener, stage.replies, over)
				}
				d := mail("b@x.test")
				if stage.name == "content" {
					d.Open = contentIs("Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 10_000))
					d.Size = 0
				}
				begun := time.Now()
				got := strings.Join(l.deliver(d), "; ")
				took := time.Since(begun)
				if took < stage.wait || took > stage.wait+10*time.Second {
					t.Errorf("the worker was held for %v, want %v", took, stage.wait)
				}
				if !strings.HasPrefix(got, "deferred 4") && !strings.HasPrefix(got, "uncertain") || !strings.Contains(got, stage.says) {
					t.Errorf("outcome %q", got)
				}
			})
		})
	}
}

// silence gives replies, and then says nothing more; with six of them it reads
// nothing more either.
func silence(listener net.Listener, replies []string, over <-chan struct{}) {
	conn, err := listener.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for i, reply := range replies {
		if i == 5 {
			<-over
			return
		}
		if i > 0 {
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
		}
		io.WriteString(conn, reply+"\r\n")
	}
	_, _ = io.Copy(io.Discard, r)
}
