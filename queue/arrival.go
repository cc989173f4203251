package queue

import (
	"context"
	"slices"
	"time"
)

// maxExpected is how many messages are remembered that were given to EnqueueTx.
const maxExpected = 1000

// stored tells Run of messages that were stored in this process.
func (q *Queue) stored(records ...*record) {
	if s := q.scheduler.Load(); s != nil {
		s.arrived(records)
	}
}

// arrived takes in which flows have new mail: a look-up for each recipient, or one
// for all that are filed together.
func (s *scheduler) arrived(records []*record) {
	now := micros(time.Now())
	s.mu.Lock()
	for _, r := range records {
		if r == nil || r.hold != "" {
			continue
		}
		if r.due > now {
			s.next = min(s.next, r.due)
			continue
		}
		f, last := flow{r.priority.class(), r.origin.Site}, ""
		for i, label := range r.labels {
			if i > 0 && label == last {
				continue
			}
			last = label
			if l := s.labels[label]; l != nil {
				l.arrived(f)
			} else {
				s.stale = true
			}
		}
	}
	s.mu.Unlock()
	s.notify()
}

// expect takes in a message that will be stored if its caller commits.
func (s *scheduler) expect(r *record) {
	r = &record{id: r.id, labels: r.labels, origin: r.origin, priority: r.priority, arrived: r.arrived, due: r.due, hold: r.hold}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expected = append(s.expected, r); len(s.expected) > maxExpected {
		s.expected = slices.Delete(s.expected, 0, 1)
	}
}

// welcome looks which of the messages expected are stored by now, of those that must
// not wait until what is claimed in their lanes is done. All others are found by the
// schedule.
func (s *scheduler) welcome(ctx context.Context) {
	ids := s.newcomers(time.Now())
	if len(ids) == 0 {
		return
	}
	entries, err := s.q.store.list(ctx, Match{IDs: ids}, 0, len(ids))
	if err != nil {
		if ctx.Err() == nil {
			s.q.o.Load().Log.ErrorContext(ctx, "new messages not found", "error", err)
		}
		return
	}
	stored := make(map[string]bool, len(entries))
	for i := range entries {
		stored[entries[i].ID] = true
	}
	var records []*record
	s.mu.Lock()
	s.expected = slices.DeleteFunc(s.expected, func(r *record) bool {
		if stored[r.id] {
			records = append(records, r)
		}
		return stored[r.id]
	})
	s.mu.Unlock()
	s.arrived(records)
}

// newcomers lists the messages expected that would be newcomers in their lanes. It
// forgets those whose transaction has had its time.
func (s *scheduler) newcomers(now time.Time) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.greet {
		return nil
	}
	s.greet = false
	s.expected = slices.DeleteFunc(s.expected, func(r *record) bool {
		return now.Sub(instant(r.arrived)) > outsideTail+outsideLate
	})
	for _, r := range s.expected {
		f := flow{r.priority.class(), r.origin.Site}
		if slices.ContainsFunc(r.labels, func(label string) bool {
			l := s.labels[label]
			return l != nil && l.ready.n > 0 && !l.ready.has(f)
		}) {
			ids = append(ids, r.id)
		}
	}
	return ids
}
