package queue

import (
	"context"
	"encoding/json"

	"github.com/panelmail/panelmail/transport"
)

// All of these read the index of leases: what else is in the queue costs nothing.
const (
	selectLost = `
SELECT m.queue_id, m.site, m.reverse_path, m.arrived, r.address, r.attempts, r.due, l.key
FROM panelmail_recipient AS r
	CROSS JOIN panelmail_message AS m ON m.id = r.message
	CROSS JOIN panelmail_lane AS l ON l.id = r.lane
WHERE r.token IS NOT NULL AND r.lease < ?`

	lowerLost = `
UPDATE panelmail_lane SET due = min(coalesce(panelmail_lane.due, x.due), x.due)
FROM (SELECT lane, min(due) AS due FROM panelmail_recipient
	WHERE token IS NOT NULL AND lease < ? AND state = 1 GROUP BY lane) AS x
WHERE panelmail_lane.id = x.lane`

	endLost = `
UPDATE panelmail_recipient
SET state = CASE state WHEN 1 THEN 0 ELSE state END, token = NULL, lease = NULL,
	code = ?, status = ?, text = ?, host = ''
WHERE token IS NOT NULL AND lease < ?`
)

// rescue ends attempts whose lease ran out before an instant. They were counted
// and their next due time written when they began; both stay. Somebody may have
// taken the message: the outcome is uncertain.
func (e *engine) rescue(ctx context.Context, now, before int64) (recipients int, err error) {
	reply := transport.Replyf(451, "4.4.2", "the attempt ended without an outcome")
	err = e.writer.do(ctx, &op{class: classOther, apply: func(t txn) (events []Event, err error) {
		if events, err = lostAttempts(t, now, before, reply); err != nil {
			return nil, err
		}
		recipients = len(events)
		if recipients == 0 {
			return nil, nil
		}
		if _, err := t.exec(lowerLost, before); err != nil {
			return nil, err
		}
		_, err = t.exec(endLost, reply.Code, reply.Status(), reply.Text, before)
		return events, err
	}})
	return recipients, err
}

func lostAttempts(t txn, now, before int64, reply transport.Reply) ([]Event, error) {
	rows, err := t.query(selectLost, before)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var events []Event
	for rows.Next() {
		var s target
		var label string
		if err := rows.Scan(&s.id, &s.site, &s.reversePath, &s.arrived, &s.recipient, &s.attempts, &s.due, &label); err != nil {
			return nil, err
		}
		ev := s.event(Uncertain, now)
		ev.Label = label
		ev.Outcome, ev.Due = transport.Outcome{Reply: reply, Uncertain: true, Local: true}, instant(s.due)
		events = append(events, ev)
	}
	return events, rows.Err()
}

func (e *engine) extend(ctx context.Context, tokens []int64, lease int64) error {
	list, err := json.Marshal(tokens)
	if err != nil {
		return err
	}
	return e.writer.do(ctx, &op{class: classSettle, apply: func(t txn) ([]Event, error) {
		_, err := t.exec(`
UPDATE panelmail_recipient SET lease = ?
WHERE token IN (SELECT value FROM json_each(?)) AND token IS NOT NULL`, lease, string(list))
		return nil, err
	}})
}

func (e *engine) holding(ctx context.Context, tokens []int64) (map[int64]holder, error) {
	list, err := json.Marshal(tokens)
	if err != nil {
		return nil, err
	}
	rows, err := e.read.QueryContext(ctx, `
SELECT token, count(*), min(site) FROM panelmail_recipient
WHERE token IS NOT NULL AND state = 1 AND last IS NULL AND token IN (SELECT value FROM json_each(?))
GROUP BY token`, string(list))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	held := map[int64]holder{}
	for rows.Next() {
		var token int64
		var h holder
		if err := rows.Scan(&token, &h.recipients, &h.site); err != nil {
			return nil, err
		}
		held[token] = h
	}
	return held, rows.Err()
}
