package transport_test

import (
	"bufio"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSMTPATarpitIsGivenUp: a host that takes 100 octets a second would hold a message
// of 50 MiB for six days.
func TestSMTPATarpitIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		listener, err := l.net.Listen(netip.MustParseAddrPort("192.0.2.1:25"))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			for _, reply := range []string{"220 x", "250 x", "250 ok", "250 ok", "354 go"} {
				io.WriteString(conn, reply+"\r\n")
				if reply != "354 go" {
					r.ReadString('\n')
				}
			}
			for err == nil {
				_, err = io.CopyN(io.Discard, r, 1000)
				time.Sleep(10 * time.Second)
			}
		}()
		line := strings.Repeat("x", 998) + "\r\n"
		d := mail("b@x.test")
		d.Open = contentIs("Subject: x\r\n\r\n" + strings.Repeat(line, 50<<20/len(line)))
		d.Size = 0
		begun := time.Now()
		got := l.deliver(d)
		want := []string{"deferred 451 4.4.2 lost connection with mx.x.test[192.0.2.1] at message content: timed out"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(begun); took > 15*time.Minute {
			t.Errorf("the host held us for %v", took)
		}
		<-closed
	})
}
