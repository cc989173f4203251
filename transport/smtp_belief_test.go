package transport_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/panelmail/panelmail/transport"
)

// recite is a host that says one piece of a script for each line it gets, whatever
// that is, and closes at the end.
func recite(conn net.Conn, script []string) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for _, piece := range script {
		io.WriteString(conn, piece)
		if _, err := r.ReadString('\n'); err != nil {
			return
		}
	}
}

// TestSMTPBelievesNothingThatWasNotSaid: whatever a host says, and in whichever order,
// mail is deferred, unless the host has said the very code by which it is not.
func TestSMTPBelievesNothingThatWasNotSaid(t *testing.T) {
	pieces := []string{
		"", "", "", "220 x\r\n", "250 ok\r\n", "250 ok\r\n", "250-x\r\n250 PIPELINING\r\n", "250-x\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=1\r\n",
		"354 go\r\n", "354 go\r\n", "250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n550 5.1.1 no\r\n",
		"450 4.2.0 later\r\n", "452 4.5.3 too many\r\n", "421 bye\r\n", "554 5.7.1 no\r\n", "251-a\r\n251 b\r\n",
		"999 x\r\n", "HTTP/1.1 200 OK\r\n", "250-\r\n", "5", "334 \r\n", "\r\n",
	}
	rapid.Check(t, func(rt *rapid.T) {
		script := append([]string{"220 x\r\n"}, rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 16).Draw(rt, "script")...)
		var report transport.Report
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t)
			listener, err := l.net.Listen(netip.MustParseAddrPort("192.0.2.1:25"))
			if err != nil {
				t.Fatal(err)
			}
			over := make(chan struct{})
			go func() {
				defer close(over)
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					recite(conn, script)
				}
			}()
			report = l.Deliver(context.Background(), mail("a@x.test", "b@x.test"))
			l.Close()
			listener.Close()
			<-over
		})
		for i, o := range report {
			said := strings.Contains(strings.Join(script, ""), strconv.Itoa(o.Reply.Code))
			if !o.Deferred() && !(said && (o.Delivered() || o.Failed())) {
				rt.Errorf("recipient %d: %s", i, short(o))
			}
		}
	})
}
