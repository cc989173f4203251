package queue

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// TestALaneIsIdleWhateverElseIsFiledInTheSameCommit files mail for later, or on
// hold, in a lane where mail is due.
func TestALaneIsIdleWhateverElseIsFiledInTheSameCommit(t *testing.T) {
	q, now := openInternal(t), micros(time.Now())
	for i, c := range []struct {
		filed  int64 // when mail is due that the commit files first
		state  State
		before int64 // and mail that was there
		want   bool
	}{
		{now + 1000, Waiting, now - 1000, false},
		{now - 1000, OnHold, now - 1000, false},
		{now - 1000, OnHold, now + 1000, true},
		{now + 1000, Waiting, now + 1000, true},
		{now - 1000, Waiting, now + 1000, false},
	} {
		label := fmt.Sprintf("/d%d.test", i)
		err := q.Update(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO panelmail_lane (key, due) VALUES (?, ?)`, label, c.before)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = q.store.(*engine).writer.do(t.Context(), &op{class: classEnqueue, apply: func(tx txn) ([]Event, error) {
			for range 2 { // what was found is remembered
				if _, err := file(tx, label, c.filed, c.state); err != nil {
					return nil, err
				}
				if _, idle, err := idleLane(tx, &express{label: label, now: now}); err != nil || idle != c.want {
					t.Errorf("case %d: idle %t, error %v", i, idle, err)
				}
			}
			return nil, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestAForeignWriteIsSeenThoughTheConnectionIsAnother has the connection be
// replaced between somebody else's write and the look for it.
func TestAForeignWriteIsSeenThoughTheConnectionIsAnother(t *testing.T) {
	q := openInternal(t)
	e := q.store.(*engine)
	for range 2 {
		if _, err := e.foreign(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	other, err := Open(t.Context(), q.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := e.writer.do(t.Context(), &op{class: classOther, apply: func(txn) ([]Event, error) {
		return nil, errors.New("disk I/O error")
	}}); err == nil {
		t.Fatal("no error")
	}
	if _, err := other.AddRule(t.Context(), Rule{Site: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := q.Update(t.Context(), func(*sql.Tx) error { return nil }); err != nil { // opens another
		t.Fatal(err)
	}
	if seen, err := e.foreign(t.Context()); !seen || err != nil {
		t.Errorf("seen %t, error %v", seen, err)
	}
}

// TestASiteBehindManyThatWaitIsFoundBesideABacklogOfAHigherClass claims as the
// scheduler does, while the interactive mail never ends.
func TestASiteBehindManyThatWaitIsFoundBesideABacklogOfAHigherClass(t *testing.T) {
	q, now := openInternal(t), micros(time.Now())
	const sites = 1000
	fillLane(t, q, sites, 1, false, now)
	s := newScheduler(q, transport.Func(nil))
	for range 300 {
		if err := q.Update(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`
INSERT OR REPLACE INTO panelmail_recipient (message, position, address, reverse_path, notify, orcpt, lane, class, site, state, due)
SELECT id, 1, 'i@far.test', '', 0, '', 1, 0, 'urgent', 0, ? FROM panelmail_message WHERE id <= 60`, now-5000)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		l := s.lane(1, "/far.test")
		l.full = true // it stays in memory
		w := want{lane: 1, label: "/far.test", attempts: 10, most: [priorities]int{10, 10, 10}, after: l.last}
		wants := []want{w}
		got, err := q.store.claim(t.Context(), claim{now: now, token: s.nextTokens(wants), lease: now + 1, wants: wants, limit: 1, rows: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got {
			if a.class == 1 {
				return
			}
		}
		s.answered(wants, nil, nil)
	}
	t.Error("not found in three hundred claims")
}
