package queue_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A tarpit takes an hour for its first message, and a second for each other.
type tarpit struct {
	mu        sync.Mutex
	begun     int
	delivered int
}

func (x *tarpit) deliver(_ context.Context, d *transport.Delivery) transport.Report {
	x.mu.Lock()
	x.begun++
	took := time.Second
	if x.begun == 1 {
		took = time.Hour
	}
	x.mu.Unlock()
	time.Sleep(took)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.delivered++
	return d.All(delivered)
}

func (x *tarpit) want(t *testing.T, n int) {
	t.Helper()
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.delivered != n {
		t.Errorf("%d delivered, want %d", x.delivered, n)
	}
}

// TestASlowDeliveryStopsNobodyBehindIt has what is known of a lane forgotten, or
// more mail come in it from elsewhere, while one of its deliveries goes on and on.
func TestASlowDeliveryStopsNobodyBehindIt(t *testing.T) {
	for name, disturb := range map[string]func(t *testing.T, q, other *queue.Queue){
		"nothing happens": func(*testing.T, *queue.Queue, *queue.Queue) {},
		"a person holds other mail": func(t *testing.T, q, _ *queue.Queue) {
			id := mustEnqueue(t, q, message("u@near.test"))
			if _, err := q.Hold(t.Context(), queue.Match{IDs: []string{id}}); err != nil {
				t.Fatal(err)
			}
		},
		"mail comes from elsewhere": func(t *testing.T, q, other *queue.Queue) {
			mustEnqueue(t, other, message("u@far.test"))
			q.Wake()
		},
	} {
		for _, backlog := range []int{6, 100} {
			t.Run(fmt.Sprintf("%s, %d wait", name, backlog), func(t *testing.T) {
				path := newPath(t)
				synctest.Test(t, func(t *testing.T) {
					q, other := open(t, path, queue.Options{Poll: -1, Concurrency: 2}), open(t, path, queue.Options{Poll: -1})
					defer other.Close()
					defer q.Close()
					for range backlog {
						mustEnqueue(t, q, message("u@far.test"))
					}
					x := &tarpit{}
					runContext(t, q, x.deliver)
					time.Sleep(1500 * time.Millisecond)
					disturb(t, q, other)
					time.Sleep(2 * time.Minute)
					var left []string
					for e, err := range q.Entries(t.Context(), queue.Match{All: true}) {
						if err != nil {
							t.Fatal(err)
						}
						for _, r := range e.Recipients {
							if r.State == queue.Waiting {
								left = append(left, r.Address)
							}
						}
					}
					if len(left) > 0 {
						t.Errorf("%d still wait, though the lane has room", len(left))
					}
				})
			})
		}
	}
}

// TestARateIsUsedBesideASlowDelivery has a transport begin one delivery in a lane
// each few seconds, whatever goes on there.
func TestARateIsUsedBesideASlowDelivery(t *testing.T) {
	for _, every := range []time.Duration{500 * time.Millisecond, 5 * time.Second} {
		for _, burst := range []int{1, 3} {
			t.Run(fmt.Sprint(every, burst), func(t *testing.T) {
				path := newPath(t)
				synctest.Test(t, func(t *testing.T) {
					q := open(t, path, queue.Options{Poll: -1})
					defer q.Close()
					const n = 30
					for range n {
						mustEnqueue(t, q, message("u@far.test"))
					}
					x := &tarpit{}
					paid := time.Now() // all that began is paid for then
					free := func() int {
						return int((time.Duration(burst)*every - max(0, time.Until(paid))) / every)
					}
					runShaped(t, q, &shaped{
						Func: func(ctx context.Context, d *transport.Delivery) transport.Report {
							x.mu.Lock()
							if free() < 1 {
								x.mu.Unlock()
								return d.All(transport.Outcome{RetryAfter: time.Second})
							}
							if paid.Before(time.Now()) {
								paid = time.Now()
							}
							paid = paid.Add(every)
							x.mu.Unlock()
							return x.deliver(ctx, d)
						},
						room: func(string) transport.Room {
							x.mu.Lock()
							defer x.mu.Unlock()
							if f := free(); f > 0 {
								return transport.Room{Free: f}
							}
							return transport.Room{Until: paid.Add(-time.Duration(burst-1) * every)}
						},
					})
					time.Sleep(n*max(every, time.Second)*3/2 + time.Minute)
					x.want(t, n-1)
				})
			})
		}
	}
}

// TestMailBehindWhatExpiresUntriedIsTried has an attempt that fills the memory be
// handed back when its time is over.
func TestMailBehindWhatExpiresUntriedIsTried(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		const most = 20_000
		q := open(t, path, queue.Options{Poll: -1, RecipientLimit: most})
		defer q.Close()
		large := message()
		large.Envelope.ReversePath, large.Lifetime = "", time.Minute
		for i := range most {
			large.Envelope.Recipients = append(large.Envelope.Recipients, transport.Recipient{Address: fmt.Sprintf("u%d@far.test", i)})
		}
		mustEnqueue(t, q, large)
		mustEnqueue(t, q, message("last@far.test"))
		time.Sleep(time.Hour)
		n := 0
		run(t, q, func(d *transport.Delivery) transport.Report {
			if len(d.Envelope.Recipients) > 1 {
				return nil
			}
			n++
			return d.All(delivered)
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if n != 1 {
			t.Errorf("%d deliveries of what waits behind it", n)
		}
	})
}

// What is delivered and not written down is what a crash repeats.
func TestDeliveriesWaitForTheOutcomesOfOthersToBeWritten(t *testing.T) {
	const concurrency, most = 5, 15
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1, Concurrency: concurrency})
		defer q.Close()
		queue.Sabotage(q, "settlements take an hour")
		for range 4 * most {
			mustEnqueue(t, q, message("u@far.test"))
		}
		var begun atomic.Int64
		runContext(t, q, func(_ context.Context, d *transport.Delivery) transport.Report {
			begun.Add(1)
			return d.All(delivered)
		})
		for i := range int64(3) {
			time.Sleep(time.Minute)
			if n := begun.Load(); n != (i+1)*most {
				t.Errorf("hour %d: %d deliveries, want %d", i, n, (i+1)*most)
			}
			time.Sleep(59 * time.Minute)
		}
	})
}
