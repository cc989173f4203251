package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// A person is somebody at the command line of a server, with a clock.
type person struct {
	server *interop.Standalone
	f      figures
}

// does runs a command to its end and notes how long it took.
func (p person) does(ctx context.Context, figure string, args ...string) error {
	start := time.Now()
	_, err := p.server.Command(ctx, args...)
	p.f[figure] = time.Since(start).Seconds()
	return err
}

// glances runs a command, reads its first lines, and does not wait for more, as
// head(1) does.
func (p person) glances(ctx context.Context, figure string, args ...string) error {
	start := time.Now()
	cmd := exec.CommandContext(ctx, p.server.Binary, p.server.Arguments(args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	n, err := io.ReadFull(out, make([]byte, kib))
	out.Close()
	cmd.Wait() // ended by the closed pipe
	p.f[figure] = time.Since(start).Seconds()
	if err != nil {
		return fmt.Errorf("%v: after %d octets: %w", args, n, err)
	}
	return nil
}

// asks puts the questions that are to be answered within a second.
func (p person) asks(ctx context.Context) error {
	if err := p.glances(ctx, listHead, "queue", "list"); err != nil {
		return err
	}
	if err := p.does(ctx, stats, "queue", "stats"); err != nil {
		return err
	}
	if err := p.does(ctx, holdSmall, "queue", "hold", "--site", smallSite); err != nil {
		return err
	}
	return p.does(ctx, holdLarge, "queue", "hold", "--site", "s1")
}

// askStopped asks while no server runs.
func askStopped(ctx context.Context, b *bench, w workload) (figures, error) {
	l, err := b.backlog(ctx, w)
	if err != nil {
		return nil, err
	}
	s, discard, err := l.full.copied(ctx)
	if err != nil {
		return nil, err
	}
	defer discard()
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	p := person{s.server(), figures{}}
	return p.f, p.asks(ctx)
}

// askServing asks while a server delivers what it can, or can deliver nothing,
// and starts it again.
func askServing(held bool) func(context.Context, *bench, workload) (figures, error) {
	return func(ctx context.Context, b *bench, w workload) (figures, error) {
		l, err := b.backlog(ctx, w)
		if err != nil {
			return nil, err
		}
		if held {
			l.d.hold()
			defer l.d.letGo()
		}
		l.d.expect(w.Messages / blockedShare)
		f := figures{}
		err = l.full.run(ctx, w, nil, func(ctx context.Context, server *interop.Standalone, _ time.Time) error {
			p := person{server, f}
			if err := p.asks(ctx); err != nil {
				return err
			}
			return p.restarts(ctx)
		})
		return f, err
	}
}

// restarts ends the server and starts it again.
func (p person) restarts(ctx context.Context) error {
	start := time.Now()
	if err := p.server.Stop(); err != nil {
		return err
	}
	p.f[stopping] = time.Since(start).Seconds()
	start = time.Now()
	if err := p.server.Start(ctx); err != nil {
		return err
	}
	p.f[starting] = time.Since(start).Seconds()
	return nil
}

// questionsWorkload is Q1.
func questionsWorkload() workload {
	w := workload{
		Name: "Q1", Text: "what a person asks of the queue of P8: while it delivers, while nothing can be delivered, without a server",
		Messages: 1_000_000, Size: 512, Rounds: 3, timeout: 5 * time.Minute,
		cases: []scenario{
			{"delivering", askServing(false)},
			{"blocked", askServing(true)},
			{"stopped", askStopped},
		},
	}
	for _, s := range w.cases {
		for _, figure := range []string{listHead, stats, holdSmall, starting} {
			if figure != starting || s.name != "stopped" {
				w.goals = append(w.goals, goal{figure: figure, of: s.name, value: 1})
			}
		}
	}
	return w
}
