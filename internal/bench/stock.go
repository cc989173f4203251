package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A shelf holds what took long to make, by name.
type shelf map[string]io.Closer

// keep returns what is on the shelf under a name, or makes it.
func keep[T io.Closer](b *bench, name string, prepare func() (T, error)) (T, error) {
	if c, ok := b.shelf[name]; ok {
		return c.(T), nil
	}
	c, err := prepare()
	if err != nil {
		return c, err
	}
	if b.shelf == nil {
		b.shelf = shelf{}
	}
	b.shelf[name] = c
	return c, nil
}

// forget clears the shelf.
func (b *bench) forget() error {
	var errs []error
	for _, c := range b.shelf {
		errs = append(errs, c.Close())
	}
	b.shelf = nil
	return errors.Join(errs...)
}

// A letter is what tells one message of a stock from another.
type letter struct {
	site string
	to   string
}

// producers hand in messages at once where only the result counts.
const producers = 64

// A stock is the directory of a server that does not run, with mail in its
// queue.
type stock struct {
	binary string
	dir    string
}

// stock makes one in dir, with n messages. Mail for domain i goes to the i-th of
// the next hops; write says of each message whose it is and where it goes. They
// are handed in by a program that embeds the server, on the same file.
func (b *bench) stock(ctx context.Context, dir string, nextHops []string, n, size int, write func(i int) letter) (*stock, error) {
	binary, err := b.program(ctx)
	if err != nil {
		return nil, err
	}
	s := &stock{binary: binary, dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p := s.server()
	if err := routes(ctx, p, scene{dir: dir, nextHops: nextHops}); err != nil {
		return nil, err
	}
	server, err := mailcore.Open(ctx, p.Database(), mailcore.Config{Hostname: "panelmail.test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	err = register(ctx, server, n, write)
	if err == nil {
		err = enqueue(ctx, server.Queue(), n, size, write)
	}
	return s, errors.Join(err, server.Close())
}

// register adds the sites that messages 0 to n-1 are of: mail of others stays.
func register(ctx context.Context, server *mailcore.Server, n int, write func(i int) letter) error {
	known := map[string]bool{"": true} // the panel
	for i := range n {
		site := write(i).site
		if known[site] {
			continue
		}
		known[site] = true
		if err := server.Sites().AddSite(ctx, sites.Site{Name: site}); err != nil {
			return err
		}
	}
	return nil
}

// enqueue hands messages 0 to n-1 in.
func enqueue(ctx context.Context, q *queue.Queue, n, size int, write func(i int) letter) error {
	g, ctx := errgroup.WithContext(ctx)
	text := content(size)
	var next atomic.Int64
	for range producers {
		g.Go(func() error {
			for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
				if err := enqueueOne(ctx, q, write(i), text); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func enqueueOne(ctx context.Context, q *queue.Queue, l letter, text []byte) error {
	_, err := q.Enqueue(ctx, queue.Message{
		Envelope: transport.Envelope{ReversePath: "load@generator.test", Recipients: []transport.Recipient{{Address: l.to}}},
		Origin:   transport.Origin{Site: l.site, UID: -1},
	}, bytes.NewReader(text))
	return err
}

// copied is a stock to work on, on the same file system; discard removes it.
func (s *stock) copied(ctx context.Context) (_ *stock, discard func(), err error) {
	dir, err := os.MkdirTemp(filepath.Dir(s.dir), "copy")
	if err != nil {
		return nil, nil, err
	}
	discard = func() { os.RemoveAll(dir) }
	out, err := exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", s.dir+"/.", dir).CombinedOutput()
	if err != nil {
		discard()
		return nil, nil, fmt.Errorf("copying a queue: %w: %s", err, out)
	}
	// A queue that has been there for a while is on the disk. Without this the first
	// sync of the server would bring all of it there.
	if out, err := exec.CommandContext(ctx, "sync", "--file-system", dir).CombinedOutput(); err != nil {
		discard()
		return nil, nil, fmt.Errorf("syncing the copy of a queue: %w: %s", err, out)
	}
	return &stock{binary: s.binary, dir: dir}, discard, nil
}

// server is the stock's, to be started.
func (s *stock) server(settings ...string) *interop.Standalone {
	return &interop.Standalone{Binary: s.binary, Dir: s.dir, Settings: settings}
}

// run starts the server of a copy and lets f measure it.
func (s *stock) run(ctx context.Context, w workload, settings []string, f func(context.Context, *interop.Standalone, time.Time) error) error {
	copied, discard, err := s.copied(ctx)
	if err != nil {
		return err
	}
	defer discard()
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	p := copied.server(settings...)
	start := time.Now()
	if err := p.Start(ctx); err != nil {
		return err
	}
	return standing(p).end(f(ctx, p, start))
}
