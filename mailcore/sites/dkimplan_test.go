package sites

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/sqlitedb"
)

// inTables calls do in a transaction on tables as a program made them that knew a
// number of migrations.
func inTables(t *testing.T, version int, do func(*sql.Tx)) {
	t.Helper()
	own, err := sqlitedb.Own(filepath.Join(t.TempDir(), "panelmail.db"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := own.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	execAll(t, tx, `
		CREATE TABLE panelmail_sites_version (
			id       INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
			version  INTEGER NOT NULL,
			revision INTEGER NOT NULL
		) STRICT`, `
		INSERT INTO panelmail_sites_version (id, version, revision) VALUES (1, 0, 0)`)
	execAll(t, tx, migrations[:version]...)
	if _, err := tx.Exec(`UPDATE panelmail_sites_version SET version = ?`, version); err != nil {
		t.Fatal(err)
	}
	do(tx)
}

func execAll(t *testing.T, tx *sql.Tx, scripts ...string) {
	t.Helper()
	for _, script := range scripts {
		for statement := range strings.SplitSeq(strings.TrimSpace(script), ";\n") {
			if _, err := tx.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestNoQueryReadsTheKeysOfOtherDomains: a server has tens of thousands of them.
func TestNoQueryReadsTheKeysOfOtherDomains(t *testing.T) {
	inTables(t, len(migrations), func(tx *sql.Tx) {
		for _, c := range []struct {
			name, query, plan string
			args              []any
		}{
			{"those of a domain", dkimOfDomain, "SEARCH k USING INDEX panelmail_dkim_domain (domain=?)", []any{"a.example"}},
			{"all", everyDKIM, "SCAN k USING INDEX panelmail_dkim_domain", nil},
			{"those delegated", delegatedDKIM, "SCAN k USING INDEX panelmail_dkim_target", []any{"a.example"}},
			{"those due", dueDKIM, "SEARCH k USING INDEX panelmail_dkim_next (next<?)", []any{1, 1}},
			{"the next one due", nextDKIM, "SEARCH panelmail_dkim USING COVERING INDEX panelmail_dkim_next", nil},
			{"those that sign", signingDKIM, "SCAN panelmail_dkim USING COVERING INDEX panelmail_dkim_signing", nil},
			{"those that sign our reports", ownDKIM, "SCAN panelmail_dkim_policy USING COVERING INDEX panelmail_dkim_policy_own", nil},
		} {
			t.Run(c.name, func(t *testing.T) {
				got := queryPlan(t, tx, c.query, c.args...)
				// Their policies are looked up by the primary key.
				want := []string{c.plan}
				if strings.Contains(c.query, "AS p") {
					want = append(want, "CORRELATED SCALAR SUBQUERY", "SEARCH p USING PRIMARY KEY (domain=?)")
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("plan (-want +got):\n%s", diff)
				}
			})
		}
	})
}

// queryPlan is the plan of a query, without the numbers of subqueries.
func queryPlan(t *testing.T, tx *sql.Tx, query string, args ...any) (plan []string) {
	t.Helper()
	rows, err := tx.Query(`EXPLAIN QUERY PLAN `+query, args...)
	err = eachRow(rows, err, func() error {
		var id, parent, unused int
		var detail string
		err := rows.Scan(&id, &parent, &unused, &detail)
		plan = append(plan, strings.TrimRight(detail, " 0123456789"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestTheKeysOfOldTablesAreFoundByIndexFromNowOn(t *testing.T) {
	const before = 14 // migrations of the program that had no index of keys by domain
	inTables(t, before, func(tx *sql.Tx) {
		execAll(t, tx, `
			INSERT INTO panelmail_dkim (domain, selector, algorithm, state, record, target, private, first, created)
			VALUES ('b.example', 's1', 'rsa2048', 'signing', 'v=DKIM1', '', 'PEM', 1, 1),
				('a.example', 's2', 'rsa2048', 'signing', 'v=DKIM1', '', 'PEM', 1, 2),
				('b.example', 's3', 'ed25519', 'retired', 'v=DKIM1', '', '', 1, 3),
				('b.example', 's4', 'ed25519', 'signing', 'v=DKIM1', '', 'PEM', 1, 4)`)
		if plan := queryPlan(t, tx, dkimOfDomain, "b.example"); !strings.Contains(plan[0], "SCAN k") {
			t.Fatalf("by index already: %q", plan)
		}
		if err := migrate(tx); err != nil {
			t.Fatal(err)
		}
		if ok, err := current(tx); !ok || err != nil {
			t.Errorf("current: %v, %v", ok, err)
		}
		if plan := queryPlan(t, tx, dkimOfDomain, "b.example"); !strings.Contains(plan[0], "panelmail_dkim_domain") {
			t.Errorf("not by index: %q", plan)
		}
		keys, err := dkimOf(tx, "b.example")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, k := range keys {
			got = append(got, k.Selector)
		}
		if diff := cmp.Diff([]string{"s1", "s3", "s4"}, got); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		snap := &Snapshot{dkim: map[string][]int64{}, dkimOwn: map[string]bool{}}
		if err := loadDKIM(tx, snap); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string][]int64{"a.example": {2}, "b.example": {1, 4}}, snap.dkim); diff != "" {
			t.Errorf("keys that sign (-want +got):\n%s", diff)
		}
	})
}
