package queue

import (
	"context"
	"database/sql"
	"encoding/json"
)

const (
	// Somebody who wanted the lane tried, and was not heard yet, goes before.
	suspendLane = `
UPDATE panelmail_lane SET parked = ?1, reason = ?2, revive = 0
WHERE id = ?3 AND (parked <> ?1 OR reason <> ?2) AND (?4 OR NOT revive)`

	// Lanes that look as if nobody referred to them.
	idleLanes = `
SELECT id FROM panelmail_lane
WHERE id > ?1 AND due IS NULL AND parked <= ?2
ORDER BY id LIMIT ?3`

	deleteLanes = `
DELETE FROM panelmail_lane AS l
WHERE id IN (SELECT value FROM json_each(?1)) AND due IS NULL AND parked <= ?2 AND ` + nobodyIn

	// nobodyIn says of lane l that nobody is in it. What is final may name a lane that
	// is gone.
	nobodyIn = `NOT EXISTS (SELECT 1 FROM panelmail_recipient AS r WHERE r.state = 0 AND r.lane = l.id)
	AND NOT EXISTS (SELECT 1 FROM panelmail_recipient AS r WHERE r.state = 2 AND r.lane = l.id)
	AND id NOT IN (SELECT lane FROM panelmail_recipient WHERE token IS NOT NULL)`
)

// tidyStep is how many lanes one transaction looks at.
const tidyStep = 100

func (e *engine) park(ctx context.Context, now int64, lanes []parking) error {
	return e.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		for _, p := range lanes {
			if _, err := t.exec(suspendLane, p.until, p.reason, p.lane, p.revived); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}})
}

func (e *engine) tidy(ctx context.Context, now, from int64) (next int64, err error) {
	idle, err := e.idle(ctx, now, from)
	if err != nil || len(idle) == 0 {
		return 0, err
	}
	list, err := json.Marshal(idle)
	if err != nil {
		return 0, err
	}
	err = e.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		clear(t.lanes()) // what the batch has filed so far may name one of them
		_, err := t.exec(deleteLanes, string(list), now)
		return nil, err
	}})
	if len(idle) < tidyStep {
		return 0, err
	}
	return idle[len(idle)-1], err
}

func (e *engine) idle(ctx context.Context, now, from int64) (lanes []int64, err error) {
	err = e.view(ctx, func(tx *sql.Tx) error {
		lanes, err = column[int64](tx.Query(idleLanes, from, now, tidyStep))
		return err
	})
	return lanes, err
}
