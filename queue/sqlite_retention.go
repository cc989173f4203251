package queue

import "context"

const (
	// The oldest events, as far as they are too old: without a gap, so that a
	// cursor can tell what it has missed. What claims to come from the future
	// keeps nobody.
	pruneEvents = `
DELETE FROM panelmail_event WHERE seq IN (SELECT seq FROM panelmail_event ORDER BY seq LIMIT 500)
AND seq < coalesce((
	SELECT min(seq) FROM (SELECT seq, at FROM panelmail_event ORDER BY seq LIMIT 500) WHERE at >= ?1 AND at <= ?2), 1 << 62)`

	oldEvents = `
SELECT EXISTS (SELECT 1 FROM (SELECT at FROM panelmail_event ORDER BY seq LIMIT 1) WHERE at < ?1 OR at > ?2)`

	pruneCounts = `
DELETE FROM panelmail_count WHERE minute = (SELECT min(minute) FROM panelmail_count) AND minute < ?`

	oldCounts = `SELECT EXISTS (SELECT 1 FROM panelmail_count WHERE minute < ?)`
)

// countMinutes is how long counts are kept.
const countMinutes = 24*60 + 1

// prune deletes events of before an instant (0: none), and counts that no window
// reaches any more: some hundred of each in a step.
func (e *engine) prune(ctx context.Context, before, now int64) (more bool, err error) {
	minute := minuteOf(now) - countMinutes
	var events, counts bool
	if err := e.read.QueryRowContext(ctx, oldEvents, before, now).Scan(&events); err != nil {
		return false, err
	}
	if err := e.read.QueryRowContext(ctx, oldCounts, minute).Scan(&counts); err != nil {
		return false, err
	}
	events = events && before > 0
	if !events && !counts {
		return false, nil
	}
	return true, e.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		if events {
			if _, err := t.exec(pruneEvents, before, now); err != nil {
				return nil, err
			}
		}
		_, err := t.exec(pruneCounts, minute)
		return nil, err
	}})
}

const (
	spareLeast   = 8192 // free pages that are not worth returning: 32 MiB
	spareShare   = 4    // nor is a quarter of the file, which mail will fill again
	vacuumLeaves = 2    // half of that is left when a vacuum ends

	// A step takes about 2 ms.
	vacuumStep = `PRAGMA incremental_vacuum(500)`
)

// vacuum returns pages to the file system, a step at a time, if the file is our
// own and many are free.
func (e *engine) vacuum(ctx context.Context, begun bool) (more bool, err error) {
	if !e.file.Owned() {
		return false, nil
	}
	var free, pages int
	if err := e.read.QueryRowContext(ctx, `SELECT freelist_count, page_count FROM pragma_freelist_count, pragma_page_count`).Scan(&free, &pages); err != nil {
		return false, err
	}
	limit := max(spareLeast, pages/spareShare)
	if begun {
		limit /= vacuumLeaves
	}
	if free <= limit {
		return false, nil
	}
	return true, e.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		return nil, e.writer.tx.discard(vacuumStep)
	}})
}
