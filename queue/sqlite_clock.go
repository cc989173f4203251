package queue

import "context"

const (
	// From the index on expires.
	selectFuture = `
SELECT id FROM panelmail_message WHERE expires > ?3 AND arrived > ?2 LIMIT 1000`

	// A message that was to wait does so.
	reviseLanes = `
UPDATE panelmail_lane SET due = min(due, ?1), parked = min(parked, ?4)
WHERE due IS NOT NULL AND id IN (
	SELECT lane FROM panelmail_recipient WHERE state = 0 AND message IN (` + selectFuture + `))`

	reviseRecipients = `
UPDATE panelmail_recipient SET
	first = min(first, ?1),
	due = CASE
		WHEN attempts > 0 THEN min(due, ?4)
		WHEN (SELECT not_before FROM panelmail_message WHERE id = message) IS NULL THEN min(due, ?1)
		ELSE due END
WHERE message IN (` + selectFuture + `)`

	reviseMessages = `
UPDATE panelmail_message
SET arrived = ?1, expires = ?1 + expires - arrived, warn = ?1 + warn - arrived
WHERE id IN (` + selectFuture + `)`
)

func (e *engine) setBack(ctx context.Context, now, arrived, expires, due int64) (messages int, err error) {
	if messages, err = e.future(ctx, now, arrived, expires); messages == 0 || err != nil {
		return 0, err // nothing to write
	}
	err = e.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		for _, revise := range []string{reviseLanes, reviseRecipients} {
			if _, err := t.exec(revise, now, arrived, expires, due); err != nil {
				return nil, err
			}
		}
		res, err := t.exec(reviseMessages, now, arrived, expires)
		messages = int(res.changed)
		return nil, err
	}})
	return messages, err
}

// future counts what setBack would revise in one step.
func (e *engine) future(ctx context.Context, now, arrived, expires int64) (messages int, err error) {
	err = e.read.QueryRowContext(ctx, `SELECT count(*) FROM (`+selectFuture+`)`, now, arrived, expires).Scan(&messages)
	return messages, err
}
