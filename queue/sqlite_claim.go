package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/panelmail/panelmail/transport"
)

const (
	selectDue = `
SELECT id, key, wake, revive FROM panelmail_lane
WHERE due IS NOT NULL AND id NOT IN (SELECT value FROM json_each(?))
ORDER BY wake LIMIT ?`

	selectLatest = `
SELECT id, key, wake, revive FROM panelmail_lane
WHERE due IS NOT NULL AND wake <= ?2 AND id NOT IN (SELECT value FROM json_each(?1))
ORDER BY wake DESC LIMIT ?3`

	attemptColumns = `
	r.message, r.position, r.address, r.reverse_path, r.notify, r.orcpt,
	r.due, r.attempts, coalesce(r.first, 0), r.code, r.status, r.text, r.host,
	m.queue_id, m.arrived, m.expires, coalesce(m.warn, 0), m.lifetime, m.size,
	m.reverse_path, m.smtputf8, m.body, m.ret, m.envid, m.requiretls,
	m.site, m.login, m.via, m.client, m.helo, m.uid, m.pid, m.script`

	headOfFlow = `
SELECT` + attemptColumns + `
FROM panelmail_recipient AS r JOIN panelmail_message AS m ON m.id = r.message
WHERE r.state = 0 AND r.lane = ? AND r.class = ? AND r.site = ? AND r.due <= ?
ORDER BY r.due, r.message, r.position`

	leaseRow = `
UPDATE panelmail_recipient
SET state = 1, token = ?, lease = ?, attempts = ?, first = ?, due = ?
WHERE message = ? AND position = ? AND state = 0`

	laneDueAt  = `SELECT due FROM panelmail_recipient WHERE state = 0 AND lane = ? ORDER BY due LIMIT 1`
	setLaneDue = `UPDATE panelmail_lane SET due = ?1, revive = 0 WHERE id = ?2 AND (due IS NOT ?1 OR revive)`

	selectClock = `SELECT expires, coalesce(warn, 0) FROM panelmail_message WHERE id = ?`
)

func (e *engine) due(ctx context.Context, exclude []int64, limit int) ([]laneDue, error) {
	return e.schedule(ctx, selectDue, exclude, limit)
}

func (e *engine) latest(ctx context.Context, exclude []int64, now int64, limit int) ([]laneDue, error) {
	return e.schedule(ctx, selectLatest, exclude, now, limit)
}

// schedule reads lanes, without those excluded.
func (e *engine) schedule(ctx context.Context, query string, exclude []int64, args ...any) ([]laneDue, error) {
	list, err := json.Marshal(exclude)
	if err != nil {
		return nil, err
	}
	rows, err := e.queries[query].QueryContext(ctx, append([]any{string(list)}, args...)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var lanes []laneDue
	for rows.Next() {
		var l laneDue
		if err := rows.Scan(&l.lane, &l.label, &l.at, &l.revive); err != nil {
			return nil, err
		}
		lanes = append(lanes, l)
	}
	return lanes, rows.Err()
}

func (e *engine) clock(ctx context.Context, message int64) (c clock, err error) {
	err = e.queries[selectClock].QueryRowContext(ctx, message).Scan(&c.expires, &c.warn)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return c, err
}

func (e *engine) claim(ctx context.Context, c claim) ([]*attempt, error) {
	var all []*attempt
	err := e.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		k := &claiming{txn: t, claim: &c, rows: c.rows}
		for i := range c.wants {
			if err := k.want(&c.wants[i]); err != nil {
				return nil, err
			}
		}
		all = k.got
		return nil, nil
	}})
	if err != nil {
		return nil, err // nothing of it may be tried: the commit may have failed
	}
	return all, nil
}

// A claiming is a claim on its way.
type claiming struct {
	txn
	claim *claim
	got   []*attempt
	rows  int // recipients that may still be taken
}

// want takes attempts from a lane, and sets when it is due again.
func (k *claiming) want(w *want) error {
	for _, f := range w.flows {
		got, _, err := k.take(w, f, 1)
		if err != nil {
			return err
		}
		for _, a := range got {
			a.extra = true
		}
	}
	if w.attempts == 0 {
		return nil // of newcomers alone: the lane is as due as it was
	}
	delete(k.lanes(), w.label) // its due time is another one now
	w.more = [priorities]bool{}
	first, waiting, err := firstOf(k, w.lane)
	switch {
	case err != nil:
		return err
	case waiting == 0:
		return k.file(w, nil)
	case waiting == 1 && first.due > k.claim.now:
		return k.file(w, first.due)
	case waiting == 1:
		if _, w.more[first.class], err = k.take(w, first.flow, 1); err != nil || w.more[first.class] {
			return err
		}
		return k.file(w, nil)
	}
	if err := k.lane(w, first); err != nil {
		return err
	}
	if w.more == [priorities]bool{} {
		return refile(k, w.lane)
	}
	return k.file(w, k.claim.now) // more is due: behind the lanes that have waited longer
}

// file sets when a lane is due again; nil: nobody waits.
func (k *claiming) file(w *want, due any) error {
	_, err := k.exec(setLaneDue, due, w.lane)
	return err
}

// lane takes attempts from a lane, class by class. first is its first flow.
func (k *claiming) lane(w *want, first flowDue) error {
	classes, err := classesOf(k, w, first)
	if err != nil {
		return err
	}
	left := w.attempts
	for i, first := range classes {
		most := left
		if i < len(classes)-1 && left > 1 {
			most -= max(1, left/floorOf) // those below have their turns too
		}
		used, err := k.class(w, first, min(most, w.most[first.class]))
		if err != nil {
			return err
		}
		left -= used
	}
	return nil
}

