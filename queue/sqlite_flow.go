package queue

import (
	"database/sql"
	"errors"
	"slices"
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

	// The first two recipients that wait: if there is one, it is all.
	firstTwo = `
SELECT class, site, due FROM panelmail_recipient
WHERE state = 0 AND lane = ?
ORDER BY class, site, due LIMIT 2`

	// The index ranges on its first column only, so the next flow of the class
	// and the next class are two questions.
	nextSite = `
SELECT site, due FROM panelmail_recipient
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

// A flowDue is a flow and when it is due.
type flowDue struct {
	flow
	due int64
}

// firstOf returns the first flow that waits in a lane, with how many recipients
// wait: two means that many or more.
func firstOf(t txn, lane int64) (first flowDue, n int, err error) {
	rows, err := t.query(firstTwo, lane)
	if err != nil {
		return first, 0, err
	}
	defer func() { _ = rows.Close() }()
	for ; rows.Next(); n++ {
		if n > 0 {
			continue
		}
		if err := rows.Scan(&first.class, &first.site, &first.due); err != nil {
			return first, 0, err
		}
	}
	return first, n, rows.Err()
}

// classesOf lists the first flow of each class that waits in the lane of a want,
// in the order in which the classes are served. The first of all is known.
func classesOf(t txn, w *want, f flowDue) (first []flowDue, err error) {
	first = append(first, f)
	for f.class < priorities-1 {
		err := t.row(nextClass, w.lane, f.class).Scan(&f.class, &f.site, &f.due)
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			return nil, err
		}
		first = append(first, f)
	}
	if w.yield && w.attempts == 1 && len(first) > 1 {
		first = append(first[1:], first[0])
	}
	return first, nil
}

// dueSites lists sites with due mail in the class of its first flow, at most n,
// going round from that after which the want begins, and says after which the next
// one does.
//
// Where it meets many that are not due, it looks at the mail that has been due
// for longest: if that is not much, it is all. Otherwise it goes on for a while,
// and serves what it finds together with the sites of that mail.
func dueSites(t txn, now int64, w *want, first flowDue, n int) (sites []string, next string, err error) {
	sites, next, whole, err := goRound(t, now, w, first, n, fewFlows)
	if err != nil || whole {
		return sites, next, err
	}
	limit := flowFactor * n
	longest, recipients, err := longestDue(t, now, w.lane, first.class, limit)
	if err != nil {
		return nil, next, err
	}
	if recipients < limit {
		sites, next = inTurn(longest, w.after[first.class], n)
		return sites, next, nil
	}
	sites, next, whole, err = goRound(t, now, w, first, n, limit)
	if err != nil || whole {
		return sites, next, err
	}
	for _, site := range longest {
		if len(sites) < n && !slices.Contains(sites, site) {
			sites = append(sites, site)
		}
	}
	return sites, next, nil
}

// longestDue lists, in order, those sites of a class that have some of the
// recipients of any class that have been due for longest, and tells how many
// recipients that were, up to a limit.
func longestDue(t txn, now, lane int64, class, limit int) (sites []string, recipients int, err error) {
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
		if f.class == class {
			sites = append(sites, f.site)
		}
		recipients += n
	}
	return sites, recipients, rows.Err()
}

// inTurn takes from all sites that are due, in order, those whose turn it is.
func inTurn(all []string, after string, n int) (sites []string, next string) {
	at, found := slices.BinarySearch(all, after)
	if found {
		at++
	}
	sites = slices.Concat(all[at:], all[:at])
	switch {
	case len(sites) == 0:
		return nil, after
	case len(sites) > n:
		sites = sites[:n]
		return sites, sites[len(sites)-1]
	}
	return sites, sites[0] // all of them: only who is first changes
}

// goRound visits the sites of a class after that which had the latest turn and
// lists those that are due, until it has met as many as may be that are not. whole
// says that those are all, or as many as wanted.
func goRound(t txn, now int64, w *want, first flowDue, n, misses int) (sites []string, next string, whole bool, err error) {
	ended := false
	after := w.after[first.class]
	next = after
	visit := func(f flowDue) bool {
		next = f.site
		if f.due <= now {
			sites = append(sites, f.site)
		} else {
			misses--
		}
		ended = len(sites) == n || misses == 0
		return !ended
	}
	switch {
	case first.site > after:
		if visit(first) {
			err = walk(t, w.lane, first.flow, visit)
		}
	default:
		err = walk(t, w.lane, flow{first.class, after}, visit)
		if err == nil && !ended && visit(first) && first.site < after {
			err = walk(t, w.lane, first.flow, func(f flowDue) bool { return f.site <= after && visit(f) })
		}
	}
	if !ended && len(sites) > 0 {
		next = sites[0]
	}
	return sites, next, !ended || len(sites) == n, err
}

// walk visits the flows of a class in a lane that come after f, with the instant
// each is due, until visit returns false.
func walk(t txn, lane int64, after flow, visit func(flowDue) bool) error {
	f := flowDue{flow: after}
	for {
		err := t.row(nextSite, lane, f.class, f.site).Scan(&f.site, &f.due)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if !visit(f) {
			return nil
		}
	}
}
