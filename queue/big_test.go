package queue

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"
)

// fill stores n messages with one recipient each as SQL does it fastest: of 1000
// sites, to 1000 lanes; one in ten was tried before.
func fill(tb testing.TB, q *Queue, n int) {
	tb.Helper()
	now := micros(time.Now())
	err := q.Update(tb.Context(), func(tx *sql.Tx) error {
		for _, statement := range []string{`
INSERT INTO panelmail_lane (key, due)
WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < 999)
SELECT '/d' || n || '.test', ?2 FROM i WHERE ?1 > 0`, `
INSERT INTO panelmail_message (queue_id, arrived, expires, size, reverse_path, smtputf8, body, ret, envid, requiretls,
	site, login, via, client, helo, uid, pid, script)
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?1)
SELECT printf('%016d', n), ?2 + n, ?2 + n + 432000000000, 4000, 'sender' || n || '@site' || (n % 1000) || '.test', 0, '', '', '', 0,
	'site' || (n % 1000), 'login' || (n % 1000), 'smtp', '192.0.2.' || (n % 250), 'client.test', -1, 0, '' FROM i`, `
INSERT INTO panelmail_recipient (message, position, address, reverse_path, notify, orcpt, lane, class, site, state, due,
	fresh, attempts, first, code, status, text, host)
SELECT id, 0, 'user' || id || '@d' || (id * 7 % 1000) || '.test', '', 0, '', 1 + id * 7 % 1000, 1, site, 0, arrived,
	id % 10 <> 0, id % 10 = 0, iif(id % 10 = 0, arrived, NULL), iif(id % 10 = 0, 450, 0), '', '', ''
FROM panelmail_message WHERE ?1 + ?2 > 0`, `
INSERT INTO panelmail_content (message, head, body) SELECT id, x'', zeroblob(100) FROM panelmail_message WHERE ?1 + ?2 > 0`,
		} {
			if _, err := tx.Exec(statement, n, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkAMillionMessages is what a person waits for when the queue is long.
// Each must take less than a second.
func BenchmarkAMillionMessages(b *testing.B) {
	ctx := b.Context()
	q, err := Open(ctx, filepath.Join(b.TempDir(), "q", "queue.db"), Options{Observe: func([]Event) {}})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	fill(b, q, 1_000_000)
	first := func(m Match) func() error {
		return func() error {
			n := 0
			for _, err := range q.Entries(ctx, m) {
				if err != nil {
					return err
				}
				if n++; n == entryPage {
					break
				}
			}
			return nil
		}
	}
	dry := func(f func(context.Context, Match) (int, error), m Match) func() error {
		m.DryRun = true
		return func() error { _, err := f(ctx, m); return err }
	}
	change := func(f func(context.Context, Match) (int, error), m Match) func() error {
		return func() error { _, err := f(ctx, m); return err }
	}
	for _, c := range []struct {
		name string
		f    func() error
	}{
		{"stats", func() error { _, err := q.Stats(ctx); return err }},
		{"ages", func() error { _, err := q.Ages(ctx, time.Minute, time.Hour, 24*time.Hour); return err }},
		{"list", first(Match{All: true})},
		{"list/id", first(Match{IDs: []string{"0000000000500000"}})},
		{"list/site", first(Match{Site: "site7"})},
		{"list/no-site", first(Match{Site: "none"})},
		{"list/sender", first(Match{Sender: "Sender900000@site0.test"})},
		{"list/recipient", first(Match{Recipient: "User900000@d0.test"})},
		{"list/no-domain", first(Match{Domain: "none.test"})},
		{"list/hold", first(Match{State: InState(OnHold)})},
		{"list/active", first(Match{State: InState(Active)})},
		{"list/old", first(Match{OlderThan: 24 * time.Hour})},
		{"list/untried", first(Match{Untried: true})},
		{"dry/site", dry(q.Hold, Match{Site: "site7"})},
		{"dry/all", dry(q.Hold, Match{All: true})},
		{"dry/domain", dry(q.Hold, Match{Domain: "d7.test"})},
		{"hold/site", change(q.Hold, Match{Site: "site7"})},
		{"release/site", change(q.Release, Match{Site: "site7"})},
		{"hold/recipient", change(q.Hold, Match{Recipient: "user900000@d0.test"})},
		{"hold/id", change(q.Hold, Match{IDs: []string{"0000000000500000"}})},
		{"release/all", change(q.Release, Match{All: true})},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := c.f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
