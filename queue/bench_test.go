package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var content4K = append([]byte("Subject: benchmark\r\n\r\n"), bytes.Repeat([]byte("0123456789012345678901234567890123456789012345678901234567890\r\n"), 64)...)

// cpu is the processor time this process has used.
func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// produce enqueues n messages from as many goroutines as asked for.
func produce(b *testing.B, q *queue.Queue, producers, n, domains int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range producers {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(n) {
					return
				}
				m := queue.Message{Envelope: transport.Envelope{ReversePath: "a@site.test",
					Recipients: []transport.Recipient{{Address: fmt.Sprintf("user@d%d.test", i%int64(domains))}}}}
				if _, err := q.Enqueue(context.Background(), m, bytes.NewReader(content4K)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkEnqueue stores messages of 4 KiB; one iteration is one message.
func BenchmarkEnqueue(b *testing.B) {
	for _, producers := range []int{1, 8, 20, 50} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			q, err := queue.Open(b.Context(), filepath.Join(b.TempDir(), "q", "queue.db"), queue.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer q.Close()
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			produce(b, q, producers, b.N, 1)
			b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/msg")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// BenchmarkEndToEnd stores, claims and settles messages of 4 KiB with a
// transport that reads the content and delivers at once.
func BenchmarkEndToEnd(b *testing.B) {
	for _, domains := range []int{1, 1000} {
		b.Run(fmt.Sprintf("lanes=%d", domains), func(b *testing.B) {
			var left atomic.Int64
			done := make(chan struct{})
			left.Store(int64(b.N))
			q, err := queue.Open(b.Context(), filepath.Join(b.TempDir(), "q", "queue.db"), queue.Options{
				Observe: func(events []queue.Event) {
					for _, e := range events {
						if e.Kind == queue.Delivered && left.Add(-1) == 0 {
							close(done)
						}
					}
				},
			})
			if err != nil {
				b.Fatal(err)
			}
			defer q.Close()
			ok := transport.Outcome{Reply: transport.Reply{Code: 250, Enhanced: [3]int{2, 0, 0}, Text: "Ok"}}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error)
			go func() {
				ended <- q.Run(ctx, transport.Func(func(ctx context.Context, d *transport.Delivery) transport.Report {
					return d.All(ok)
				}))
			}()
			b.ReportAllocs()
			b.ResetTimer()
			start, before := time.Now(), cpu()
			produce(b, q, 50, b.N, domains)
			accepted := time.Since(start)
			<-done
			b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/msg")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			b.ReportMetric(float64(b.N)/accepted.Seconds(), "accept/s")
			cancel()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
		})
	}
}
