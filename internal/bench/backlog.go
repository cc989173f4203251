package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// A backlog is a large queue behind one destination that refuses connections,
// with a tenth of the mail for others between; and the same tenth alone.
type backlog struct {
	d          *destinations // of the tenth
	full, rest *stock
}

const (
	blockedShare = 10    // one message of so many is not for the blocked destination
	perOther     = 100   // messages for one of the others
	smallSite    = "few" // has one message of a thousand
	smallShare   = 1000
	largeSites   = 10 // share the rest: s0, s1, …
)

// backlog makes it, with w.Messages in the full one, or returns the one made
// before.
func (b *bench) backlog(ctx context.Context, w workload) (*backlog, error) {
	return keep(b, fmt.Sprintf("backlog%d", w.Messages), func() (*backlog, error) {
		others := w.Messages / blockedShare
		w.Destinations, w.Messages = max(1, others/perOther), others
		d, err := openDestinations(w)
		if err != nil {
			return nil, err
		}
		l := &backlog{d: d}
		refusing, err := refusingAddr()
		if err == nil {
			nextHops := append(d.addrs(), refusing)
			dir := filepath.Join(b.dir, fmt.Sprintf("backlog%d", others))
			all := func(i int) letter { return write(i, w.Destinations) }
			if l.full, err = b.stock(ctx, dir+"-full", nextHops, others*blockedShare, w.Size, all); err == nil {
				l.rest, err = b.stock(ctx, dir+"-rest", nextHops, others, w.Size, func(i int) letter { return all(i * blockedShare) })
			}
		}
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		return l, nil
	})
}

// write is message i of a backlog with so many open destinations; the domain
// after theirs is blocked.
func write(i, others int) letter {
	l := letter{site: fmt.Sprintf("s%d", i/blockedShare%largeSites)}
	if i%smallShare == 501 { // one that is blocked
		l.site = smallSite
	}
	if n := i / blockedShare; i%blockedShare == 0 {
		l.to = fmt.Sprintf("u%d@%s", n, domain(n%others))
	} else {
		l.to = fmt.Sprintf("b%d@%s", i, domain(others))
	}
	return l
}

func (l *backlog) Close() error {
	l.d.close()
	return nil
}

// refusingAddr is an address where nobody listens.
func refusingAddr() (string, error) {
	l, err := net.Listen("tcp", "127.2.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// drain measures how a server gets rid of the mail that it can get rid of.
func drain(part func(*backlog) *stock) func(context.Context, *bench, workload) (figures, error) {
	return func(ctx context.Context, b *bench, w workload) (figures, error) {
		l, err := b.backlog(ctx, w)
		if err != nil {
			return nil, err
		}
		n := w.Messages / blockedShare
		l.d.expect(n)
		f := figures{}
		err = part(l).run(ctx, w, nil, func(ctx context.Context, p *interop.Standalone, start time.Time) error {
			m, err := openMeter([]int{p.PID()}, 200*time.Millisecond)
			if err != nil {
				return err
			}
			l.d.drained(ctx)
			m.close(n, f)
			_, first, _ := l.d.came()
			f[firstMail], f[endRate] = first.Sub(start).Seconds(), l.d.rate()
			l.d.tally(f)
			return nil
		})
		return f, err
	}
}

// backlogWorkload is P8.
func backlogWorkload() workload {
	return workload{
		Name: "P8", Text: "a queue of which nine tenths are for a destination that refuses, drained of the rest",
		Messages: 1_000_000, Size: 512, Rounds: 3, timeout: 5 * time.Minute,
		goals: []goal{
			{figure: firstMail, of: "backlog", value: 0.5},
			{figure: rss, of: "backlog", value: 128},
			{figure: endRate, of: "backlog", relative: true, atLeast: true, value: 0.8, to: []string{"alone"}},
			{figure: lost, of: "backlog", value: 0},
		},
		cases: []scenario{
			{"alone", drain(func(l *backlog) *stock { return l.rest })},
			{"backlog", drain(func(l *backlog) *stock { return l.full })},
		},
	}
}
