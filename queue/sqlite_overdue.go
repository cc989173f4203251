package queue

import (
	"context"
	"database/sql"
)

const (
	// From the index on expires, in its order: what else is in the queue costs
	// nothing.
	selectOverdue = `
SELECT` + attemptColumns + `, l.id, l.key, l.reason, r.state, coalesce(r.last, '')
FROM panelmail_message AS m
	CROSS JOIN panelmail_recipient AS r ON r.message = m.id
	CROSS JOIN panelmail_lane AS l ON l.id = r.lane
WHERE m.expires >= ?1 AND m.expires <= ?2 AND (m.expires, m.id, r.position) > (?1, ?3, ?4)
	AND r.state = 0 AND l.parked > ?6 AND (l.parked > ?2 OR m.expires <= ?6)
ORDER BY m.expires, m.id, r.position LIMIT ?5`

	selectNextOverdue = `SELECT coalesce((SELECT min(expires) FROM panelmail_message WHERE expires > ?), ?)`

	selectGivenUp = `
SELECT` + attemptColumns + `, l.id, l.key, l.reason, r.state, r.last
FROM panelmail_recipient AS r
	CROSS JOIN panelmail_message AS m ON m.id = r.message
	CROSS JOIN panelmail_lane AS l ON l.id = r.lane
WHERE r.last IS NOT NULL AND r.state IN (0, 2) AND r.token IS NULL
	AND (r.message, r.position) > (?, ?)
ORDER BY r.message, r.position LIMIT ?`
)

func (e *engine) overdue(ctx context.Context, after expiring, until, starved int64, limit int) ([]*attempt, error) {
	return e.unclaimed(ctx, selectOverdue, after.at, until, after.message, after.position, limit, starved)
}

func (e *engine) givenUp(ctx context.Context, after place, limit int) ([]*attempt, error) {
	return e.unclaimed(ctx, selectGivenUp, after.message, after.position, limit)
}

// unclaimed reads recipients that nobody tries.
func (e *engine) unclaimed(ctx context.Context, query string, args ...any) (all []*attempt, err error) {
	err = e.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		all, err = byMessage(rows)
		return err
	})
	return all, err
}

// byMessage gathers the recipients of one message and lane. Those of a message
// follow each other.
func byMessage(rows *sql.Rows) ([]*attempt, error) {
	defer func() { _ = rows.Close() }()
	var all []*attempt
	first := 0 // of the latest message
	for rows.Next() {
		a := &attempt{}
		var state State
		var reason, last string
		if err := a.scan(rows, &a.lane, &a.label, &reason, &state, &last); err != nil {
			return nil, err
		}
		a.rows[0].state, a.rows[0].last, a.rows[0].parked = state, last, reason
		if len(all) > 0 && all[first].message != a.message {
			first = len(all)
		}
		i := first
		for i < len(all) && all[i].lane != a.lane {
			i++
		}
		if i == len(all) {
			all = append(all, a)
			continue
		}
		all[i].rows = append(all[i].rows, a.rows...)
		all[i].envelope.Recipients = append(all[i].envelope.Recipients, a.envelope.Recipients...)
	}
	return all, rows.Err()
}

func (e *engine) nextOverdue(ctx context.Context, after int64) (at int64, err error) {
	err = e.read.QueryRowContext(ctx, selectNextOverdue, after, never).Scan(&at)
	return at, err
}
