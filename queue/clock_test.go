package queue_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// instants are all columns that hold one.
var instants = map[string][]string{
	"panelmail_message":   {"arrived", "expires", "warn", "not_before"},
	"panelmail_recipient": {"due", "first", "lease"},
	"panelmail_lane":      {"due", "parked"},
	"panelmail_event":     {"at", "due"},
}

// jump sets the clock forward or back: nothing but the distance between the clock
// and what is stored can be seen, so everything stored is moved the other way.
func jump(t *testing.T, q *queue.Queue, by time.Duration) {
	t.Helper()
	for table, columns := range instants {
		var set []string
		for _, c := range columns {
			set = append(set, fmt.Sprintf("%s = %s - %d", c, c, by.Microseconds()))
		}
		fill(t, q, "UPDATE "+table+" SET "+strings.Join(set, ", "))
	}
}

// TestAClockThatJumpsExpiresNothingAndMakesNoBurst sets the clock while some mail
// waits for its next attempt and some for a lane with room.
func TestAClockThatJumpsExpiresNothingAndMakesNoBurst(t *testing.T) {
	const year, n = 365 * 24 * time.Hour, 100
	for _, c := range []struct {
		by      time.Duration
		running bool          // Run goes on; otherwise it was stopped meanwhile
		within  time.Duration // after which everything was tried again
	}{
		{time.Hour, false, time.Hour}, {time.Hour, true, 2 * time.Hour},
		{-time.Hour, false, 2 * time.Hour}, {-time.Hour, true, 2 * time.Hour},
		{year, false, time.Hour}, {year, true, 2 * time.Hour},
		{-year, false, 5 * time.Hour}, {-year, true, 6 * time.Hour},
		{10 * time.Minute, true, time.Hour}, // a machine that was stopped: its timers stood still
	} {
		name := fmt.Sprintf("%v, running %v", c.by, c.running)
		path := newPath(t)
		synctest.Test(t, func(t *testing.T) {
			x := &jumped{tries: map[string]int{}}
			q := open(t, path, queue.Options{Poll: -1, Concurrency: 10, Observe: x.observe})
			defer q.Close()
			stop := x.start(t, q)
			for i := range n {
				if _, err := q.Enqueue(t.Context(), message(fmt.Sprintf("m%d@far.test", i)), strings.NewReader("\r\n")); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(6 * time.Minute) // one attempt each, or two
			synctest.Wait()
			before := x.clear()
			if c.running {
				jump(t, q, c.by)
			} else {
				stop()
				jump(t, q, c.by)
				stop = x.start(t, q)
			}
			time.Sleep(c.within)
			synctest.Wait()
			after := x.clear()
			if len(before) != n || len(after) != n {
				t.Errorf("%s: %d messages were tried before and %d after", name, len(before), len(after))
			}
			for address, tries := range after {
				if most := 2 + int(c.within/(5*time.Minute)); tries > most {
					t.Fatalf("%s: %s was tried %d times in %v", name, address, tries, c.within)
				}
			}
			x.mu.Lock()
			if x.most > 10 || x.early > 0 {
				t.Errorf("%s: %d deliveries at once, %d expired without an attempt since", name, x.most, x.early)
			}
			x.mu.Unlock()
			stop()
		})
	}
}

// jumped is a far end that defers everything, and its memory.
type jumped struct {
	mu        sync.Mutex
	tries     map[string]int
	now, most int
	early     int // expired without an attempt since the last clear
}

func (x *jumped) observe(events []queue.Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range events {
		if e.Kind == queue.Expired && x.tries[e.Recipient] == 0 {
			x.early++
		}
	}
}

// clear returns what was tried since the last time.
func (x *jumped) clear() map[string]int {
	x.mu.Lock()
	defer x.mu.Unlock()
	was := x.tries
	x.tries = map[string]int{}
	return was
}

// start runs q until the function that it returns is called.
func (x *jumped) start(t *testing.T, q *queue.Queue) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx, transport.Func(x.deliver)) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

func (x *jumped) deliver(_ context.Context, d *transport.Delivery) transport.Report {
	if d.Origin.Via == transport.ViaBounce {
		return d.All(delivered)
	}
	x.mu.Lock()
	x.now++
	x.most = max(x.most, x.now)
	x.tries[d.Envelope.Recipients[0].Address]++
	x.mu.Unlock()
	time.Sleep(100 * time.Millisecond)
	x.mu.Lock()
	x.now--
	x.mu.Unlock()
	return d.All(transport.Outcome{Reply: transport.Replyf(451, "4.7.1", "later")})
}
