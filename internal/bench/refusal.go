package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A dialCounter is the system's network, with a count of what was tried.
type dialCounter struct{ n atomic.Int64 }

func (c *dialCounter) Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	c.n.Add(1)
	return transport.System{}.Dial(ctx, local, remote)
}

// turnedAway has a server in this process try to deliver to an address that
// refuses everything. It counts the connections until there are no more, and
// again after a retry. asked tells how many recipients the address has heard of.
func turnedAway(ctx context.Context, b *bench, w workload, addr string, asked func() int) (_ figures, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	dir, err := os.MkdirTemp(b.dir, "refusal")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	network := &dialCounter{}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	server, err := mailcore.Open(ctx, filepath.Join(dir, "data", "panelmail.db"), mailcore.Config{
		Hostname: "panelmail.test", SmartHost: "[" + host + "]:" + port, TLSLevel: transport.TLSNone,
		Network: network, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if err := enqueue(ctx, server.Queue(), w.Messages, w.Size, func(i int) letter {
		return letter{to: fmt.Sprintf("u%d@%s", i, domain(0))}
	}); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	f := figures{}
	if err := settled(ctx, &network.n); err != nil {
		return nil, err
	}
	first := network.n.Load()
	f[dials], f[tried] = float64(first), 100*float64(asked())/float64(w.Messages)
	if _, err := server.Queue().Retry(ctx, queue.Match{All: true}); err != nil {
		return nil, err
	}
	if err := settled(ctx, &network.n); err != nil {
		return nil, err
	}
	f[dialsAgain] = float64(network.n.Load() - first)
	return f, nil
}

// settled returns when a count has not changed for a while.
func settled(ctx context.Context, n *atomic.Int64) error {
	for before, now := int64(-1), n.Load(); now != before; before, now = now, n.Load() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return nil
}

// connectionsRefused is a destination where nobody listens.
func connectionsRefused(ctx context.Context, b *bench, w workload) (figures, error) {
	addr, err := refusingAddr()
	if err != nil {
		return nil, err
	}
	f, err := turnedAway(ctx, b, w, addr, func() int { return 0 })
	delete(f, tried)
	return f, err
}

// recipientsRefused is a destination that defers each recipient.
func recipientsRefused(ctx context.Context, b *bench, w workload) (figures, error) {
	var heard atomic.Int64
	sink := &interop.Sink{Answer: func(verb, _ string) string {
		if verb != "RCPT" {
			return ""
		}
		heard.Add(1)
		return "450 4.2.1 Not now"
	}}
	if err := sink.Start(); err != nil {
		return nil, err
	}
	defer sink.Close()
	return turnedAway(ctx, b, w, sink.Addr, func() int { return int(heard.Load()) })
}

// refusalWorkload is about dead destinations. One is declared dead when three
// connections have failed, and the five that may be tried at once at first may
// all be under way then; a destination that answers is alive, whatever it says
// of recipients.
func refusalWorkload() workload {
	const connections, recipients = "connections", "recipients"
	return workload{
		Name: "Q2", Text: "what it costs that a destination refuses all connections, or defers all recipients",
		Messages: 1000, Size: kib, Rounds: 3,
		goals: []goal{
			{figure: dials, of: connections, value: 5},
			{figure: dialsAgain, of: connections, value: 5},
			{figure: dialsAgain, of: connections, atLeast: true, value: 1},
			{figure: tried, of: recipients, atLeast: true, value: 100},
		},
		cases: []scenario{{connections, connectionsRefused}, {recipients, recipientsRefused}},
	}
}
