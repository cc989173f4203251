package queue

import "time"

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
