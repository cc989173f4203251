package queue_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
)

// TestADiskThatGetsFullIsSeenSoon has a disk with ample space be too full from one
// moment to the next.
func TestADiskThatGetsFullIsSeenSoon(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		o := queue.Options{Poll: -1, MinFree: 1}
		q := open(t, path, o)
		defer q.Close()
		enqueue(t, q, "\r\n")
		o.MinFree = 1 << 60
		q.Reload(o)
		time.Sleep(100 * time.Millisecond)
		if _, err := q.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader("\r\n")); !errors.Is(err, queue.ErrFull) {
			t.Errorf("after 100 ms: %v", err)
		}
	})
}