// class takes attempts from the sites of a class in turn, an equal share from each;
// what one does not need is the others'. first is the first flow of the class. It
// returns what they cost.
func (k *claiming) class(w *want, first flowDue, n int) (used int, err error) {
	if n <= 0 {
		w.more[first.class] = true // as far as is known
		return 0, nil
	}
	sites, next, err := dueSites(k, k.claim.now, w, first, n)
	if err != nil {
		return 0, err
	}
	if len(sites) == 0 {
		w.after[first.class] = next // whoever is behind those that are not due has a turn too
	}
	more := len(sites) == n
	for i, site := range sites {
		if used >= n {
			more = true
			break
		}
		others := len(sites) - i
		got, another, err := k.take(w, flow{first.class, site}, (n-used+others-1)/others)
		if err != nil {
			return 0, err
		}
		for _, a := range got {
			a.next = next
			used += cost(a.size)
		}
		more = more || another
	}
	w.more[first.class] = more
	return used, nil
}

// take leases what head reads, at once: a claim may come to a flow twice.
func (k *claiming) take(w *want, f flow, n int) (got []*attempt, more bool, err error) {
	got, more, err = k.head(w, f, n)
	if err != nil {
		return nil, false, err
	}
	for _, a := range got {
		a.next = f.site
		a.token = k.claim.token + int64(len(k.got))
		if err := lease(k, k.claim, a); err != nil {
			return nil, false, err
		}
		k.got = append(k.got, a)
	}
	return got, more, nil
}

// head reads the first attempts of a flow, until they cost n. Recipients of one
// message that became due together travel together. more says that more may be
// due.
func (k *claiming) head(w *want, f flow, n int) (got []*attempt, more bool, err error) {
	rows, err := k.query(headOfFlow, w.lane, f.class, f.site, k.claim.now)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		a := &attempt{lane: w.lane, label: w.label, class: f.class}
		if err := a.scan(rows); err != nil {
			return nil, false, err
		}
		if len(got) > 0 && got[len(got)-1].takes(a, k.claim.limit) {
			last := got[len(got)-1]
			last.rows = append(last.rows, a.rows...)
			last.envelope.Recipients = append(last.envelope.Recipients, a.envelope.Recipients...)
			k.rows--
			continue
		}
		if n <= 0 || k.rows <= 0 {
			return got, true, rows.Err()
		}
		n -= cost(a.size)
		k.rows--
		got = append(got, a)
	}
	return got, false, rows.Err()
}

// takes reports whether the recipient of b can go with those of a: same
// message, same reverse-path, and room for one more.
func (a *attempt) takes(b *attempt, limit int) bool {
	return a.message == b.message && len(a.rows) < limit &&
		a.envelope.Recipients[0].ReversePath == b.envelope.Recipients[0].ReversePath &&
		a.rows[0].attempts == b.rows[0].attempts
}

// scan reads an attempt of one recipient; extra takes what the query selects
// beyond attemptColumns.
func (a *attempt) scan(rows *sql.Rows, extra ...any) error {
	a.rows = make([]row, 1)
	r, v, o := &a.rows[0], &a.envelope, &a.origin
	v.Recipients = make([]transport.Recipient, 1)
	p := &v.Recipients[0]
	return rows.Scan(append([]any{&a.message, &r.position, &p.Address, &p.ReversePath, &p.Notify, &p.ORcpt,
		&r.due, &r.attempts, &r.first, &r.code, &r.status, &r.text, &r.host,
		&a.id, &a.arrived, &a.clock.expires, &a.clock.warn, &a.lifetime, &a.size,
		&v.ReversePath, &v.SMTPUTF8, &v.Body, &v.Ret, &v.EnvID, &v.RequireTLS,
		&o.Site, &o.Login, &o.Via, &o.Client, &o.HELO, &o.UID, &o.PID, &o.Script}, extra...)...)
}

// lease writes the attempt down before it is made: a crash finds it counted,
// with the next one due later.
func lease(t txn, c *claim, a *attempt) error {
	a.lease = c.lease
	for i := range a.rows {
		r := &a.rows[i]
		r.attempts++
		if r.first == 0 {
			r.first = c.now
		}
		due := c.now + c.rules.delay(r.first, c.now).Microseconds()
		res, err := t.exec(leaseRow, a.token, c.lease, r.attempts, r.first, due, a.message, r.position)
		if err != nil {
			return err
		}
		if res.changed != 1 {
			return &refusedError{errLeased} // never: it was read in this transaction
		}
	}
	return nil
}

var errLeased = errors.New("queue: a recipient was claimed twice")

// refile sets a lane's due time to that of its earliest waiting recipient.
func refile(t txn, lane int64) error {
	var at any // NULL: nobody waits
	err := t.row(laneDueAt, lane).Scan(&at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	_, err = t.exec(setLaneDue, at, lane)
	return err
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

func (e *engine) holding(ctx context.Context, tokens []int64) (map[int64]int, error) {
	list, err := json.Marshal(tokens)
	if err != nil {
		return nil, err
	}
	rows, err := e.read.QueryContext(ctx, `
SELECT token, count(*) FROM panelmail_recipient
WHERE token IS NOT NULL AND state = 1 AND last IS NULL AND token IN (SELECT value FROM json_each(?))
GROUP BY token`, string(list))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	held := map[int64]int{}
	for rows.Next() {
		var token int64
		var n int
		if err := rows.Scan(&token, &n); err != nil {
			return nil, err
		}
		held[token] = n
	}
	return held, rows.Err()
}
