// Package purego_test runs the server on a SQLite driver without C, which the
// main module does not depend on. It is a module of its own for that reason.
package purego_test

import (
	"context"
	"database/sql"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func TestTheServerRunsOnADriverWithoutC(t *testing.T) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "panel.db")+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE orders (id INTEGER PRIMARY KEY) STRICT`); err != nil {
		t.Fatal(err)
	}
	events := make(chan queue.Event, 10)
	srv, err := mailcore.New(t.Context(), db, mailcore.Config{
		Hostname: "mail.panel.example",
		Observe: func(batch []queue.Event) {
			for _, e := range batch {
				events <- e
			}
		},
		Network: transport.NetworkFunc(func(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) {
			return nil, net.ErrClosed
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for pattern, value := range map[string]string{"gone.example": "discard:", "later.example": "retry:"} {
		if err := srv.Sites().SetRoute(t.Context(), sites.Route{Pattern: pattern, Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := srv.SubmitTx(t.Context(), tx, mailcore.Message{
		ReversePath: "a@shop.example", Recipients: []string{"u@gone.example", "u@later.example"},
		Content: strings.NewReader("Subject: x\n\nx\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	want := map[queue.Kind]bool{queue.Delivered: true, queue.Deferred: true}
	for len(want) > 0 {
		if e := <-events; e.ID == id {
			delete(want, e.Kind)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
