package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// where is a condition over a recipient r and its message m.
type where struct {
	terms []string
	args  []any
}

func (w *where) and(term string, args ...any) {
	w.terms = append(w.terms, term)
	w.args = append(w.args, args...)
}

func (w *where) String() string { return strings.Join(w.terms, " AND ") }

// condition writes a match in SQL.
func (m Match) condition(now time.Time) (w where, err error) {
	w.and(`r.state < 3`)
	if m.empty() {
		w.and(`FALSE`)
	}
	if len(m.IDs) > 0 {
		list, err := json.Marshal(m.IDs)
		if err != nil {
			return w, err
		}
		w.and(`m.queue_id IN (SELECT value FROM json_each(?))`, string(list))
	}
	if m.Site != "" {
		w.and(`m.site = ?`, m.Site)
	}
	switch m.Sender {
	case "":
	case "<>":
		w.and(`m.reverse_path = ''`)
	default:
		w.and(`lower(m.reverse_path) = lower(?)`, m.Sender)
	}
	if m.Recipient != "" {
		w.and(`lower(r.address) = lower(?)`, m.Recipient)
	}
	if m.Domain != "" {
		w.and(`lower(r.address) LIKE '%@' || ? ESCAPE '\'`, escapeLike(strings.ToLower(m.Domain)))
	}
	if m.State != nil {
		w.and(`r.state = ?`, int(*m.State))
	}
	if m.OlderThan > 0 {
		w.and(`m.arrived < ?`, micros(now.Add(-m.OlderThan)))
	}
	if m.Untried {
		w.and(`r.attempts = 0`)
	}
	return w, nil
}

func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

func (e *engine) list(ctx context.Context, m Match, after int64, limit int) ([]Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w, err := m.condition(time.Now())
	if err != nil {
		return nil, err
	}
	query := `
SELECT m.id, m.queue_id, m.arrived, m.expires, m.lifetime, coalesce(m.not_before, 0), m.size,
	m.reverse_path, m.smtputf8, m.body, m.ret, m.envid, m.requiretls,
	m.site, m.login, m.via, m.client, m.helo, m.uid, m.pid, m.script
FROM panelmail_message AS m
WHERE m.id > ? AND EXISTS (SELECT 1 FROM panelmail_recipient AS r WHERE r.message = m.id AND ` + w.String() + `)
ORDER BY m.id LIMIT ?`
	args := append(append([]any{after}, w.args...), limit)
	var entries []Entry
	err = e.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			n, err := scanEntry(rows)
			if err != nil {
				return err
			}
			entries = append(entries, n)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return listRecipients(tx, entries)
	})
	return entries, err
}

func scanEntry(rows *sql.Rows) (n Entry, err error) {
	v, o := &n.Envelope, &n.Origin
	var arrived, expires, lifetime, notBefore int64
	err = rows.Scan(&n.message, &n.ID, &arrived, &expires, &lifetime, &notBefore, &n.Size,
		&v.ReversePath, &v.SMTPUTF8, &v.Body, &v.Ret, &v.EnvID, &v.RequireTLS,
		&o.Site, &o.Login, &o.Via, &o.Client, &o.HELO, &o.UID, &o.PID, &o.Script)
	n.Arrived, n.Expires = instant(arrived), instant(expires)
	n.Lifetime = time.Duration(lifetime) * time.Microsecond
	if notBefore != 0 {
		n.NotBefore = instant(notBefore)
	}
	return n, err
}

// listRecipients fills in the recipients of entries, which are in the order of
// their numbers.
func listRecipients(tx *sql.Tx, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	numbers := make([]int64, len(entries))
	for i := range entries {
		numbers[i] = entries[i].message
	}
	list, err := json.Marshal(numbers)
	if err != nil {
		return err
	}
	rows, err := tx.Query(`
SELECT r.message, r.position, r.address, r.reverse_path, r.notify, r.orcpt, r.class,
	r.state, r.due, r.attempts, coalesce(r.first, 0), r.code, r.status, r.text, r.host,
	coalesce(l.key, ''), coalesce(l.parked, 0), coalesce(l.reason, '')
FROM panelmail_recipient AS r LEFT JOIN panelmail_lane AS l ON l.id = r.lane
WHERE r.message IN (SELECT value FROM json_each(?))
ORDER BY r.message, r.position`, string(list))
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
			&r.State, &due, &r.Attempts, &r.first, &r.Reply.Code, &status, &r.Reply.Text, &r.Host, &r.Lane, &parked, &reason); err != nil {
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

func (e *engine) stats(ctx context.Context, now int64) (s Stats, err error) {
	err = e.view(ctx, func(tx *sql.Tx) error {
		var oldest int64
		err := tx.QueryRow(`SELECT count(*), coalesce(sum(size), 0), coalesce(min(arrived), 0) FROM panelmail_message`).
			Scan(&s.Messages, &s.Size, &oldest)
		if err != nil {
			return err
		}
		if oldest != 0 {
			s.Oldest = instant(oldest)
		}
		if err := laneStats(tx, now, &s); err != nil {
			return err
		}
		if err := siteStats(tx, &s); err != nil {
			return err
		}
		return flowStats(tx, now, &s)
	})
	return s, err
}

func laneStats(tx *sql.Tx, now int64, s *Stats) error {
	rows, err := tx.Query(`
SELECT l.key, coalesce(l.due, 0), l.parked, l.reason, n.waiting, n.deferred, n.active, n.held
FROM panelmail_lane AS l JOIN (
	SELECT lane, sum(state = 0) AS waiting, sum(state = 0 AND attempts > 0) AS deferred,
		sum(state = 1) AS active, sum(state = 2) AS held
	FROM panelmail_recipient WHERE state < 3 GROUP BY lane) AS n ON n.lane = l.id
ORDER BY n.waiting + n.active + n.held DESC, l.key`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			l           LaneStats
			due, parked int64
			reason      string
			deferred    int
		)
		if err := rows.Scan(&l.Label, &due, &parked, &reason, &l.Waiting, &deferred, &l.Active, &l.Hold); err != nil {
			return err
		}
		if due != 0 && l.Waiting > 0 {
			l.Due = instant(due)
		}
		if parked > now {
			l.Parked, l.Reason = instant(parked), reason
		}
		s.Waiting, s.Active, s.Hold = s.Waiting+l.Waiting, s.Active+l.Active, s.Hold+l.Hold
		s.Deferred += deferred
		s.Lanes = append(s.Lanes, l)
	}
	return rows.Err()
}

func siteStats(tx *sql.Tx, s *Stats) error {
	rows, err := tx.Query(`
SELECT site, sum(state = 0), sum(state = 1), sum(state = 2)
FROM panelmail_recipient WHERE state < 3 GROUP BY site ORDER BY count(*) DESC, site`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n SiteStats
		if err := rows.Scan(&n.Site, &n.Waiting, &n.Active, &n.Hold); err != nil {
			return err
		}
		s.Sites = append(s.Sites, n)
	}
	return rows.Err()
}
