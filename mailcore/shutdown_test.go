package mailcore_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/memnet"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/queue"
)

// TestAServerThatStopsLosesNothingItSaidYesTo has 100 idle sessions and 10 in a
// message when it is told to: half of them go on and finish, the others stall.
func TestAServerThatStopsLosesNothingItSaidYesTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, at := memnet.New(), netip.MustParseAddrPort("198.51.100.1:25")
		config := mailcore.Config{
			Hostname: "mail.panel.test", Network: network, Poll: -1, CommitDelay: -1,
			Log: slog.New(slog.DiscardHandler),
		}
		path := filepath.Join(t.TempDir(), "mail.db")
		srv, err := mailcore.Open(t.Context(), path, config)
		if err != nil {
			t.Fatal(err)
		}
		listener, err := network.Listen(at)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- srv.Run(ctx, mailcore.Listener{Kind: mailcore.SMTP, Listener: listener}) }()
		dial := func(i int) (*caller, error) {
			from := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i/40)})
			network.AddLocal(from)
			c, err := network.Dial(t.Context(), from, at)
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { c.Close() })
			return newCaller(t, c), nil
		}
		mustDial := func(i int) *caller {
			c, err := dial(i)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		var idle, active []*caller
		for i := range 100 {
			idle = append(idle, mustDial(i))
		}
		for i := range 10 {
			c := mustDial(100 + i)
			c.say("EHLO c.test", fmt.Sprintf("MAIL FROM:<sender%d@remote.test>", i), "RCPT TO:<postmaster>", "DATA", "Subject: half")
			active = append(active, c)
		}
		start := time.Now()
		cancel()
		synctest.Wait()
		if _, err := dial(111); err == nil {
			t.Error("a new connection was accepted")
		}
		var acked []string
		var finishing sync.WaitGroup
		for i, c := range active[:5] {
			finishing.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				io.WriteString(c.conn, ".\r\nMAIL FROM:<late@remote.test>\r\nRCPT TO:<postmaster>\r\nDATA\r\n.\r\n")
			})
		}
		finishing.Wait()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		for i, c := range active {
			text, _ := io.ReadAll(c.r) // what was said until the end, or the reset
			switch n := strings.Count(string(text), "queued as"); {
			case n == 1:
				acked = append(acked, fmt.Sprintf("sender%d@remote.test", i))
			case n > 1:
				t.Errorf("session %d: %s", i, text)
			}
		}
		for i, c := range idle {
			if text, _ := io.ReadAll(c.r); !strings.HasSuffix(string(text), "421 4.3.2 mail.panel.test Service shutting down\r\n") {
				t.Errorf("idle session %d hears %q", i, text)
				break
			}
		}
		if diff := cmp.Diff(acked, sendersIn(t, path, config)); diff != "" || len(acked) != 5 {
			t.Errorf("%d accepted; -accepted +kept:\n%s", len(acked), diff)
		}
	})
}

// sendersIn are the reverse-paths of what a database keeps, in order.
func sendersIn(t *testing.T, path string, config mailcore.Config) (senders []string) {
	t.Helper()
	srv, err := mailcore.Open(t.Context(), path, config)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	for e, err := range srv.Queue().Entries(t.Context(), queue.Match{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		senders = append(senders, e.Envelope.ReversePath)
	}
	slices.Sort(senders)
	return senders
}
