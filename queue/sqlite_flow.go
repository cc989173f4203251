package queue

import (
	"database/sql"
	"errors"
	"slices"
)

const (
	// The flows of the mail that is due first and not fresh, with the number of
	// recipients looked at.
	firstFlows = `
SELECT class, site, count(*) FROM (
	SELECT class, site FROM panelmail_recipient
	WHERE state = 0 AND fresh = 0 AND lane = ? AND due <= ?
	ORDER BY due LIMIT ?)
GROUP BY class, site ORDER BY class, site`

	// The first two fresh recipients: if there is one, it is all.
	firstTwo = `
SELECT class, site, due FROM panelmail_recipient
WHERE state = 0 AND lane = ? AND fresh = 1
ORDER BY class, site, due LIMIT 2`

	// The index ranges on its first column only, so the next flow of the class
	// and the next class are two questions.
	nextSite = `
SELECT site, due FROM panelmail_recipient
WHERE state = 0 AND lane = ? AND fresh = +? AND class = ? AND site > ?
ORDER BY site, due LIMIT 1`

	nextClass = `
SELECT class, site, due FROM panelmail_recipient
WHERE state = 0 AND lane = ? AND fresh = +? AND class > ?
ORDER BY class, site, due LIMIT 1`
)

// What is looked at to find the flows that are due is bounded, so that a claim
// costs the same however many sites wait for a retry.
const (
	fewFlows   = 8 // not due, in the usual lane
	flowFactor = 4 // in multiples of the attempts wanted: in a backlog
)

// A flowDue is a flow's mail that is fresh, or is not, and when it is due.
type flowDue struct {
	flow
	fresh bool
	due   int64
}

// ripe reports whether something is due: what is fresh is, whoever has changed the
// clock since.
func (f *flowDue) ripe(now int64) bool { return f.fresh || f.due <= now }

// A classDue is a class of a lane with the first of its flows that have fresh mail
// and of those that have other mail; nil: none.
type classDue struct {
	class      int
	fresh, old *flowDue
}

// firstOf returns the first flow of a lane that has fresh mail, with how many
// recipients that are: two means that many or more.
func firstOf(t txn, lane int64) (first flowDue, n int, err error) {
	first.fresh = true
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

// classes lists the classes of the lane of a want in which something may be due, in
// the order in which they are served. first is the first flow with fresh mail, if
// there is one.
func (k *claiming) classes(w *want, first flowDue) (all []classDue, err error) {
	var flows [priorities]classDue
	add := func(f flowDue) {
		if f.fresh {
			flows[f.class].fresh = &f
		} else {
			flows[f.class].old = &f
		}
	}
	if k.fresh {
		add(first)
		if err := eachClass(k, w.lane, first, add); err != nil {
			return nil, err
		}
	}
	if k.old {
		if err := eachClass(k, w.lane, flowDue{flow: flow{class: -1}}, add); err != nil {
			return nil, err
		}
	}
	for class, f := range flows {
		if f.fresh != nil || f.old != nil {
			f.class = class
			all = append(all, f)
		}
	}
	if w.yield && w.attempts == 1 && len(all) > 1 {
		all = append(all[1:], all[0])
	}
	return all, nil
}

// eachClass visits the first flow of each class of a lane that comes after that of
// f and has mail as fresh.
func eachClass(t txn, lane int64, f flowDue, visit func(flowDue)) error {
	for f.class < priorities-1 {
		err := t.row(nextClass, lane, f.fresh, f.class).Scan(&f.class, &f.site, &f.due)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		visit(f)
	}
	return nil
}

// dueSites lists sites with due mail in a class, at most n, going round from that
// after which the want begins, and says after which the next one does.
func dueSites(t txn, now int64, w *want, c *classDue, n int) (sites []string, next string, err error) {
	if c.fresh == nil {
		return oldSites(t, now, w, *c.old, n)
	}
	sites, next, _, err = goRound(t, now, w, *c.fresh, n, n) // all of them are due
	if err != nil || c.old == nil {
		return sites, next, err
	}
	old, next, err := oldSites(t, now, w, *c.old, n)
	if err != nil {
		return nil, next, err
	}
	sites = append(sites, old...)
	slices.Sort(sites)
	sites, _ = inTurn(slices.Compact(sites), w.after[c.class], n)
	if len(sites) == n {
		next = sites[n-1]
	}
	return sites, next, nil
}

// oldSites is dueSites for mail that is not fresh.
//
// Where it meets many sites that are not due, it looks at the mail that has been due
// for longest: if that is not much, it is all. Otherwise it goes on for a while,
// and serves what it finds together with the sites of that mail.
func oldSites(t txn, now int64, w *want, first flowDue, n int) (sites []string, next string, err error) {
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
// recipients of any class that are not fresh and have been due for longest, and
// tells how many recipients that were, up to a limit.
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

// goRound visits the sites of a class that have mail as fresh as first, after that
// which had the latest turn, and lists those that are due, until it has met as many
// as may be that are not. whole says that those are all, or as many as wanted.
func goRound(t txn, now int64, w *want, first flowDue, n, misses int) (sites []string, next string, whole bool, err error) {
	ended := false
	after := w.after[first.class]
	next = after
	visit := func(f flowDue) bool {
		next = f.site
		if f.ripe(now) {
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
			err = walk(t, w.lane, first, visit)
		}
	default:
		rest := first
		rest.site = after
		err = walk(t, w.lane, rest, visit)
		if err == nil && !ended && visit(first) && first.site < after {
			err = walk(t, w.lane, first, func(f flowDue) bool { return f.site <= after && visit(f) })
		}
	}
	if !ended && len(sites) > 0 {
		next = sites[0]
	}
	return sites, next, !ended || len(sites) == n, err
}

// walk visits the flows of a class in a lane that come after f and have mail as
// fresh, with the instant each is due, until visit returns false.
func walk(t txn, lane int64, f flowDue, visit func(flowDue) bool) error {
	for {
		err := t.row(nextSite, lane, f.fresh, f.class, f.site).Scan(&f.site, &f.due)
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
