package queue

import (
	"context"
	"time"
)

const (
	pruneEvery = 10 * time.Minute
	prunePause = 20 * time.Millisecond // between two steps, which mail flows in
)

// prune keeps the history and the file from growing without end.
func (s *scheduler) prune(ctx context.Context) {
	for pause(ctx, pruneEvery) == nil {
		if err := s.q.prune(ctx); err != nil && ctx.Err() == nil {
			s.q.o.Load().Log.ErrorContext(ctx, "the history was not pruned", "error", err)
		}
	}
}

func (q *Queue) prune(ctx context.Context) error {
	err := inSteps(ctx, func(bool) (bool, error) {
		now := micros(time.Now())
		before := int64(0)
		if q.o.Load().Retention > 0 {
			before = now - q.o.Load().Retention.Microseconds()
		}
		return q.store.prune(ctx, before, now)
	})
	if err != nil {
		return err
	}
	return inSteps(ctx, func(begun bool) (bool, error) { return q.store.vacuum(ctx, begun) })
}

// inSteps calls step until there is no more to do, with pauses.
func inSteps(ctx context.Context, step func(begun bool) (more bool, err error)) error {
	for begun := false; ; begun = true {
		more, err := step(begun)
		if err != nil || !more {
			return err
		}
		if err := pause(ctx, prunePause); err != nil {
			return err
		}
	}
}
