package queue

import (
	"context"
	"sync/atomic"
)

const (
	// What was stored among the latest messages is removed as it comes to its end:
	// its pages are in memory, and others that end now are on them.
	leftoverAge = 4096

	// Larger messages are removed at once too, and while leftoverMost octets are left
	// so is everything.
	leftoverSize = 8 << 10
	leftoverMost = 256 << 20

	leftoverRows = 1 << 10 // about what a message takes beside its content, in octets

	// A step takes a few milliseconds.
	leftoverStep = 256
)

// Leftovers are messages that came to their end long after they were stored. Each
// is alone on the pages of several tables and indexes then, so it only loses its
// recipients, and is nobody's from then on. The rest is removed soon after, with
// that of others and in the order in which they were stored.
type leftovers struct {
	newest atomic.Int64  // number of a message, the latest that this process has stored
	octets atomic.Int64  // about what they take, those of the removal under way included
	some   chan struct{} // there may be any
}

const (
	selectNewest   = `SELECT coalesce(max(id), 0) FROM panelmail_message`
	countLeftovers = `SELECT count(*) FROM panelmail_settled`
	noLeftover     = ` NOT IN (SELECT message FROM panelmail_settled)`

	markSettled   = `INSERT INTO panelmail_settled (message) SELECT ?1 WHERE ` + allOurs
	dropAddressed = `DELETE FROM panelmail_recipient WHERE message = ?`

	someLeftovers = `(SELECT message FROM panelmail_settled ORDER BY message LIMIT ?)`
	clearMessages = `DELETE FROM panelmail_message WHERE id IN ` + someLeftovers
	clearSettled  = `DELETE FROM panelmail_settled WHERE message IN ` + someLeftovers
)

// survey looks for what there is. Until then nothing is left for later.
func (e *engine) survey(ctx context.Context) error {
	var newest, count int64
	if err := e.read.QueryRowContext(ctx, selectNewest).Scan(&newest); err != nil {
		return err
	}
	if err := e.read.QueryRowContext(ctx, countLeftovers).Scan(&count); err != nil {
		return err
	}
	e.leftovers.newest.Store(newest)
	e.leftovers.octets.Store(count * (leftoverSize + leftoverRows))
	signal(e.leftovers.some)
	return nil
}

// takes reports whether the message of an attempt is better left for later.
func (l *leftovers) takes(a *attempt) bool {
	return l.newest.Load()-a.message >= leftoverAge && a.size <= leftoverSize && l.octets.Load() < leftoverMost
}

// leave ends a message if all of its open recipients are those of an attempt.
func (l *leftovers) leave(t txn, a *attempt) (over bool, err error) {
	res, err := t.exec(markSettled, a.message, a.token, len(a.rows))
	if err != nil || res.changed == 0 {
		return false, err
	}
	l.octets.Add(a.size + leftoverRows)
	signal(l.some)
	_, err = t.exec(dropAddressed, a.message)
	return true, err
}

func (e *engine) left() *leftovers { return &e.leftovers }

func (e *engine) clear(ctx context.Context) (more bool, err error) {
	err = e.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		if _, err := t.exec(clearMessages, leftoverStep); err != nil {
			return nil, err
		}
		res, err := t.exec(clearSettled, leftoverStep)
		more = res.changed == leftoverStep
		if err == nil && !more {
			e.leftovers.octets.Store(0)
		}
		return nil, err
	}})
	if err != nil {
		signal(e.leftovers.some)
	}
	return more, err
}
