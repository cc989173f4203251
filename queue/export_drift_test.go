package queue

import "fmt"

// Drift lists what q's scheduler counts though nothing is under way: what is
// counted too often is missing for good.
func Drift(q *Queue) (drift []string) {
	s := q.scheduler.Load()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range []struct {
		name string
		n    int
	}{
		{"deliveries under way", s.running}, {"attempts", s.claimed}, {"attempts for newcomers", s.extra},
		{"recipients", s.rows}, {"tokens", len(s.tokens)}, {"places", len(s.places)}, {"sites", len(s.sites)},
		{"lanes to be parked", len(s.parks)}, {"lanes", len(s.lanes)}, {"labels", len(s.labels)},
	} {
		if c.n != 0 {
			drift = append(drift, fmt.Sprintf("%d %s", c.n, c.name))
		}
	}
	return drift
}
