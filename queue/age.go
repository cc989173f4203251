package queue

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// AgeStats counts the recipients filed under a label by the age of their
// messages.
type AgeStats struct {
	Label string
	Count []int // one for each bound: younger than it and no younger than the one before; and one for the rest
}

// Total is how many recipients there are.
func (s AgeStats) Total() int {
	n := 0
	for _, c := range s.Count {
		n += c
	}
	return n
}

// Ages counts what is in the queue, on hold or not, by label and age since
// arrival, the fullest label first. The bounds must ascend; at most 100 are
// taken. It reads every recipient and message: about a second a million.
func (q *Queue) Ages(ctx context.Context, bounds ...time.Duration) ([]AgeStats, error) {
	if len(bounds) > 100 || !slices.IsSorted(bounds) {
		return nil, fmt.Errorf("queue: %d bounds of age that do not ascend, or are more than 100", len(bounds))
	}
	return q.store.ages(ctx, micros(time.Now()), bounds)
}
