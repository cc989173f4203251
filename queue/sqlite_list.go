package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/panelmail/panelmail/transport"
)

func (e *engine) list(ctx context.Context, m Match, after int64, limit int) ([]Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := m.selection(time.Now())
	if err != nil {
		return nil, err
	}
	var entries []Entry
	err = e.view(ctx, func(tx *sql.Tx) error {
		numbers, err := numbersIn(tx, s, after, limit)
		if err != nil || len(numbers) == 0 {
			return err
		}
		list, err := json.Marshal(numbers)
		if err != nil {
			return err
		}
		if entries, err = listMessages(tx, string(list)); err != nil {
			return err
		}
		return listRecipients(tx, string(list), entries)
	})
	return entries, err
}

// listMessages reads messages, without their recipients, in the order of their
// numbers.
func listMessages(tx *sql.Tx, numbers string) (entries []Entry, err error) {
	rows, err := tx.Query(`
SELECT m.id, m.queue_id, m.arrived, m.expires, m.lifetime, coalesce(m.not_before, 0), m.size,
	m.reverse_path, m.smtputf8, m.body, m.ret, m.envid, m.requiretls,
	m.site, m.login, m.via, m.client, m.helo, m.uid, m.pid, m.script
FROM panelmail_message AS m WHERE m.id IN (SELECT value FROM json_each(?))
ORDER BY m.id`, numbers)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		n, err := scanEntry(rows)
		if err != nil {
			return nil, err
		}
		entries = append(entries, n)
	}
	return entries, rows.Err()
}

func scanEntry(rows *sql.Rows) (n Entry, err error) {
	v, o := &n.Envelope, &n.Origin
	var arrived, expires, lifetime, notBefore int64
	err = rows.Scan(&n.message, &n.ID, &arrived, &expires, &lifetime, &notBefore, &n.Size,
		&v.ReversePath, &v.SMTPUTF8, &v.Body, &v.Ret, &v.EnvID, tlsWish{v},
		&o.Site, &o.Login, &o.Via, &o.Client, &o.HELO, &o.UID, &o.PID, &o.Script)
	n.Arrived, n.Expires = instant(arrived), instant(expires)
	n.Lifetime = time.Duration(lifetime) * time.Microsecond
	if notBefore != 0 {
		n.NotBefore = instant(notBefore)
	}
	return n, err
}

// listRecipients fills in the recipients of entries, which are those of some
// numbers, in order.
func listRecipients(tx *sql.Tx, numbers string, entries []Entry) error {
	rows, err := tx.Query(`
SELECT r.message, r.position, r.address, r.reverse_path, r.notify, r.orcpt, r.class,
	r.state, r.due, r.attempts, coalesce(r.first, 0), r.code, r.status, r.text, r.host, r.held, coalesce(r.last, ''),
	coalesce(l.key, ''), coalesce(l.parked, 0), coalesce(l.reason, '')
FROM panelmail_recipient AS r LEFT JOIN panelmail_lane AS l ON l.id = r.lane
WHERE r.message IN (SELECT value FROM json_each(?))
ORDER BY r.message, r.position`, numbers)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	i, now := 0, micros(time.Now())
	for rows.Next() {
		var (
			message, due, parked int64
			class                int
			status, reason       string
			p                    transport.Recipient
			r                    RecipientEntry
		)
		if err := rows.Scan(&message, &r.position, &p.Address, &p.ReversePath, &p.Notify, &p.ORcpt, &class,
			&r.State, &due, &r.Attempts, &r.first, &r.Reply.Code, &status, &r.Reply.Text, &r.Host, &r.Held, &r.GivenUp, &r.Lane, &parked, &reason); err != nil {
			return err
		}
		r.Address, r.Due, r.Reply.Enhanced = p.Address, instant(due), parseStatus(status)
		if parked > now {
			r.Parked, r.Reason = instant(parked), reason
		}
		for entries[i].message != message {
			i++
		}
		n := &entries[i]
		n.Priority = priorityOf(class)
		n.Envelope.Recipients = append(n.Envelope.Recipients, p)
		n.Recipients = append(n.Recipients, r)
		n.State = n.State.with(r.State)
	}
	return rows.Err()
}

// with is the state of a message that has one more recipient in state r.
func (s State) with(r State) State {
	switch {
	case s == Active || r == Active:
		return Active
	case s == OnHold || r == OnHold:
		return OnHold
	}
	return Waiting
}
