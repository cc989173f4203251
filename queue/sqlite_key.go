package queue

import (
	"bytes"
	"context"
)

const (
	// A key whose time is over is anybody's.
	insertKey = `
INSERT INTO panelmail_key (site, key, sum, queue_id, until) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (site, key) DO UPDATE SET sum = excluded.sum, queue_id = excluded.queue_id, until = excluded.until
WHERE until <= ?6`

	selectKey = `SELECT sum, queue_id FROM panelmail_key WHERE site = ? AND key = ?`

	deleteKeys = `
DELETE FROM panelmail_key WHERE (site, key) IN (
	SELECT site, key FROM panelmail_key WHERE until <= ? ORDER BY until LIMIT ?)`
)

// forgetStep is how many keys are removed in one transaction.
const forgetStep = 1000

// takeKey files the record under its key. If that is taken by an equal one,
// r.twin is its queue ID, and there is nothing to store.
func takeKey(t txn, r *record) error {
	r.twin = ""
	if r.key == "" {
		return nil
	}
	res, err := t.exec(insertKey, r.origin.Site, r.key, r.sum, r.id, r.keyUntil, r.arrived)
	if err != nil || res.changed > 0 {
		return err
	}
	var sum []byte
	if err := t.row(selectKey, r.origin.Site, r.key).Scan(&sum, &r.twin); err != nil {
		return err
	}
	if !bytes.Equal(sum, r.sum) {
		return &refusedError{ErrKeyReused}
	}
	return nil
}

func (e *engine) forgetKeys(ctx context.Context, now int64) (more bool, err error) {
	err = e.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		res, err := t.exec(deleteKeys, now, forgetStep)
		more = res.changed == forgetStep
		return nil, err
	}})
	return more, err
}
