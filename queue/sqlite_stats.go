package queue

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
)

const (
	// From an index that has all of it.
	sumMessages = `
SELECT count(*), coalesce(sum(size), 0), coalesce(min(arrived), 0)
FROM panelmail_message INDEXED BY panelmail_message_site WHERE id` + noLeftover

	// Each state from its own index, of which two have all of it and in the order
	// of groups. Few recipients are active.
	sumWaiting = `
SELECT lane, site, count(*), sum(attempts > 0)
FROM panelmail_recipient INDEXED BY panelmail_recipient_waiting
WHERE state = 0 GROUP BY lane, fresh, class, site`
	sumActive = `
SELECT lane, site, count(*), 0
FROM panelmail_recipient INDEXED BY panelmail_recipient_leased
WHERE token IS NOT NULL AND state = 1 GROUP BY lane, site`
	sumHeld = `
SELECT lane, site, count(*), 0
FROM panelmail_recipient INDEXED BY panelmail_recipient_held
WHERE state = 2 GROUP BY lane, site`
)

func (e *engine) stats(ctx context.Context, now int64) (s Stats, err error) {
	err = e.view(ctx, func(tx *sql.Tx) error {
		var oldest int64
		if err := tx.QueryRow(sumMessages).Scan(&s.Messages, &s.Size, &oldest); err != nil {
			return err
		}
		if oldest != 0 {
			s.Oldest = instant(oldest)
		}
		sums := sums{stats: &s, lanes: map[int64]*LaneStats{}, sites: map[string]*SiteStats{}}
		if err := sums.read(tx); err != nil {
			return err
		}
		if err := sums.name(tx, now); err != nil {
			return err
		}
		sums.sort()
		return flowStats(tx, now, &s)
	})
	return s, err
}

// sums adds up recipients by lane and by site.
type sums struct {
	stats *Stats
	lanes map[int64]*LaneStats
	sites map[string]*SiteStats
}

func (s *sums) read(tx *sql.Tx) error {
	for _, part := range []struct {
		query string
		total *int
		lane  func(*LaneStats) *int
		site  func(*SiteStats) *int
	}{
		{sumWaiting, &s.stats.Waiting, func(l *LaneStats) *int { return &l.Waiting }, func(n *SiteStats) *int { return &n.Waiting }},
		{sumActive, &s.stats.Active, func(l *LaneStats) *int { return &l.Active }, func(n *SiteStats) *int { return &n.Active }},
		{sumHeld, &s.stats.Hold, func(l *LaneStats) *int { return &l.Hold }, func(n *SiteStats) *int { return &n.Hold }},
	} {
		err := s.each(tx, part.query, func(lane *LaneStats, site *SiteStats, n int) {
			*part.total += n
			*part.lane(lane) += n
			*part.site(site) += n
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each calls add with the groups that a query counts.
func (s *sums) each(tx *sql.Tx, query string, add func(lane *LaneStats, site *SiteStats, n int)) error {
	rows, err := tx.Query(query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			lane        int64
			site        string
			n, deferred int
		)
		if err := rows.Scan(&lane, &site, &n, &deferred); err != nil {
			return err
		}
		s.stats.Deferred += deferred
		if s.lanes[lane] == nil {
			s.lanes[lane] = &LaneStats{}
		}
		if s.sites[site] == nil {
			s.sites[site] = &SiteStats{Site: site}
		}
		add(s.lanes[lane], s.sites[site], n)
	}
	return rows.Err()
}

// name completes what is known of the lanes.
func (s *sums) name(tx *sql.Tx, now int64) error {
	rows, err := tx.Query(`SELECT id, key, coalesce(due, 0), parked, reason FROM panelmail_lane`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			id, due, parked int64
			label, reason   string
		)
		if err := rows.Scan(&id, &label, &due, &parked, &reason); err != nil {
			return err
		}
		l := s.lanes[id]
		if l == nil {
			continue
		}
		l.Label = label
		if due != 0 && l.Waiting > 0 {
			l.Due = instant(due)
		}
		if parked > now {
			l.Parked, l.Reason = instant(parked), reason
		}
	}
	return rows.Err()
}

// sort lists what has most first.
func (s *sums) sort() {
	for _, l := range s.lanes {
		s.stats.Lanes = append(s.stats.Lanes, *l)
	}
	slices.SortFunc(s.stats.Lanes, func(a, b LaneStats) int {
		return cmp.Or(cmp.Compare(b.Waiting+b.Active+b.Hold, a.Waiting+a.Active+a.Hold), cmp.Compare(a.Label, b.Label))
	})
	for _, n := range s.sites {
		s.stats.Sites = append(s.stats.Sites, *n)
	}
	slices.SortFunc(s.stats.Sites, func(a, b SiteStats) int {
		return cmp.Or(cmp.Compare(b.Waiting+b.Active+b.Hold, a.Waiting+a.Active+a.Hold), cmp.Compare(a.Site, b.Site))
	})
}
