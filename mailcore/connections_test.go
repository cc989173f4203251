package mailcore_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/mailcore"
)

// TestAThousandMessagesToADestinationTakeTwentyConnectionsAtMost over real sockets.
func TestAThousandMessagesToADestinationTakeTwentyConnectionsAtMost(t *testing.T) {
	const messages, most = 1000, 20
	sink := &interop.Sink{Discard: true}
	if err := sink.Start(); err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	srv, err := mailcore.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), mailcore.Config{
		Hostname: "mail.panel.example", SmartHost: fmt.Sprintf("[127.0.0.1]:%d", netip.MustParseAddrPort(sink.Addr).Port()),
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	addSite(t, srv, "shop", "shop.example")
	var submitters sync.WaitGroup
	for i := range 20 {
		submitters.Go(func() {
			for n := range messages / 20 {
				m := hello("me@shop.example", fmt.Sprintf("u%d.%d@customer.example", i, n))
				if _, err := srv.Submit(t.Context(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	submitters.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	for sink.Count() < messages && ctx.Err() == nil {
		arrived := sink.Arrived()
		if sink.Count() == messages {
			break
		}
		select {
		case <-arrived:
		case <-ctx.Done():
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	connections := map[string]int{}
	for _, m := range sink.Messages() {
		connections[m.Peer]++
	}
	if sink.Count() != messages || len(connections) > most {
		t.Errorf("%d messages arrived over %d connections: %v", sink.Count(), len(connections), connections)
	}
}
