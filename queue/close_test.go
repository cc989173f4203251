package queue_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func TestRunOnAClosedQueueSaysSo(t *testing.T) {
	q := open(t, newPath(t), queue.Options{})
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if err := q.Run(t.Context(), transport.Func(nil)); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("run: %v", err)
	}
}

// TestCloseMayComeBesideRun has the race detector look on.
func TestCloseMayComeBesideRun(t *testing.T) {
	for range 20 {
		q := open(t, newPath(t), queue.Options{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := q.Run(t.Context(), transport.Func(nil)); err != nil && !errors.Is(err, queue.ErrClosed) {
				t.Errorf("run: %v", err)
			}
		})
		wg.Go(func() {
			if err := q.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		wg.Wait()
	}
}
