package interop_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// A pulse lets many wait for the next beat.
type pulse struct {
	mu   sync.Mutex
	next chan struct{}
}

func (p *pulse) wait() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = make(chan struct{})
	}
	return p.next
}

func (p *pulse) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next != nil {
		close(p.next)
		p.next = nil
	}
}

// Messages of which every third attempt is deferred are delivered while commands
// hold, release, hurry and requeue all of them: through the server, and beside it
// on the same file. No delivery ends before two more commands have. Each message
// arrives, and arrives once.
func TestCommandsInALoopLoseNothingAndDoubleNothing(t *testing.T) {
	for _, beside := range []bool{false, true} {
		t.Run(fmt.Sprintf("beside the server %v", beside), func(t *testing.T) {
			const messages = 150
			var tries atomic.Int64
			var done pulse // a command
			stop := make(chan struct{})
			far := &interop.Sink{Answer: func(verb, _ string) string {
				if verb == "RCPT" && tries.Add(1)%3 == 0 {
					return "450 4.7.1 come back later"
				}
				for range 2 {
					if verb == "." {
						select {
						case <-done.wait():
						case <-stop:
						}
					}
				}
				return ""
			}}
			if err := far.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { far.Close() })
			p := newPanel(t, `delivery.smart_host = "[127.0.0.1]:`+far.Addr[strings.LastIndexByte(far.Addr, ':')+1:]+`"`, `relay.networks = ["127.0.0.0/8"]`)
			if beside {
				p.hideSocket(t)
			}
			var commands sync.WaitGroup
			commands.Go(func() { p.meddle(t, &done, stop) })
			p.submitAll(t, messages)
			awaitDistinct(t, far, messages)
			close(stop)
			commands.Wait()
			if list := p.do(t, "", "mailq"); list != "Mail queue is empty\n" {
				t.Errorf("left:\n%s", list)
			}
			checkOnce(t, far, messages)
		})
	}
}

// hideSocket has commands open the file themselves, beside the server: they find
// no socket.
func (p *panel) hideSocket(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(p.Dir, "data", "control.sock")); err != nil {
		t.Fatal(err)
	}
}

// meddle runs commands until stop is closed, and says when one is done. What it holds it releases again.
func (p *panel) meddle(t *testing.T, done *pulse, stop <-chan struct{}) {
	for {
		for _, command := range []string{"hold", "list", "release", "retry", "requeue", "stats", "hold", "release", "retry"} {
			args := []string{"queue", command}
			if command != "list" && command != "stats" {
				args = append(args, "--all")
			}
			if out, err := p.Command(context.WithoutCancel(t.Context()), args...); err != nil && !strings.HasPrefix(out, "0 messages") {
				t.Errorf("queue %s: %s%v", command, out, err)
			}
			done.beat()
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// submitAll sends messages to u0@, u1@ and so on.
func (p *panel) submitAll(t *testing.T, n int) {
	t.Helper()
	c, err := interop.NewSubmitter(t.Context(), p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Quit()
	for i := range n {
		if _, err := c.Send("me@shop.example", []string{fmt.Sprintf("u%d@far.example", i)}, interop.Stuffed([]byte("Subject: x\r\n\r\nx\r\n"))); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitDistinct waits until n recipients have something.
func awaitDistinct(t *testing.T, far *interop.Sink, n int) {
	t.Helper()
	deadline := time.After(time.Minute)
	for more := far.Arrived(); len(timesEach(far)) < n; more = far.Arrived() {
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("%d of %d arrived", len(timesEach(far)), n)
		}
	}
}

func timesEach(far *interop.Sink) map[string]int {
	times := map[string]int{}
	for _, m := range far.Messages() {
		for _, to := range m.To() {
			times[to]++
		}
	}
	return times
}

func checkOnce(t *testing.T, far *interop.Sink, n int) {
	t.Helper()
	var wrong []string
	for to, times := range timesEach(far) {
		if times != 1 {
			wrong = append(wrong, fmt.Sprintf("%s %d times", to, times))
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 {
		t.Errorf("of %d messages: %s", n, strings.Join(wrong, ", "))
	}
}
