package queue

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
)

const (
	// The flows of the mail that is due first, with the number of recipients
	// looked at.
	firstFlows = `
SELECT class, site, count(*) FROM (
	SELECT class, site FROM panelmail_recipient
	WHERE state = 0 AND lane = ? AND due <= ?
	ORDER BY due LIMIT ?)
GROUP BY class, site ORDER BY class, site`

	// The index ranges on its first column only, so the next flow of the class
	// and the next class are two questions.
	nextSite = `
SELECT class, site, due FROM panelmail_recipient
WHERE state = 0 AND lane = ? AND class = ? AND site > ?
ORDER BY site, due LIMIT 1`

	nextClass = `
SELECT class, site, due FROM panelmail_recipient
WHERE state = 0 AND lane = ? AND class > ?
ORDER BY class, site, due LIMIT 1`
)

// What is looked at to find the flows that are due is bounded, so that a claim
// costs the same however many sites wait for a retry.
const (
	fewFlows   = 8 // not due, in the usual lane
	flowFactor = 4 // in multiples of the attempts wanted: in a backlog
)

// firstFlow is before all flows.
var firstFlow = flow{class: -1}

func (f flow) compare(g flow) int {
	if f.class != g.class {
		return f.class - g.class
	}
	return strings.Compare(f.site, g.site)
}

// dueFlows lists flows with due mail, at most as many as attempts are wanted,
// going round from w.after, and says where to begin the next time.
//
// Where it meets many that are not due, it looks at the mail that has been due
// for longest: if that is not much, it is all. Otherwise it goes on for a while,
// and serves what it finds together with the flows of that mail.
func dueFlows(t txn, now int64, w want) (flows []flow, next flow, err error) {
	flows, next, whole, err := goRound(t, now, w, fewFlows)
	if err != nil || whole {
		return flows, next, err
	}
	limit := flowFactor * w.attempts
	longest, recipients, err := longestDue(t, now, w.lane, limit)
	if err != nil {
		return nil, next, err
	}
	if recipients < limit {
		flows, next = inTurn(longest, w)
		return flows, next, nil
	}
	flows, next, whole, err = goRound(t, now, w, limit)
	if err != nil || whole {
		return flows, next, err
	}
	for _, f := range longest {
		if len(flows) < w.attempts && !slices.Contains(flows, f) {
			flows = append(flows, f)
		}
	}
	return flows, next, nil
}

// longestDue lists, in the order of flows, those of the recipients that have been
// due for longest, and tells how many recipients that were, up to a limit.
func longestDue(t txn, now, lane int64, limit int) (flows []flow, recipients int, err error) {
	rows, err := t.query(firstFlows, lane, now, limit)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var f flow
		var n int
		if err := rows.Scan(&f.class, &f.site, &n); err != nil {
			return nil, 0, err
		}
		flows = append(flows, f)
		recipients += n
	}
	return flows, recipients, rows.Err()
}

// inTurn takes from all flows that are due, in order, those whose turn it is.
func inTurn(all []flow, w want) (flows []flow, next flow) {
	at, found := slices.BinarySearchFunc(all, w.after, flow.compare)
	if found {
		at++
	}
	flows = slices.Concat(all[at:], all[:at])
	switch {
	case len(flows) == 0:
		return nil, w.after
	case len(flows) > w.attempts:
		flows = flows[:w.attempts]
		return flows, flows[len(flows)-1]
	}
	return flows, flows[0] // all of them: only who is first changes
}

// goRound visits flows from w.after on and lists those that are due, until it has
// met as many as may be that are not. whole says that those are all, or as many
// as wanted.
func goRound(t txn, now int64, w want, misses int) (flows []flow, next flow, whole bool, err error) {
	ended := false
	next = w.after
	visit := func(f flow, due int64) bool {
		next = f
		if due <= now {
			flows = append(flows, f)
		} else {
			misses--
		}
		ended = len(flows) == w.attempts || misses == 0
		return !ended
	}
	if err = walk(t, w.lane, w.after, visit); err == nil && !ended {
		err = walk(t, w.lane, firstFlow, func(f flow, due int64) bool { return f.compare(w.after) <= 0 && visit(f, due) })
	}
	if !ended && len(flows) > 0 {
		next = flows[0]
	}
	return flows, next, !ended || len(flows) == w.attempts, err
}

// walk visits the flows of a lane that come after f, with the instant each is
// due, until visit returns false.
func walk(t txn, lane int64, f flow, visit func(f flow, due int64) bool) error {
	for {
		var due int64
		err := t.row(nextSite, lane, f.class, f.site).Scan(&f.class, &f.site, &due)
		if errors.Is(err, sql.ErrNoRows) {
			err = t.row(nextClass, lane, f.class).Scan(&f.class, &f.site, &due)
		}
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if !visit(f, due) {
			return nil
		}
	}
}
