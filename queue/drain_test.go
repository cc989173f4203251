package queue_test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var waiting = flag.Int("outage", 5000, "how many messages wait for the end of an outage of an hour; with -short a tenth of them")

// TestAQueueDrainsAfterAnOutage has a far end that takes a tenth of a second for
// each message defer all of them for an hour.
func TestAQueueDrainsAfterAnOutage(t *testing.T) {
	const domains, limit = 10, 20
	n := *waiting
	if testing.Short() {
		n /= 10
	}
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		x := &farEnd{busy: map[string]int{}, seconds: map[int64]int{}}
		q := open(t, path, queue.Options{Poll: -1, Concurrency: limit, Workers: domains * limit, DelayWarning: -1, Observe: x.observe})
		defer q.Close()
		stop := x.start(t, q)
		steady := x.drain(t, q, n, domains)
		stop()
		x.set(transport.Outcome{Reply: transport.Replyf(451, "4.3.2", "not now")})
		stop = x.start(t, q)
		x.fill(t, q, n, domains)
		time.Sleep(time.Minute) // the first attempts are over: the others are retries
		first, _ := x.attempts()
		time.Sleep(time.Hour)
		all, most := x.attempts()
		x.set(delivered)
		begun := time.Now()
		if touched, err := q.Retry(t.Context(), queue.Match{All: true}); touched != n || err != nil {
			t.Errorf("retried %d messages, error %v", touched, err)
		}
		x.wait(2 * n)
		took := time.Since(begun)
		stop()
		x.mu.Lock()
		defer x.mu.Unlock()
		t.Logf("outage: messages=%d attempts=%d in_one_second=%d most_at_once=%d steady=%v after=%v lost=%d other=%d",
			n, all, most, x.most, steady, took, 2*n-x.delivered, x.other)
		switch {
		case x.delivered != 2*n || x.other != 0:
			t.Errorf("%d delivered of %d, %d told of as anything else final", x.delivered, 2*n, x.other)
		case x.most > limit:
			t.Errorf("%d deliveries to one destination at once, the limit is %d", x.most, limit)
		case all-first < 3*n || most*20 > all-first:
			t.Errorf("%d retries, %d of them in one second", all-first, most)
		case took > steady*5/4:
			t.Errorf("drained in %v, which takes %v without an outage", took, steady)
		}
	})
}

// A farEnd takes a tenth of a second for whatever it says.
type farEnd struct {
	mu               sync.Mutex
	says             transport.Outcome
	busy             map[string]int // by domain
	most             int
	total            int
	seconds          map[int64]int // attempts, by second
	delivered, other int           // recipients told of as final
	ended            chan struct{}
	until            int
}

func (x *farEnd) set(o transport.Outcome) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.says, x.total = o, 0
	clear(x.seconds)
}

// attempts tells how many there were since the far end says what it says, and how
// many of those after the first minute in the busiest second.
func (x *farEnd) attempts() (all, most int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, n := range x.seconds {
		most = max(most, n)
	}
	clear(x.seconds)
	return x.total, most
}

func (x *farEnd) observe(events []queue.Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range events {
		switch {
		case e.Kind == queue.Delivered:
			x.delivered++
		case e.Kind.Final():
			x.other++
		}
	}
	if x.ended != nil && x.delivered+x.other >= x.until {
		close(x.ended)
		x.ended = nil
	}
}

// wait returns when so many recipients are settled.
func (x *farEnd) wait(n int) {
	ended := make(chan struct{})
	x.mu.Lock()
	x.until, x.ended = n, ended
	if x.delivered+x.other >= n {
		close(ended)
		x.ended = nil
	}
	x.mu.Unlock()
	<-ended
}

func (x *farEnd) start(t *testing.T, q *queue.Queue) (stop func()) {
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

func (x *farEnd) fill(t *testing.T, q *queue.Queue, n, domains int) {
	t.Helper()
	var producers sync.WaitGroup
	for p := range 50 {
		producers.Go(func() {
			for i := p; i < n; i += 50 {
				m := message(fmt.Sprintf("m%d@d%d.test", i, i%domains))
				if _, err := q.Enqueue(context.Background(), m, strings.NewReader("\r\n")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	producers.Wait()
}

// drain tells how long the delivery of n messages takes that are all there.
func (x *farEnd) drain(t *testing.T, q *queue.Queue, n, domains int) time.Duration {
	t.Helper()
	x.set(delivered)
	x.fill(t, q, n, domains)
	begun := time.Now()
	x.wait(n)
	return time.Since(begun)
}

func (x *farEnd) deliver(_ context.Context, d *transport.Delivery) transport.Report {
	x.mu.Lock()
	x.busy[d.Label]++
	x.most = max(x.most, x.busy[d.Label])
	x.total++
	x.seconds[time.Now().Unix()]++
	says := x.says
	x.mu.Unlock()
	time.Sleep(100 * time.Millisecond)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.busy[d.Label]--
	return d.All(says)
}
