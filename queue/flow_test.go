package queue

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fillLane fills a lane: sites whose mail is due in an hour, with odd numbers, and
// bulk messages of a site in the middle that are due, fresh or not.
func fillLane(t *testing.T, q *Queue, sites, bulk int, fresh bool, now int64) {
	t.Helper()
	for _, s := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO panelmail_lane (id, key, due) VALUES (1, '/far.test', ?)`, []any{now}},
		{`
INSERT INTO panelmail_message (id, queue_id, arrived, expires, size, reverse_path, smtputf8, body, ret, envid, requiretls,
	site, login, via, client, helo, uid, pid, script)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2 + ?3)
SELECT i, printf('Q%015d', i), ?1, ?1 + 86400000000, 0, '', 0, '', '', '', 0,
	CASE WHEN i <= ?2 THEN printf('s%06d', 2 * i + 1) ELSE printf('s%06d', ?2 / 2 * 2) END, '', '', '', '', 0, 0, '' FROM n`,
			[]any{now, sites, bulk}},
		{`
INSERT INTO panelmail_recipient (message, position, address, reverse_path, notify, orcpt, lane, class, site, state, due, fresh)
SELECT id, 0, 'u@far.test', '', 0, '', 1, 1, site, 0, CASE WHEN id <= ?2 THEN ?1 + 3600000000 ELSE ?1 - 1000 END, id > ?2 AND ?3 FROM panelmail_message`,
			[]any{now, sites, fresh}},
	} {
		if err := q.Update(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(s.query, s.args...); return err }); err != nil {
			t.Fatal(err)
		}
	}
}

func openInternal(t *testing.T) *Queue {
	t.Helper()
	q, err := Open(t.Context(), filepath.Join(t.TempDir(), "q", "queue.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

// counting counts the statements of a transaction.
type counting struct {
	txn
	n int
}

func (c *counting) query(query string, args ...any) (*sql.Rows, error) {
	c.n++
	return c.txn.query(query, args...)
}

func (c *counting) row(query string, args ...any) *sql.Row {
	c.n++
	return c.txn.row(query, args...)
}

// TestSitesThatWaitForARetryMakeNoClaimDear counts what a claim and the filing of
// a lane ask of the database.
func TestSitesThatWaitForARetryMakeNoClaimDear(t *testing.T) {
	for _, x := range []struct {
		bulk  int
		fresh bool
	}{{1, false}, {1000, false}, {1, true}, {1000, true}} {
		q, now, bulk := openInternal(t), micros(time.Now()), x.bulk
		fillLane(t, q, 2000, bulk, x.fresh, now)
		w := want{lane: 1, label: "/far.test", attempts: 10, most: [priorities]int{10, 10, 10}}
		err := q.store.(*engine).writer.do(t.Context(), &op{class: classOther, apply: func(t2 txn) ([]Event, error) {
			c := &counting{txn: t2}
			k := claiming{txn: c, claim: &claim{now: now, token: 1, limit: 50}, rows: maxRows}
			err := k.want(&w)
			if want := min(bulk, w.attempts); err != nil || len(k.got) != want {
				t.Errorf("claimed %d of %d, error %v", len(k.got), want, err)
			}
			if most := 2*(fewFlows+flowFactor*w.attempts) + 5; c.n > most {
				t.Errorf("%d messages due beside 2,000 sites: %d statements for %d attempts", bulk, c.n, w.attempts)
			}
			return nil, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestASiteIsFoundBehindABacklogAndManyThatWait claims from a lane until the one
// message is found that is due neither early nor at a site nearby.
func TestASiteIsFoundBehindABacklogAndManyThatWait(t *testing.T) {
	q, now := openInternal(t), micros(time.Now())
	fillLane(t, q, 500, 2000, false, now)
	err := q.Update(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE panelmail_recipient SET site = 's9', due = ? WHERE message = 500`, now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w := want{lane: 1, label: "/far.test", attempts: 5, most: [priorities]int{5, 5, 5}}
	var sites []string
	for range 500/(flowFactor*w.attempts) + 1 {
		got, err := q.store.claim(t.Context(), claim{now: now, lease: now + 1, token: 1, wants: []want{w}, limit: 50, rows: maxRows})
		if err != nil || len(got) == 0 {
			t.Fatalf("claimed %d, error %v", len(got), err)
		}
		for _, a := range got {
			if len(sites) == 0 || sites[len(sites)-1] != a.origin.Site {
				sites = append(sites, a.origin.Site)
			}
		}
		w.after[1] = got[0].next
		if stateOf(t, q, 500) != 0 {
			return
		}
	}
	t.Errorf("not claimed; served %v", sites)
}

