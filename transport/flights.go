package transport

import (
	"context"
	"sync"
)

// flights lets one of those who want the same at once do the work. Its zero value is
// ready for use.
type flights[K comparable, V any] struct {
	mu    sync.Mutex
	under map[K]*flight[V]
}

type flight[V any] struct {
	landed chan struct{}
	value  V
	err    error
	broken bool // who did the work had no more time for it
}

// do returns what work returns, now or to another who began before and has not ended.
// The error is that of ctx if it is done first.
func (f *flights[K, V]) do(ctx context.Context, key K, work func() (V, error)) (V, error) {
	for {
		f.mu.Lock()
		other, ok := f.under[key]
		if !ok {
			if f.under == nil {
				f.under = make(map[K]*flight[V])
			}
			own := &flight[V]{landed: make(chan struct{}), broken: true}
			f.under[key] = own
			f.mu.Unlock()
			defer f.land(key, own)
			own.value, own.err = work()
			own.broken = ctx.Err() != nil
			return own.value, own.err
		}
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		case <-other.landed:
			if !other.broken {
				return other.value, other.err
			}
		}
	}
}

func (f *flights[K, V]) land(key K, own *flight[V]) {
	f.mu.Lock()
	delete(f.under, key)
	f.mu.Unlock()
	close(own.landed)
}
