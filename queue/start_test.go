package queue

import (
	"testing"
	"time"
)

// TestOfLikeLanesThatWhichWaitedLongestStarts gives one place away after the other
// where there are more lanes than places.
func TestOfLikeLanesThatWhichWaitedLongestStarts(t *testing.T) {
	s := &scheduler{lanes: map[int64]*lane{}, labels: map[string]*lane{}, sites: map[string]int{}}
	var lanes []*lane
	for id := range int64(3) {
		l := s.lane(id, string(rune('a'+id)))
		l.limit = 5
		for message := range int64(3) {
			a := &attempt{lane: id, message: message, class: 1}
			a.origin.Site = "one"
			l.ready.add(a)
		}
		l.served, s.served = id, id+1
		lanes = append([]*lane{l}, lanes...)
	}
	got := ""
	c := newContest(lanes, s.sites)
	for i := c.first(); i >= 0; i = c.first() {
		l := c.entrants[i].l
		got += l.label
		c.begun(i, s.begin(l, time.Now()).origin.Site)
	}
	if want := "abcabcabc"; got != want {
		t.Errorf("lanes served: %s, want %s", got, want)
	}
}