// stateOf returns the state of a message's first recipient.
func stateOf(t *testing.T, q *Queue, message int64) (state int) {
	t.Helper()
	err := q.View(t.Context(), func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT state FROM panelmail_recipient WHERE message = ?`, message).Scan(&state)
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestTheSitesDueTakeTurns(t *testing.T) {
	all := []string{"a", "b", "c", "d"}
	for _, x := range []struct {
		name  string
		after string
		n     int
		want  []string
		next  string
	}{
		{"at first", "", 2, []string{"a", "b"}, "b"},
		{"then those behind them", "b", 2, []string{"c", "d"}, "d"},
		{"then round", "c", 2, []string{"d", "a"}, "a"},
		{"after one that has nothing any more", "bb", 1, []string{"c"}, "c"},
		{"after the last", "e", 1, []string{"a"}, "a"},
		{"none", "a", 9, nil, "a"},
		{"all of them, and another is first the next time", "a", 9, []string{"b", "c", "d", "a"}, "b"},
	} {
		t.Run(x.name, func(t *testing.T) {
			due := all
			if x.want == nil {
				due = nil
			}
			sites, next := inTurn(due, x.after, x.n)
			if diff := cmp.Diff(x.want, sites); diff != "" || next != x.next {
				t.Errorf("next %v; sites (-want +got):\n%s", next, diff)
			}
		})
	}
}

// TestTheScheduleIsReadFromItsIndexes has SQLite say how it would find out.
func TestTheScheduleIsReadFromItsIndexes(t *testing.T) {
	q := openInternal(t)
	for _, c := range []struct {
		name, query, index string
		args               []any
	}{
		{"flows due", firstFlows, "panelmail_recipient_due (lane=? AND due<?)", []any{1, 1, 1}},
		{"a lane's due time", laneDueAt, "panelmail_recipient_due (lane=?)", []any{1}},
		{"the first of a lane", firstTwo, "COVERING INDEX panelmail_recipient_waiting (lane=? AND fresh=?)", []any{1}},
		{"the next site", nextSite, "panelmail_recipient_waiting (lane=? AND fresh=? AND class=? AND site>?)", []any{1, 1, 1, ""}},
		{"the next class", nextClass, "panelmail_recipient_waiting (lane=? AND fresh=? AND class>?)", []any{1, 1, 1}},
		{"lanes due", selectDue, "panelmail_lane_wake", []any{"[]", 1}},
		{"lanes due last", selectLatest, "panelmail_lane_wake (wake<?)", []any{"[]", 1, 1}},
		{"attempts lost", selectLost, "panelmail_recipient_leased (lease<?)", []any{1}},
		{"lanes of attempts lost", lowerLost, "panelmail_recipient_leased (lease<?)", []any{1}},
		{"the end of attempts lost", endLost, "panelmail_recipient_leased (lease<?)", []any{1, "", "", 1}},
		{"uploads of others", disownUploads, "panelmail_upload_open (owner>?)", []any{1}},
		{"uploads of nobody", selectOrphan, "panelmail_upload_open (owner=?)", nil},
		{"what expires next", selectNextOverdue, "panelmail_message_expires (expires>?)", []any{1, 1}},
		{"the head of a flow", headOfFlow, "panelmail_recipient_waiting (lane=? AND fresh=? AND class=? AND site=? AND due<?)", []any{1, 1, 1, "", 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.Contains(c.query, "fresh = ?") || strings.Contains(c.query, "state = ?") {
				t.Error("it is planned anew each time")
			}
			plan := explain(t, q, c.query, c.args)
			if !strings.Contains(plan, c.index) {
				t.Errorf("no search by %s:\n%s", c.index, plan)
			}
			if strings.Contains(plan, "ORDER BY") && c.query != firstFlows {
				t.Errorf("it sorts:\n%s", plan)
			}
		})
	}
}

func explain(t *testing.T, q *Queue, query string, args []any) string {
	t.Helper()
	var plan []string
	err := q.View(context.Background(), func(tx *sql.Tx) error {
		rows, err := tx.Query(`EXPLAIN QUERY PLAN `+query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return err
			}
			plan = append(plan, detail)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}
