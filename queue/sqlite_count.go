package queue

import (
	"database/sql"
	"time"
)

const (
	addCounts = `
INSERT INTO panelmail_count (minute, site, label, delivered, deferred, bounced) VALUES `
	countRow  = `(?, ?, ?, ?, ?, ?)`
	countRow8 = countRow + `,` + countRow + `,` + countRow + `,` + countRow + `,` +
		countRow + `,` + countRow + `,` + countRow + `,` + countRow
	toThose = `
ON CONFLICT DO UPDATE SET delivered = delivered + excluded.delivered,
	deferred = deferred + excluded.deferred, bounced = bounced + excluded.bounced`

	// The minute under way belongs to each window.
	selectCounts = `
SELECT site, label,
	sum(delivered * (minute >= ?1 - 1)), sum(deferred * (minute >= ?1 - 1)), sum(bounced * (minute >= ?1 - 1)),
	sum(delivered * (minute >= ?1 - 60)), sum(deferred * (minute >= ?1 - 60)), sum(bounced * (minute >= ?1 - 60)),
	sum(delivered), sum(deferred), sum(bounced)
FROM panelmail_count WHERE minute >= ?1 - 1440
GROUP BY site, label
ORDER BY sum(delivered) + sum(deferred) + sum(bounced) DESC, site, label`
)

// maxCounts is how many pairs of site and label a minute counts apart; with as
// many in each minute of a day there are 1.4 million rows.
const maxCounts = 1000

// A countKey is what is counted together.
type countKey struct {
	minute      int64
	site, label string
}

// A counter adds up outcomes by minute, for Stats.Flow. It belongs to the
// writer's goroutine.
type counter struct {
	minute int64
	seen   map[countKey]bool // in minute
	sums   map[countKey]Counts
}

// count adds events to the counts in the transaction that makes them true.
func (c *counter) count(t txn, events []Event) error {
	clear(c.sums)
	for i := range events {
		c.add(&events[i])
	}
	var args []any
	for k, n := range c.sums {
		args = append(args, k.minute, k.site, k.label, int64(n.Delivered), int64(n.Deferred), int64(n.Bounced))
	}
	for len(args) > 0 {
		n, statement := 6, addCounts+countRow+toThose
		if len(args) >= 8*6 {
			n, statement = 8*6, addCounts+countRow8+toThose
		}
		if _, err := t.exec(statement, args[:n]...); err != nil {
			return err
		}
		args = args[n:]
	}
	return nil
}

func (c *counter) add(e *Event) {
	n := countOf(e.Kind)
	if n == (Counts{}) {
		return
	}
	if c.sums == nil {
		c.sums = map[countKey]Counts{}
	}
	k := c.key(e)
	sum := c.sums[k]
	c.sums[k] = Counts{sum.Delivered + n.Delivered, sum.Deferred + n.Deferred, sum.Bounced + n.Bounced}
}

// key is what an event is counted under: once a minute has had too many pairs,
// new ones share the empty one.
func (c *counter) key(e *Event) countKey {
	k := countKey{minuteOf(micros(e.Time)), e.Site, e.Label}
	if c.minute != k.minute || c.seen == nil {
		c.minute, c.seen = k.minute, map[countKey]bool{}
	}
	switch {
	case c.seen[k]:
		return k
	case len(c.seen) == maxCounts:
		return countKey{minute: k.minute}
	}
	c.seen[k] = true
	return k
}

func minuteOf(us int64) int64 { return us / time.Minute.Microseconds() }

// countOf is what one event adds.
func countOf(k Kind) (n Counts) {
	switch k {
	case Delivered:
		n.Delivered = 1
	case Deferred, Uncertain:
		n.Deferred = 1
	case Failed, Expired:
		n.Bounced = 1
	}
	return n
}

func flowStats(tx *sql.Tx, now int64, s *Stats) error {
	rows, err := tx.Query(selectCounts, minuteOf(now))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var f FlowStats
		m, h, d := &f.Minute, &f.Hour, &f.Day
		if err := rows.Scan(&f.Site, &f.Label, &m.Delivered, &m.Deferred, &m.Bounced,
			&h.Delivered, &h.Deferred, &h.Bounced, &d.Delivered, &d.Deferred, &d.Bounced); err != nil {
			return err
		}
		s.Flow = append(s.Flow, f)
	}
	return rows.Err()
}
