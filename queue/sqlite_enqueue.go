package queue

import (
	"context"
	"database/sql"
	"errors"

	"github.com/panelmail/panelmail/internal/sqlitedb"
)

const (
	insertMessage = `
INSERT INTO panelmail_message (queue_id, arrived, expires, warn, lifetime, not_before, size,
	reverse_path, smtputf8, body, ret, envid, requiretls,
	site, login, via, client, helo, uid, pid, script, signed)
VALUES (?, ?, ?, ?, ?, ?, ?,  ?, ?, ?, ?, ?, ?,  ?, ?, ?, ?, ?, ?, ?, ?, ?)`

	insertContent = `INSERT INTO panelmail_content (message, head, body, upload) VALUES (?, ?, ?, ?)`

	insertRecipient = `
INSERT INTO panelmail_recipient (message, position, address, reverse_path, notify, orcpt,
	lane, class, site, state, due, fresh, held)
VALUES (?, ?, ?, ?, ?, ?,  ?, ?, ?, ?, ?, ?, ?)`

	selectLane = `SELECT id, due FROM panelmail_lane WHERE key = ?`

	// A lane that is parked stays parked: new mail does not wake it. Mail on hold
	// has no due time and must leave that of others: min of NULL is NULL.
	fileLane = `
INSERT INTO panelmail_lane (key, due) VALUES (?1, ?2)
ON CONFLICT (key) DO UPDATE SET due = min(coalesce(due, excluded.due), coalesce(excluded.due, due))
RETURNING id`

	adoptUpload = `UPDATE panelmail_upload SET owner = -1 WHERE id = ? AND owner = ?`
)

func (e *engine) enqueue(ctx context.Context, r *record) error {
	return e.writer.do(ctx, &op{class: classEnqueue, size: r.weight(), apply: func(t txn) ([]Event, error) {
		return e.enqueueIn(t, r)
	}})
}

// enqueueIn stores r, unless a message with its key is there.
func (e *engine) enqueueIn(t txn, r *record) ([]Event, error) {
	if r.express != nil {
		r.express.lane = 0 // of an earlier try
	}
	if err := takeKey(t, r); err != nil || r.twin != "" {
		return nil, err
	}
	if err := e.insert(t, r); err != nil {
		return nil, err
	}
	return r.events(), nil
}

// weight is about what a record adds to a transaction, in octets.
func (r *record) weight() int {
	const recipient = 200
	return len(r.head) + len(r.body) + recipient*len(r.envelope.Recipients)
}

// enqueueTx stores all of r or nothing, whatever the caller does after an error.
func (e *engine) enqueueTx(tx *sql.Tx, r *record) error {
	if _, err := tx.Exec(`SAVEPOINT panelmail_enqueue`); err != nil {
		return err
	}
	t := &callerTx{tx: tx, known: map[string]filed{}}
	events, err := e.enqueueIn(t, r)
	if err == nil {
		err = writeEvents(t, events)
	}
	if err != nil {
		_, _ = tx.Exec(`ROLLBACK TO panelmail_enqueue`) // SQLite may have ended the whole transaction
	}
	_, released := tx.Exec(`RELEASE panelmail_enqueue`)
	if err == nil {
		err = released
	}
	return err
}

// insert writes a message with its content and recipients.
func (e *engine) insert(t txn, r *record) error {
	v, o := &r.envelope, &r.origin
	res, err := t.exec(insertMessage, r.id, r.arrived, r.expires, orNull(r.warn), r.lifetime, orNull(r.notBefore), r.size,
		v.ReversePath, v.SMTPUTF8, string(v.Body), string(v.Ret), v.EnvID, tlsWish{v},
		o.Site, o.Login, string(o.Via), o.Client, o.HELO, o.UID, o.PID, o.Script, r.signed)
	if err != nil {
		if sqlitedb.IsConstraint(err) {
			return &refusedError{ErrDuplicate}
		}
		return err
	}
	e.leftovers.newest.Store(res.id)
	if err := e.insertBody(t, r, res.id); err != nil {
		return err
	}
	// Not before something was written: a transaction that reads first may be
	// refused the lock.
	if r.held, err = e.holds(t, r); err != nil {
		return err
	}
	return insertRecipients(t, r, res.id)
}

func insertRecipients(t txn, r *record, message int64) error {
	if r.express != nil && r.held == nil {
		if ok, err := insertExpress(t, r, message); ok || err != nil {
			return err
		}
	}
	for i := range r.envelope.Recipients {
		c := &r.envelope.Recipients[i]
		state, reason := Waiting, ""
		if r.held != nil && r.held[i] != "" {
			state, reason = OnHold, r.held[i]
		}
		lane, err := file(t, r.labels[i], r.due, state)
		if err != nil {
			return err
		}
		if _, err := t.exec(insertRecipient, message, i, c.Address, c.ReversePath, int(c.Notify), c.ORcpt,
			lane, r.priority.class(), r.origin.Site, int(state), r.due, r.due <= r.arrived, reason); err != nil {
			return err
		}
	}
	return nil
}

// file returns the lane of a label and makes it due, unless nothing will wait
// in it.
func file(t txn, label string, due int64, state State) (lane int64, err error) {
	known := t.lanes()
	if k, ok := known[label]; ok && (state != Waiting || k.due <= due) {
		return k.lane, nil
	}
	var was sql.NullInt64
	err = t.row(selectLane, label).Scan(&lane, &was)
	if err == nil && was.Valid && (state != Waiting || was.Int64 <= due) {
		known[label] = filed{lane, was.Int64, known[label].idle}
		return lane, nil // the usual lane with a backlog: nothing to write
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	var at any
	if state == Waiting {
		at = due
	} else {
		due = never
	}
	if err := t.row(fileLane, label, at).Scan(&lane); err != nil {
		return 0, err
	}
	known[label] = filed{lane, due, known[label].idle}
	return lane, nil
}

// never is later than any instant.
const never = int64(1)<<62 - 1

// insertBody writes the content, or ties the upload that holds it to the message.
func (e *engine) insertBody(t txn, r *record, message int64) error {
	head := r.head
	if head == nil {
		head = []byte{}
	}
	if r.upload == 0 {
		body := r.body
		if body == nil {
			body = []byte{}
		}
		_, err := t.exec(insertContent, message, head, body, nil)
		return err
	}
	res, err := t.exec(adoptUpload, r.upload, e.owner)
	if err != nil {
		return err
	}
	if res.changed == 0 {
		return &refusedError{errUploadGone}
	}
	_, err = t.exec(insertContent, message, head, nil, r.upload)
	return err
}

var errUploadGone = errors.New("queue: the upload is gone: somebody else has begun to run the queue")

func orNull(us int64) any {
	if us == 0 {
		return nil
	}
	return us
}
