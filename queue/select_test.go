package queue

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// TestALongQueueIsNotSearchedMessageByMessage has SQLite say how it would find
// out: through an index, or in one go through one table.
func TestALongQueueIsNotSearchedMessageByMessage(t *testing.T) {
	q := openInternal(t)
	plan := func(s selection, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		query, args := s.numbers(1, 200)
		return explain(t, q, query, args)
	}
	now := time.Now()
	rule := Rule{Site: "one", Domain: "far.test"}
	for _, c := range []struct {
		name, plan, first string
		with              []string
	}{
		{"all", plan(Match{All: true}.selection(now)), "SEARCH r USING PRIMARY KEY (message>?)", nil},
		{"a site", plan(Match{Site: "one"}.selection(now)), "SEARCH m USING COVERING INDEX panelmail_message_site (site=? AND id>?)", []string{"SEARCH r EXISTS USING PRIMARY KEY (message=?)"}},
		{"a rule", plan(rule.selection(), nil), "SEARCH m USING COVERING INDEX panelmail_message_site (site=? AND id>?)", []string{"SEARCH r EXISTS USING PRIMARY KEY (message=?)"}},
		{"an ID", plan(Match{IDs: []string{"x"}}.selection(now)), "SEARCH m USING COVERING INDEX sqlite_autoindex_panelmail_message_1 (queue_id=? AND rowid>?)", nil},
		{"a recipient", plan(Match{Recipient: "a@b.test"}.selection(now)), "SEARCH r USING PRIMARY KEY (message>?)", nil},
		{"a recipient's sender", plan(Match{Recipient: "a@b.test", Sender: "c"}.selection(now)), "SEARCH r USING PRIMARY KEY (message>?)",
			[]string{"SEARCH m USING INTEGER PRIMARY KEY (rowid=?)"}},
		{"waiting", explain(t, q, sumWaiting, nil), "SCAN panelmail_recipient USING COVERING INDEX panelmail_recipient_waiting", nil},
		{"held", explain(t, q, sumHeld, nil), "SCAN panelmail_recipient USING COVERING INDEX panelmail_recipient_held", nil},
		{"messages", explain(t, q, sumMessages, nil), "SCAN panelmail_message USING COVERING INDEX panelmail_message_site", nil},
	} {
		lines := strings.Split(c.plan, "\n")
		for _, want := range c.with {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: no %q:\n%s", c.name, want, c.plan)
			}
		}
		if lines[0] != c.first {
			t.Errorf("%s: not first %q:\n%s", c.name, c.first, c.plan)
		}
	}
}

// TestAChangeTellsHowFarItIs changes enough for three steps, one of which ends
// inside of a message.
func TestAChangeTellsHowFarItIs(t *testing.T) {
	q := openInternal(t)
	m := Message{Envelope: transport.Envelope{Recipients: make([]transport.Recipient, 700)}}
	for i := range m.Envelope.Recipients {
		m.Envelope.Recipients[i].Address = "bob@far.test"
	}
	for range 3 {
		if _, err := q.Enqueue(t.Context(), m, bytes.NewReader(nil)); err != nil {
			t.Fatal(err)
		}
	}
	var told []int
	n, err := q.Hold(t.Context(), Match{All: true, Progress: func(done int) {
		if _, err := q.Stats(t.Context()); err != nil { // nothing is held meanwhile
			t.Error(err)
		}
		told = append(told, done)
	}})
	if n != 3 || err != nil || !slices.Equal(told, []int{2, 3, 3}) {
		t.Errorf("touched %d messages, error %v, told %v", n, err, told)
	}
	s, err := q.Stats(t.Context())
	if err != nil || s.Hold != 2100 {
		t.Errorf("%d on hold, error %v", s.Hold, err)
	}
}
