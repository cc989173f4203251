package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/panelmail/panelmail/internal/interop"
)

// A load is one delivery of a workload to a server.
type load struct {
	workload
	pipelining bool
	next       atomic.Int64
	sessions   []*interop.Submitter
	latencies  [][]time.Duration // by session
	content    []byte            // ready for the wire
}

// connect opens every session and writes the message, so that send does
// nothing but send.
func (l *load) connect(ctx context.Context, addr string) error {
	l.content = interop.Stuffed(content(l.Size))
	l.sessions = make([]*interop.Submitter, l.Sessions)
	l.latencies = make([][]time.Duration, l.Sessions)
	var g errgroup.Group
	for i := range l.sessions {
		g.Go(func() (err error) {
			l.sessions[i], err = interop.NewSubmitter(ctx, addr)
			return err
		})
	}
	return g.Wait()
}

// send submits all messages and returns how long it took. Whatever is not
// acknowledged is an error: a benchmark of refusals measures nothing.
func (l *load) send() (time.Duration, error) {
	start := time.Now()
	var g errgroup.Group
	for i, s := range l.sessions {
		g.Go(func() error {
			send := s.Send
			if l.pipelining {
				send = s.SendPipelined
			}
			for n := l.next.Add(1) - 1; n < int64(l.Messages); n = l.next.Add(1) - 1 {
				to := l.recipients(int(n))
				began := time.Now()
				if _, err := send("load@generator.test", to, l.content); err != nil {
					return fmt.Errorf("message %d: %w", n, err)
				}
				l.latencies[i] = append(l.latencies[i], time.Since(began))
			}
			return nil
		})
	}
	err := g.Wait()
	return time.Since(start), err
}

// recipients are those of message n; the first is its own.
func (l *load) recipients(n int) []string {
	to := []string{fmt.Sprintf("u%d@%s", n, domain(n%l.Destinations))}
	for i := range l.Extra * (n % 2) {
		to = append(to, fmt.Sprintf("x%d@%s", i, domain(n%l.Destinations)))
	}
	return to
}

// disconnect ends every session.
func (l *load) disconnect() {
	for _, s := range l.sessions {
		if s != nil {
			s.Quit()
		}
	}
}

// content is a message of exactly size octets with the header fields that mail
// programs write.
func content(size int) []byte {
	var b strings.Builder
	b.WriteString("From: Load Generator <load@generator.test>\r\n" +
		"To: undisclosed-recipients:;\r\n" +
		"Subject: a message of the benchmark\r\n" +
		"Date: Mon, 02 Nov 2026 15:04:05 +0000\r\n" +
		"Message-ID: <1@generator.test>\r\n" +
		"MIME-Version: 1.0\r\n" +
		"Content-Type: text/plain; charset=us-ascii\r\n\r\n")
	line := strings.Repeat("x", 74) + "\r\n"
	for b.Len()+2*len(line) <= size {
		b.WriteString(line)
	}
	b.WriteString(strings.Repeat("y", size-b.Len()-2))
	b.WriteString("\r\n")
	return []byte(b.String())
}
