package queue

import (
	"database/sql"
	"errors"
)

const (
	// A lane in which nothing is due and that does not rest.
	selectIdleLane = `SELECT id FROM panelmail_lane WHERE key = ?1 AND parked <= ?2 AND (due IS NULL OR due > ?2)`

	insertLane = `INSERT INTO panelmail_lane (key) VALUES (?) ON CONFLICT (key) DO NOTHING RETURNING id`

	insertLeased = `
INSERT INTO panelmail_recipient (message, position, address, reverse_path, notify, orcpt,
	lane, class, site, state, due, attempts, first, lease, token)
VALUES (?, 0, ?, ?, ?, ?,  ?, ?, ?, 1, ?, 1, ?, ?, ?)`
)

// insertExpress writes the only recipient of a record as an attempt that has
// begun, if nothing else is due in its lane.
func insertExpress(t txn, r *record, message int64) (ok bool, err error) {
	x := r.express
	lane, ok, err := idleLane(t, x)
	if err != nil || !ok {
		return false, err
	}
	c := &r.envelope.Recipients[0]
	if _, err := t.exec(insertLeased, message, c.Address, c.ReversePath, int(c.Notify), c.ORcpt,
		lane, r.priority.class(), r.origin.Site, x.due, x.now, x.lease, x.token); err != nil {
		return false, err
	}
	x.lane, x.message, x.rules = lane, message, *t.rules()
	return true, nil
}

// idleLane returns the lane of a place, if nothing else is due in it.
func idleLane(t txn, x *express) (lane int64, ok bool, err error) {
	known := t.lanes()
	if k, ok := known[x.label]; ok && (k.idle || k.due <= x.now) {
		return k.lane, k.due > x.now, nil
	}
	err = t.row(selectIdleLane, x.label, x.now).Scan(&lane)
	if errors.Is(err, sql.ErrNoRows) {
		err = t.row(insertLane, x.label).Scan(&lane)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	known[x.label] = filed{lane, never, true}
	return lane, true, nil
}
