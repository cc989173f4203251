package queue

import (
	"runtime"
	"time"
)

// A commit costs some twenty pages beside those of its ops. So after one of gatherFrom
// ops or more the next one waits until as many are there again.
const gatherFrom = 8

// gather lets others join: whoever was just answered may have more to write.
func (w *writer) gather() {
	runtime.Gosched()
	if w.delay < 0 || w.shared < gatherFrom || w.waiting() >= w.shared {
		return
	}
	t := time.NewTimer(w.delay)
	defer t.Stop()
	for w.waiting() < w.shared {
		select {
		case <-w.signal:
		case <-t.C:
			return
		}
	}
}

// waiting counts the ops for the next commit.
func (w *writer) waiting() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for class := range classLend {
		n += len(w.queues[class])
	}
	return n
}
