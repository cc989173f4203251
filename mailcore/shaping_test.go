package mailcore_test

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/transport"
)

// unwell makes a mail domain whose exchanger takes connections, says this greeting
// and no more. It counts them.
func unwell(t *testing.T, lab *mailtest.Lab, domain, greeting string) *atomic.Int32 {
	t.Helper()
	listener := lab.Listen()
	lab.DNS.MX[domain] = []transport.MX{{Preference: 10, Host: "mx." + domain}}
	lab.DNS.Addr["mx."+domain] = []string{listener.Addr().(*net.TCPAddr).IP.String()}
	var count atomic.Int32
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			if greeting != "" {
				io.WriteString(conn, greeting+"\r\n")
				conn.Close()
			}
		}
	}()
	t.Cleanup(func() { listener.Close() })
	return &count
}

func TestTwentyBlackHolesDoNotHoldUpTheOneThatIsWell(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		well := lab.Domain("well.example")
		var holes []*atomic.Int32
		for i := range 20 {
			holes = append(holes, unwell(t, lab, fmt.Sprintf("hole%d.example", i), ""))
		}
		srv := lab.Server(mailcore.Config{})
		for i := range 20 {
			for range 10 {
				submit(t, srv, hello("shop@shop.example", fmt.Sprintf("u@hole%d.example", i)))
			}
		}
		lab.Wait(time.Minute)
		for range 100 {
			submit(t, srv, hello("shop@shop.example", "u@well.example"))
		}
		lab.Wait(time.Second)
		if n := len(well.Messages()); n != 100 {
			t.Errorf("%d of 100 delivered in a second", n)
		}
		// A window of five, each five minutes for a greeting, then five minutes of rest.
		lab.Wait(time.Hour)
		for i, n := range holes {
			if n.Load() < 5 || n.Load() > 6*5+5 {
				t.Errorf("hole %d had %d connections in an hour", i, n.Load())
			}
		}
	})
}

// A host that refuses costs the probes of a window every five minutes, and not a
// connection for each message.
func TestAHostThatRefusesIsNotTriedWithEachMessage(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		down := unwell(t, lab, "down.example", "421 4.3.2 not now")
		srv := lab.Server(mailcore.Config{})
		for range 50 {
			submit(t, srv, hello("shop@shop.example", "u@down.example"))
		}
		lab.Wait(time.Second)
		if n := down.Load(); n < 3 || n > 5 {
			t.Errorf("%d connections for 50 messages, want 3 to 5", n)
		}
		lab.Wait(time.Hour)
		if n := down.Load(); n < 12*3 || n > 13*5 {
			t.Errorf("%d connections in an hour, want 3 to 5 every five minutes", n)
		}
		if n := queued(t, srv); n != 50 {
			t.Errorf("%d of 50 messages queued", n)
		}
	})
}
