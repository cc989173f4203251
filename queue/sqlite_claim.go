package queue

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

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

	// Where a parameter may match the condition of a partial index SQLite plans anew
	// each time that it is bound: hence +?, here and elsewhere.
	headOfFlow = `
SELECT` + attemptColumns + `
FROM panelmail_recipient AS r JOIN panelmail_message AS m ON m.id = r.message
WHERE r.state = 0 AND r.lane = ? AND r.fresh = +? AND r.class = ? AND r.site = ? AND r.due <= ?
ORDER BY r.due, r.message, r.position`

	leaseRow = `
UPDATE panelmail_recipient
SET state = 1, token = ?, lease = ?, attempts = ?, first = ?, due = ?, fresh = 0
WHERE message = ? AND position = ? AND state = 0`

	// Of mail that is not fresh.
	laneDueAt  = `SELECT due FROM panelmail_recipient WHERE state = 0 AND fresh = 0 AND lane = ? ORDER BY due LIMIT 1`
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
		if _, err := e.rulesIn(t); err != nil {
			return nil, err
		}
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

	// The lane has fresh mail, as far as is known, and other mail that is due.
	fresh, old bool
}

// want takes attempts from a lane, and sets when it is due again.
func (k *claiming) want(w *want) error {
	next, err := dueAt(k, w.lane)
	if err != nil {
		return err
	}
	k.fresh, k.old = true, next <= k.claim.now
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
	if err := k.attempts(w); err != nil {
		return err
	}
	if w.more != [priorities]bool{} {
		next = k.claim.now // behind the lanes that have waited longer
	} else if k.old {
		if next, err = dueAt(k, w.lane); err != nil {
			return err
		}
	}
	return k.file(w, next)
}

// attempts takes the attempts that are not for newcomers. The usual lane has one
// fresh message, or nothing, and costs no more than that.
func (k *claiming) attempts(w *want) (err error) {
	first, waiting, err := firstOf(k, w.lane)
	k.fresh = waiting > 0
	switch {
	case err != nil:
		return err
	case waiting == 0 && !k.old:
		return nil
	case waiting == 1 && !k.old:
		_, w.more[first.class], err = k.take(w, first.flow, 1)
		return err
	}
	return k.lane(w, first)
}

// file sets when a lane is due again; never: nobody waits.
func (k *claiming) file(w *want, due int64) error {
	var at any
	if due < never {
		at = due
	}
	_, err := k.exec(setLaneDue, at, w.lane)
	return err
}

// lane takes attempts from a lane, class by class. first is its first flow with fresh
// mail, if there is one.
func (k *claiming) lane(w *want, first flowDue) error {
	classes, err := k.classes(w, first)
	if err != nil {
		return err
	}
	left := w.attempts
	for i := range classes {
		c := &classes[i]
		most := left
		if i < len(classes)-1 && left > 1 {
			most -= max(1, left/floorOf) // those below have their turns too
		}
		used, err := k.class(w, c, min(most, w.most[c.class]))
		if err != nil {
			return err
		}
		left -= used
	}
	return nil
}

// class takes attempts from the sites of a class in turn, an equal share from each;
// what one does not need is the others'. It returns what they cost.
func (k *claiming) class(w *want, c *classDue, n int) (used int, err error) {
	if n <= 0 {
		w.more[c.class] = true // as far as is known
		return 0, nil
	}
	sites, next, err := dueSites(k, k.claim.now, w, c, n)
	if err != nil {
		return 0, err
	}
	if len(sites) == 0 {
		w.after[c.class] = next // whoever is behind those that are not due has a turn too
	}
	more := len(sites) == n
	for i, site := range sites {
		if used >= n {
			more = true
			break
		}
		others := len(sites) - i
		got, another, err := k.take(w, flow{c.class, site}, (n-used+others-1)/others)
		if err != nil {
			return 0, err
		}
		for _, a := range got {
			a.next = next
			used += cost(a.size)
		}
		more = more || another
	}
	w.more[c.class] = more
	return used, nil
}

// take leases what is due first in a flow, at once: a claim may come to a flow
// twice.
func (k *claiming) take(w *want, f flow, n int) (got []*attempt, more bool, err error) {
	got, more, err = k.due(w, f, n)
	if err != nil {
		return nil, false, err
	}
	for _, a := range got {
		a.next, a.as = f.site, *k.rules()
		a.token = k.claim.token + int64(len(k.got))
		if err := lease(k, k.claim, a); err != nil {
			return nil, false, err
		}
		k.rows -= len(a.rows)
		k.got = append(k.got, a)
	}
	return got, more, nil
}

// due reads the first attempts of a flow, in the order in which they became due,
// until they cost n. more says that more may be due.
func (k *claiming) due(w *want, f flow, n int) (got []*attempt, more bool, err error) {
	if k.fresh {
		if got, more, err = k.head(w, f, true, n); err != nil || !k.old {
			return got, more, err
		}
	}
	old, another, err := k.head(w, f, false, n)
	switch {
	case err != nil:
		return nil, false, err
	case len(old) == 0:
		return got, more, nil
	case len(got) == 0:
		return old, another, nil
	}
	got = append(got, old...)
	slices.SortStableFunc(got, func(a, b *attempt) int {
		return cmp.Or(cmp.Compare(a.rows[0].due, b.rows[0].due), cmp.Compare(a.message, b.message))
	})
	rows := k.rows
	for i, a := range got {
		if n <= 0 || rows <= 0 {
			return got[:i], true, nil
		}
		n -= cost(a.size)
		rows -= len(a.rows)
	}
	return got, more || another, nil
}

// head reads the first attempts of a flow's mail that is fresh, or is not, until
// they cost n. Recipients of one message that became due together travel together.
// more says that more may be due.
func (k *claiming) head(w *want, f flow, fresh bool, n int) (got []*attempt, more bool, err error) {
	until, left := k.claim.now, k.rows
	if fresh {
		until = never
	}
	rows, err := k.query(headOfFlow, w.lane, fresh, f.class, f.site, until)
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
			left--
			continue
		}
		if n <= 0 || left <= 0 {
			return got, true, rows.Err()
		}
		n -= cost(a.size)
		left--
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
		&v.ReversePath, &v.SMTPUTF8, &v.Body, &v.Ret, &v.EnvID, tlsWish{v},
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

// dueAt is when the earliest of a lane's mail is due that is not fresh.
func dueAt(t txn, lane int64) (at int64, err error) {
	err = t.row(laneDueAt, lane).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return never, nil
	}
	return at, err
}
