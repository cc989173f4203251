package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/panelmail/panelmail/queue"
)

const (
	progressFrom  = 2000 // messages; fewer are done before one looks
	progressPause = 100 * time.Millisecond
	progressWidth = 30 // columns of the bar
)

// progress has a change of many messages draw a bar on the terminal, if there is
// one. end takes it away again.
func (c *call) progress(ctx context.Context, m *queue.Match, done string, do func(context.Context, queue.Match) (int, error)) (end func(), err error) {
	end = func() {}
	if !c.terminal || m.DryRun {
		return end, nil
	}
	count := *m
	count.DryRun = true
	total, err := do(ctx, count)
	if err != nil || total < progressFrom {
		return end, err
	}
	b := &bar{w: c.stderr, total: total, what: "messages", done: done}
	m.Progress = b.at
	return b.end, nil
}

// A bar shows how far something is, on one line of a terminal.
type bar struct {
	w     io.Writer
	total int
	what  string // is counted
	done  string
	drawn time.Time
}

// at draws the bar, unless that was done a moment ago.
func (b *bar) at(n int) {
	if now := time.Now(); now.Sub(b.drawn) >= progressPause {
		b.drawn = now
		b.draw(n)
	}
}

func (b *bar) draw(n int) {
	n = min(n, b.total) // more can match than when it was counted
	filled := n * progressWidth / b.total
	fmt.Fprintf(b.w, "\r[%-*s] %3d%%  %d of %d %s %s", progressWidth, strings.Repeat("#", filled), n*100/b.total, n, b.total, b.what, b.done)
}

// end clears the line.
func (b *bar) end() {
	if !b.drawn.IsZero() {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}
