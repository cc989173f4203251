package sites_test

import (
	"database/sql"
	"slices"
	"testing"

	"github.com/panelmail/panelmail/mailcore/sites"
)

// TestEachTableBelongsToASiteOrToNone fails for a table that somebody added
// without saying what becomes of its rows when a site goes.
func TestEachTableBelongsToASiteOrToNone(t *testing.T) {
	// Rows of these are nobody's, for the reason given.
	nobodys := map[string]string{
		"panelmail_site": "the site itself: removed and renamed by hand",
	}
	ctx := t.Context()
	f := newFile(t)
	_, err := sites.New(ctx, f)
	must(t, err)
	belonging := sites.BelongingTables()
	must(t, f.View(ctx, func(tx *sql.Tx) error {
		there := tables(t, tx)
		for _, name := range there {
			if nobodys[name] == "" && !slices.Contains(belonging, name) {
				t.Errorf("%s: put it into belongings (belong.go), so that its rows go with their site, or say here why they are nobody's", name)
			}
			if nobodys[name] != "" && slices.Contains(columns(t, tx, name), "site") {
				t.Errorf("%s has a column for a site: its rows are somebody's", name)
			}
		}
		for _, name := range belonging {
			if !slices.Contains(there, name) {
				t.Errorf("there is no table %s", name)
			}
		}
		return nil
	}))
}

func columns(t *testing.T, tx *sql.Tx, table string) (names []string) {
	t.Helper()
	rows, err := tx.Query(`SELECT name FROM pragma_table_info(?)`, table)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		names = append(names, name)
	}
	must(t, rows.Err())
	return names
}
