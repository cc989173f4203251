//go:build cgo && linux

package crashvfs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/crashvfs"
	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/mailcore"
)

// TestSMTPAnswers451AfterAFailedCommitAndGoesOn has the disk of a whole server fail
// while a client hands in one message after the other.
func TestSMTPAnswers451AfterAFailedCommitAndGoesOn(t *testing.T) {
	dir := scratch(t)
	disk := mount(t, func(*crashvfs.State) {})
	db := on(t, disk, filepath.Join(dir, "queue.db"))
	run(t, db, `PRAGMA auto_vacuum = INCREMENTAL`, `PRAGMA journal_mode = WAL`)
	sink := &interop.Sink{}
	if err := sink.Start(); err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	host, port, _ := net.SplitHostPort(sink.Addr)
	server, err := mailcore.New(t.Context(), db, mailcore.Config{
		Hostname: "mx.panel.test", SmartHost: "[" + host + "]:" + port, AllowPrivate: true, TLSLevel: "none", MinFree: -1,
		RelayNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, mailcore.Listener{Kind: mailcore.SMTP, Listener: listener}) }()
	client, err := interop.NewSubmitter(ctx, listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var acked []string
	send := func() (refused string) {
		name := fmt.Sprintf("number %d", len(acked)+1)
		_, err := client.Send("a@site.test", []string{"b@far.test"}, interop.Stuffed([]byte("Subject: "+name+"\r\n\r\n")))
		var r *interop.Refusal
		switch {
		case errors.As(err, &r):
			return r.Reply
		case err != nil:
			t.Fatal(err)
		}
		acked = append(acked, name)
		return ""
	}
	first := sink.Arrived()
	if refused := send(); refused != "" {
		t.Fatal(refused)
	}
	<-first // the queue runs: a disk that fails before is a reason not to start
	for _, op := range []crashvfs.Op{crashvfs.Sync, crashvfs.Write} {
		disk.Fail(func(o crashvfs.Op) crashvfs.Fault {
			if o == op {
				return crashvfs.IOError // of all that happen
			}
			return crashvfs.NoFault
		})
		for range 3 {
			if refused := send(); !strings.HasPrefix(refused, "451 4.3.") {
				t.Errorf("while %vs fail: %q", op, refused)
			}
		}
		disk.Fail(nil)
		if refused := send(); refused != "" {
			t.Errorf("afterwards: %s", refused)
		}
	}
	for deadline := time.After(time.Minute); len(sink.Messages()) < len(acked); {
		select {
		case <-sink.Arrived():
		case <-deadline:
			t.Fatalf("%d messages arrived of %d", len(sink.Messages()), len(acked))
		}
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
