package queue

import (
	"context"
	"errors"
	"slices"
)

const (
	// The common end: all of the attempt's recipients and nobody else's are open,
	// so the message goes at once, and takes recipients and content with it.
	deleteSettled = `DELETE FROM panelmail_message WHERE id = ?1 AND ` + allOurs
	allOurs       = `NOT EXISTS (
	SELECT 1 FROM panelmail_recipient
	WHERE message = ?1 AND state < 3 AND (token IS NULL OR token <> ?2))
AND (SELECT count(*) FROM panelmail_recipient WHERE message = ?1 AND token = ?2) = ?3`

	deleteFinished = `
DELETE FROM panelmail_message WHERE id = ?1 AND NOT EXISTS (
	SELECT 1 FROM panelmail_recipient WHERE message = ?1 AND state < 3)`

	releaseUpload = `
UPDATE panelmail_upload SET owner = 0
WHERE id = (SELECT upload FROM panelmail_content WHERE message = ?1) AND NOT EXISTS (
	SELECT 1 FROM panelmail_recipient WHERE message = ?1 AND state < 3)`

	settleFinal = `
UPDATE panelmail_recipient
SET state = ?, token = NULL, lease = NULL, code = ?, status = ?, text = ?, host = ?
WHERE message = ? AND position = ? AND token = ?`

	// Nobody tries it: what was read must still be so.
	settleUnclaimed = `
UPDATE panelmail_recipient
SET state = ?, code = ?, status = ?, text = ?, host = ?
WHERE message = ? AND position = ? AND token IS NULL AND state = +? AND last IS ?
	AND EXISTS (SELECT 1 FROM panelmail_message AS m WHERE m.id = panelmail_recipient.message AND m.expires <= ?)`

	// A recipient that was put on hold during its attempt stays on hold.
	settleOpen = `
UPDATE panelmail_recipient
SET state = CASE state WHEN 1 THEN ? ELSE state END, token = NULL, lease = NULL, due = ?,
	code = ?, status = ?, text = ?, host = ?
WHERE message = ? AND position = ? AND token = ? AND first IS ? AND last IS ?`

	// An attempt that was not made leaves no trace.
	settleUntried = `
UPDATE panelmail_recipient
SET state = CASE state WHEN 1 THEN 0 ELSE state END, token = NULL, lease = NULL,
	due = ?, attempts = ?, first = ?
WHERE message = ? AND position = ? AND token = ? AND first IS ? AND last IS ?`

	// A person requeued or gave up the recipient since it was read.
	stillLeased = `SELECT count(*) FROM panelmail_recipient WHERE message = ? AND position = ? AND token = ?`

	selectFresh = `
SELECT m.expires, coalesce(m.warn, 0), r.position, r.attempts, coalesce(r.first, 0), coalesce(r.last, '')
FROM panelmail_recipient AS r JOIN panelmail_message AS m ON m.id = r.message
WHERE r.message = ? AND r.token = ?`

	lowerLaneDue = `UPDATE panelmail_lane SET due = min(coalesce(due, ?1), ?1) WHERE id = ?2`
	parkLane     = `
UPDATE panelmail_lane SET reason = CASE WHEN parked > ?3 THEN reason ELSE '' END, parked = max(parked, ?1)
WHERE id = ?2`
	takeWarning = `UPDATE panelmail_message SET warn = NULL WHERE id = ? AND warn IS NOT NULL`
)

func (e *engine) settle(ctx context.Context, s *settlement) error {
	return e.writer.do(ctx, &op{class: classSettle, apply: func(t txn) ([]Event, error) {
		return e.settleIn(t, s)
	}})
}

func (e *engine) settleIn(t txn, s *settlement) ([]Event, error) {
	a := s.attempt
	if err := e.renamed(t, s); err != nil {
		return nil, err
	}
	if s.parked != 0 {
		if _, err := t.exec(parkLane, s.parked, a.lane, s.now); err != nil {
			return nil, err
		}
	}
	if s.allFinal() && a.token != 0 && len(s.reports) == 0 && a.size <= chunkSize {
		if over, err := e.conclude(t, a); over || err != nil {
			return s.events(nil), err
		}
	}
	settled, err := settleRows(t, s)
	if err != nil {
		return nil, err
	}
	reports, err := e.report(t, s, settled)
	if err != nil {
		return nil, err
	}
	return append(s.events(settled), reports...), forget(t, a.message)
}

// conclude ends a message if all of its open recipients are those of an attempt.
func (e *engine) conclude(t txn, a *attempt) (over bool, err error) {
	if e.leftovers.takes(a) {
		return e.leftovers.leave(t, a)
	}
	res, err := t.exec(deleteSettled, a.message, a.token, len(a.rows))
	return res.changed > 0, err
}

