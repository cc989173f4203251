package queue

import (
	"bytes"
	"database/sql"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/transport"
)

// claimOne claims one attempt at a time in the first lane until there is none and
// returns the messages; then it returns when the lane is due.
func claimOne(t *testing.T, q *Queue, now int64) (messages []int64, due any) {
	t.Helper()
	for token := int64(1); ; token++ {
		w := want{lane: 1, label: "/far.test", attempts: 1, most: [priorities]int{1, 1, 1}}
		got, err := q.store.claim(t.Context(), claim{now: now, lease: now + 1, token: token, wants: []want{w}, limit: 50, rows: maxRows})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			break
		}
		messages = append(messages, got[0].message)
	}
	err := q.View(t.Context(), func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT due FROM panelmail_lane`).Scan(&due)
	})
	if err != nil {
		t.Fatal(err)
	}
	return messages, due
}

// storeSome stores n messages for one destination.
func storeSome(t *testing.T, q *Queue, n int, notBefore time.Time) {
	t.Helper()
	for range n {
		m := Message{Envelope: transport.Envelope{Recipients: []transport.Recipient{{Address: "bob@far.test"}}}, NotBefore: notBefore}
		if _, err := q.Enqueue(t.Context(), m, bytes.NewReader(nil)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatWasDueWhenItWasStoredStaysDueThoughTheClockIsSetBack claims an hour before
// the mail was stored: nothing would look for it again until then.
func TestWhatWasDueWhenItWasStoredStaysDueThoughTheClockIsSetBack(t *testing.T) {
	q, later := openInternal(t), time.Now().Add(time.Hour).Truncate(time.Second)
	storeSome(t, q, 2, time.Time{})
	storeSome(t, q, 1, later)
	got, due := claimOne(t, q, micros(time.Now().Add(-time.Hour)))
	if diff := cmp.Diff([]int64{1, 2}, got); diff != "" || due != micros(later) {
		t.Errorf("then the lane is due at %v, not at %v; claimed (-want +got):\n%s", due, micros(later), diff)
	}
}

// TestARetryTakesItsPlaceAmongFreshMail gives some of a flow's mail back, and has some
// wait, beside mail that nobody tried.
func TestARetryTakesItsPlaceAmongFreshMail(t *testing.T) {
	q := openInternal(t)
	storeSome(t, q, 6, time.Time{})
	now := micros(time.Now())
	err := q.Update(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`
UPDATE panelmail_recipient SET fresh = 0, attempts = 1, first = 1, due = CASE message
	WHEN 5 THEN (SELECT due + 1 FROM panelmail_recipient WHERE message = 2)
	WHEN 1 THEN ?1 + 1
	ELSE due END
WHERE message IN (1, 3, 5)`, now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got, due := claimOne(t, q, now)
	if diff := cmp.Diff([]int64{2, 5, 3, 4, 6}, got); diff != "" || due != now+1 {
		t.Errorf("then the lane is due at %v, not at %v; claimed (-want +got):\n%s", due, now+1, diff)
	}
}
