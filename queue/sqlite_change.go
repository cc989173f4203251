package queue

import (
	"context"
	"database/sql"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// changeStep is how many recipients one transaction of a change takes, so that
// mail flows on beside it.
const changeStep = 1000

// A target is a recipient that a change applies to.
type target struct {
	message, lane int64
	position      int
	due           int64
	leased        bool
	id, site      string
	reversePath   string
	via           transport.Via
	recipient     string
	arrived       int64
	lifetime      int64 // the message's own
	attempts      int
}

// change looks for messages on a connection that reads, however long that takes,
// and changes those that it finds in transactions that only have to look at
// them.
func (e *engine) change(ctx context.Context, c change) (messages int, err error) {
	var last target
	for {
		found, err := e.numbers(ctx, c, last.message, changeStep)
		if err != nil || len(found) == 0 {
			return messages, err
		}
		for more := true; more; {
			var step []target
			err = e.writer.do(ctx, &op{class: classOther, apply: func(t txn) (events []Event, err error) {
				if step, err = targets(t, &c, found, place{last.message, last.position}); err != nil {
					return nil, err
				}
				return e.changeAll(t, &c, step, last.message)
			}})
			if err != nil {
				return messages, err
			}
			for _, s := range step {
				if s.message != last.message {
					messages++
				}
				last = s
			}
			if f := c.match.Progress; f != nil && len(step) > 0 {
				f(messages)
			}
			more = len(step) == changeStep
		}
		last = target{message: found[len(found)-1]}
	}
}

// numbers lists messages with a recipient that c applies to.
func (e *engine) numbers(ctx context.Context, c change, after int64, limit int) (found []int64, err error) {
	s, err := c.selection()
	if err != nil {
		return nil, err
	}
	err = e.view(ctx, func(tx *sql.Tx) error {
		found, err = numbersIn(tx, s, after, limit)
		return err
	})
	return found, err
}

// affected counts the messages with a recipient that c applies to.
func (e *engine) affected(ctx context.Context, c change) (messages int, err error) {
	s, err := c.selection()
	if err != nil {
		return 0, err
	}
	query, args := s.numbers(0, -1)
	err = e.view(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM (`+query+`)`, args...).Scan(&messages)
	})
	return messages, err
}

// selection is what the change applies to.
func (c *change) selection() (s selection, err error) {
	if c.rule != nil {
		s = c.rule.selection()
	} else if s, err = c.match.selection(instant(c.now)); err != nil {
		return s, err
	}
	s.recipient.and(c.kind.applies())
	s.narrow = s.narrow || c.kind == changeRelease || c.kind == changeResume
	return s, nil
}

// applies is the condition on the states a change is about.
func (k changeKind) applies() string {
	switch k {
	case changeHold: // a person's hold outlasts a suspension
		return `(r.state IN (0, 1) OR r.state = 2 AND r.held = '` + suspendedReason + `')`
	case changeSuspend:
		return `r.state IN (0, 1)`
	case changeRelease:
		return `r.state = 2 AND r.held <> '` + suspendedReason + `'`
	case changeResume:
		return `r.state = 2 AND r.held = '` + suspendedReason + `'`
	case changeRetry:
		return `r.state = 0`
	default:
		return `r.state IN (0, 1, 2)`
	}
}

// targets reads the first recipients after a place that c applies to, of some
// messages.
func targets(t txn, c *change, messages []int64, after place) ([]target, error) {
	s, err := c.selection()
	if err != nil {
		return nil, err
	}
	tail, args, err := s.among(messages, after, changeStep)
	if err != nil {
		return nil, err
	}
	rows, err := t.query(`
SELECT r.message, r.position, r.lane, r.due, r.token IS NOT NULL, r.address, r.attempts,
	m.queue_id, m.site, m.reverse_path, m.via, m.arrived, m.lifetime`+tail, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []target
	for rows.Next() {
		var s target
		if err := rows.Scan(&s.message, &s.position, &s.lane, &s.due, &s.leased, &s.recipient, &s.attempts,
			&s.id, &s.site, &s.reversePath, &s.via, &s.arrived, &s.lifetime); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// changeAll applies c to each target. last is the message that an earlier step
// ended with.
func (e *engine) changeAll(t txn, c *change, step []target, last int64) ([]Event, error) {
	var events []Event
	for i := range step {
		s := &step[i]
		first := s.message != last
		last = s.message
		var (
			kind Kind
			told []Event
			err  error
		)
		switch c.kind {
		case changeHold, changeSuspend:
			told, err = []Event{s.heldEvent(c.now, c.reason)}, holdRow(t, s, c.reason)
		case changeRelease, changeResume:
			kind, err = e.release(t, c, s)
		case changeRetry:
			err = retryRow(t, c, s)
		case changeRemove:
			kind, err = Removed, removeRow(t, s)
		case changeFail:
			_, err = t.exec(`UPDATE panelmail_recipient SET last = ? WHERE message = ? AND position = ?`,
				c.reason, s.message, s.position)
		case changeRequeue:
			if first {
				told, err = e.requeue(t, c, s)
			}
		}
		if err != nil {
			return nil, err
		}
		events = append(events, told...)
		if kind != "" {
			events = append(events, s.event(kind, c.now))
		}
	}
	return events, nil
}

func (s *target) event(kind Kind, now int64) Event {
	return Event{Kind: kind, Time: instant(now), ID: s.id, Site: s.site, ReversePath: s.reversePath,
		Recipient: s.recipient, Attempt: s.attempts, Delay: time.Duration(now-s.arrived) * time.Microsecond}
}

func holdRow(t txn, s *target, reason string) error {
	_, err := t.exec(`
UPDATE panelmail_recipient SET state = 2, held = ?
WHERE message = ? AND position = ?`, reason, s.message, s.position)
	return err
}

// release lets a recipient go on, unless its site is suspended: then it is on hold
// for that from now on.
func (e *engine) release(t txn, c *change, s *target) (Kind, error) {
	rules, err := e.rulesIn(t)
	if err != nil {
		return "", err
	}
	if rules.stateOf(s.site) == siteSuspended {
		return "", holdRow(t, s, suspendedReason)
	}
	return Released, releaseRow(t, c, s)
}

// releaseRow gives back the state that the recipient would have without the
// hold, and mail that expired on hold the time for one attempt.
func releaseRow(t txn, c *change, s *target) error {
	if _, err := t.exec(`
UPDATE panelmail_recipient SET state = CASE WHEN token IS NULL THEN 0 ELSE 1 END, held = ''
WHERE message = ? AND position = ?`, s.message, s.position); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE panelmail_message SET expires = max(expires, ?) WHERE id = ?`,
		c.now+c.rules.BackoffMax.Microseconds(), s.message); err != nil {
		return err
	}
	if s.leased {
		return nil
	}
	_, err := t.exec(lowerLaneDue, s.due, s.lane)
	return err
}

func retryRow(t txn, c *change, s *target) error {
	if _, err := t.exec(`UPDATE panelmail_recipient SET due = min(due, ?) WHERE message = ? AND position = ?`,
		c.now, s.message, s.position); err != nil {
		return err
	}
	_, err := t.exec(`
UPDATE panelmail_lane SET due = min(coalesce(due, ?1), ?1), parked = 0, reason = '', revive = 1
WHERE id = ?2`, c.now, s.lane)
	return err
}

func removeRow(t txn, s *target) error {
	if _, err := t.exec(`DELETE FROM panelmail_recipient WHERE message = ? AND position = ?`, s.message, s.position); err != nil {
		return err
	}
	return forget(t, s.message)
}

// requeue renames a message and restarts its clocks. An attempt under way keeps
// its lease and counts as the first.
func (e *engine) requeue(t txn, c *change, s *target) ([]Event, error) {
	id := NewID(instant(c.now))
	lifetime := tryFor(c.rules.lifetime(s.reversePath, s.lifetime))
	if _, err := t.exec(`UPDATE panelmail_message SET queue_id = ?, expires = ? WHERE id = ?`,
		id, c.now+lifetime.Microseconds(), s.message); err != nil {
		return nil, err
	}
	if _, err := t.exec(`
UPDATE panelmail_recipient SET attempts = 1, first = ?1, state = 1, held = '', last = NULL
WHERE message = ?2 AND token IS NOT NULL AND state < 3`, c.now, s.message); err != nil {
		return nil, err
	}
	if _, err := t.exec(`
UPDATE panelmail_recipient SET state = 0, due = ?1, attempts = 0, first = NULL, held = '', last = NULL
WHERE message = ?2 AND token IS NULL AND state < 3`, c.now, s.message); err != nil {
		return nil, err
	}
	told := s.event(Requeued, c.now)
	told.ID, told.Previous, told.Recipient = id, s.id, ""
	s.id = id
	held, err := e.holdRequeued(t, c, s)
	if err != nil {
		return nil, err
	}
	if _, err := t.exec(`
UPDATE panelmail_lane SET due = min(coalesce(due, ?1), ?1)
WHERE id IN (SELECT lane FROM panelmail_recipient WHERE message = ?2 AND state = 0)`, c.now, s.message); err != nil {
		return nil, err
	}
	return append([]Event{told}, held...), nil
}