// forget deletes a message if all of its recipients are final. A large body is
// left to the sweep: deleting it takes longer than a transaction should.
func forget(t txn, message int64) error {
	if _, err := t.exec(releaseUpload, message); err != nil {
		return err
	}
	_, err := t.exec(deleteFinished, message)
	return err
}

// settleRows writes each ruling and tells which ones still applied.
func settleRows(t txn, s *settlement) (settled []bool, err error) {
	a, earliest := s.attempt, never
	settled = make([]bool, len(s.rulings))
	for i := range s.rulings {
		r := &s.rulings[i]
		changed, err := settleRow(t, s, &a.rows[i], r)
		if err != nil {
			return nil, err
		}
		if !changed {
			if err := stillSame(t, a, &a.rows[i], r); err != nil {
				return nil, err
			}
		}
		settled[i] = changed
		if changed && r.state == Waiting {
			earliest = min(earliest, r.due)
		}
	}
	if earliest < never {
		if _, err := t.exec(lowerLaneDue, earliest, a.lane); err != nil {
			return nil, err
		}
	}
	return settled, nil
}

func settleRow(t txn, s *settlement, w *row, r *ruling) (bool, error) {
	a, reply, host := s.attempt, r.outcome.Reply, r.outcome.Host
	first, last := orNull(w.first), orNone(w.last)
	var (
		res result
		err error
	)
	switch {
	case a.token == 0:
		expiry := never
		if s.expired {
			expiry = s.now
		}
		res, err = t.exec(settleUnclaimed, int(r.state), reply.Code, reply.Status(), reply.Text, host,
			a.message, w.position, int(w.state), last, expiry)
	case r.untried:
		was := first
		if w.attempts == 1 {
			was = nil
		}
		res, err = t.exec(settleUntried, r.due, w.attempts-1, was, a.message, w.position, a.token, first, last)
	case r.state.Final():
		res, err = t.exec(settleFinal, int(r.state), reply.Code, reply.Status(), reply.Text, host,
			a.message, w.position, a.token)
	default:
		res, err = t.exec(settleOpen, int(r.state), r.due, reply.Code, reply.Status(), reply.Text, host,
			a.message, w.position, a.token, first, last)
	}
	return res.changed > 0, err
}

// stillSame refuses a settlement that was not written because of a change since
// it was read. What was removed, or is somebody else's by now, is none.
func stillSame(t txn, a *attempt, w *row, r *ruling) error {
	if a.token == 0 {
		return &refusedError{errChanged}
	}
	if r.state.Final() {
		return nil
	}
	var ours bool
	if err := t.row(stillLeased, a.message, w.position, a.token).Scan(&ours); err != nil || !ours {
		return err
	}
	return &refusedError{errChanged}
}

// errChanged says that a settlement rests on what is no longer so.
var errChanged = errors.New("queue: changed since it was read")

// orNone is NULL for the empty string.
func orNone(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (e *engine) refresh(ctx context.Context, a *attempt) error {
	rows, err := e.queries[selectFresh].QueryContext(ctx, a.message, a.token)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n row
		if err := rows.Scan(&a.clock.expires, &a.clock.warn, &n.position, &n.attempts, &n.first, &n.last); err != nil {
			return err
		}
		for i := range a.rows {
			if w := &a.rows[i]; w.position == n.position {
				w.attempts, w.first, w.last = n.attempts, n.first, n.last
			}
		}
	}
	return rows.Err()
}

// report stores what the sender is told, in the transaction that made it true.
func (e *engine) report(t txn, s *settlement, settled []bool) (events []Event, err error) {
	if !slices.Contains(settled, true) {
		return nil, nil
	}
	rules, err := e.rulesIn(t)
	if err != nil || rules.stateOf(s.attempt.origin.Site).over() {
		return nil, err
	}
	for _, r := range s.reports {
		if err := e.insert(t, r); err != nil {
			return nil, err
		}
		events = append(events, r.events()...)
	}
	if s.warning == nil {
		return events, nil
	}
	res, err := t.exec(takeWarning, s.attempt.message)
	if err != nil || res.changed == 0 {
		return events, err
	}
	if err := e.insert(t, s.warning); err != nil {
		return nil, err
	}
	return append(events, s.warning.events()...), nil
}

func (s *settlement) allFinal() bool {
	for i := range s.rulings {
		if !s.rulings[i].state.Final() || s.rulings[i].untried {
			return false
		}
	}
	return true
}

// events tells what was settled (nil: all of it).
func (s *settlement) events(settled []bool) []Event {
	events := make([]Event, 0, len(s.rulings))
	for i := range s.rulings {
		if (settled == nil || settled[i]) && s.rulings[i].event.Kind != "" {
			events = append(events, s.rulings[i].event)
		}
	}
	return events
}
