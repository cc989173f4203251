package queue

import (
	"context"
	"database/sql"
	"time"
)

// overdue lists, by message, recipients in parked lanes whose message expires or
// is to be warned about in a span of time.
func (e *engine) overdue(ctx context.Context, after, until int64, limit int) ([]*attempt, error) {
	var all []*attempt
	err := e.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.Query(`
SELECT`+attemptColumns+`, l.id, l.key
FROM panelmail_message AS m
	JOIN panelmail_recipient AS r ON r.message = m.id
	JOIN panelmail_lane AS l ON l.id = r.lane
WHERE (m.id IN (SELECT id FROM panelmail_message WHERE expires > ?1 AND expires <= ?2)
	OR m.id IN (SELECT id FROM panelmail_message WHERE warn > ?1 AND warn <= ?2))
	AND r.state = 0 AND l.parked > ?2
ORDER BY m.id, r.lane, r.position LIMIT ?3`, after, until, limit)
		if err != nil {
			return err
		}
		all, err = byMessage(rows)
		return err
	})
	return all, err
}

// pick reads recipients that are not being tried.
func (e *engine) pick(ctx context.Context, m Match, after place, limit int) ([]*attempt, error) {
	w, err := m.condition(time.Now())
	if err != nil {
		return nil, err
	}
	w.and(`r.state IN (0, 2) AND r.token IS NULL`)
	w.and(`(r.message, r.position) > (?, ?)`, after.message, after.position)
	var all []*attempt
	err = e.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.Query(`
SELECT`+attemptColumns+`, l.id, l.key
FROM panelmail_recipient AS r
	JOIN panelmail_message AS m ON m.id = r.message
	JOIN panelmail_lane AS l ON l.id = r.lane
WHERE `+w.String()+`
ORDER BY r.message, r.position LIMIT ?`, append(w.args, limit)...)
		if err != nil {
			return err
		}
		all, err = byMessage(rows)
		return err
	})
	return all, err
}

// byMessage gathers recipients of one message and lane that follow each other.
func byMessage(rows *sql.Rows) ([]*attempt, error) {
	defer func() { _ = rows.Close() }()
	var all []*attempt
	for rows.Next() {
		a := &attempt{}
		if err := a.scan(rows, &a.lane, &a.label); err != nil {
			return nil, err
		}
		if n := len(all); n > 0 && all[n-1].message == a.message && all[n-1].lane == a.lane {
			all[n-1].rows = append(all[n-1].rows, a.rows...)
			all[n-1].envelope.Recipients = append(all[n-1].envelope.Recipients, a.envelope.Recipients...)
			continue
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

func (e *engine) nextOverdue(ctx context.Context, after int64) (at int64, err error) {
	err = e.read.QueryRowContext(ctx, `
SELECT min(coalesce((SELECT min(expires) FROM panelmail_message WHERE expires > ?1), ?2),
	coalesce((SELECT min(warn) FROM panelmail_message WHERE warn > ?1), ?2))`, after, never).Scan(&at)
	return at, err
}
