package queue

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
)

func (e *engine) ages(ctx context.Context, now int64, bounds []time.Duration) (all []AgeStats, err error) {
	var class strings.Builder
	class.WriteString("CASE")
	args := make([]any, 0, 2*len(bounds)+1)
	for i, b := range bounds {
		class.WriteString(" WHEN m.arrived > ? THEN ?")
		args = append(args, now-b.Microseconds(), i)
	}
	class.WriteString(" WHEN TRUE THEN ? END")
	args = append(args, len(bounds))
	err = e.view(ctx, func(tx *sql.Tx) error {
		all, err = readAges(tx, class.String(), args, len(bounds)+1)
		return err
	})
	slices.SortStableFunc(all, func(a, b AgeStats) int { return cmp.Compare(b.Total(), a.Total()) })
	return all, err
}

// readAges counts by a label and a class, which is one of so many.
func readAges(tx *sql.Tx, class string, args []any, classes int) ([]AgeStats, error) {
	rows, err := tx.Query(`
SELECT l.key, n.class, n.recipients
FROM (SELECT r.lane, `+class+` AS class, count(*) AS recipients
	FROM panelmail_message AS m JOIN panelmail_recipient AS r ON r.message = m.id
	WHERE r.state < 3 GROUP BY 1, 2) AS n
	JOIN panelmail_lane AS l ON l.id = n.lane
ORDER BY l.key`, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []AgeStats
	for rows.Next() {
		var label string
		var class, n int
		if err := rows.Scan(&label, &class, &n); err != nil {
			return nil, err
		}
		if len(all) == 0 || all[len(all)-1].Label != label {
			all = append(all, AgeStats{Label: label, Count: make([]int, classes)})
		}
		all[len(all)-1].Count[class] = n
	}
	return all, rows.Err()
}
