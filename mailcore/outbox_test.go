package mailcore_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
)

// panelDB is the database of a panel that keeps its orders in SQLite.
func panelDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "panel.db")+"?_journal_mode=WAL&_txlock=immediate&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Exec(`CREATE TABLE orders (id INTEGER PRIMARY KEY) STRICT`); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestAMessageSubmittedInATransactionIsThereIfAndOnlyIfItCommits(t *testing.T) {
	db := panelDB(t)
	srv, err := mailcore.New(t.Context(), db, mailcore.Config{Hostname: "mail.panel.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	for _, commit := range []bool{false, true} {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(`INSERT INTO orders DEFAULT VALUES`); err != nil {
			t.Fatal(err)
		}
		id, err := srv.SubmitTx(t.Context(), tx, hello("shop@shop.example", "u@customer.example"))
		if err != nil {
			t.Fatal(err)
		}
		end := tx.Rollback
		if commit {
			end = tx.Commit
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for e, err := range srv.Queue().Entries(context.Background(), queue.Match{IDs: []string{id}}) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; !strings.HasPrefix(e.Recipients[0].Address, "u@") {
				t.Errorf("stored for %q", e.Recipients[0].Address)
			}
		}
		if got := n == 1; got != commit {
			t.Errorf("commit %v: message there %v", commit, got)
		}
	}
}

func TestNewRefusesADatabaseThatIsNotInWALMode(t *testing.T) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "panel.db")+"?_journal_mode=DELETE")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE orders (id INTEGER PRIMARY KEY) STRICT`); err != nil {
		t.Fatal(err)
	}
	srv, err := mailcore.New(t.Context(), db, mailcore.Config{Hostname: "mail.panel.example"})
	if err == nil {
		srv.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "journal_mode") {
		t.Errorf("New: %v, want an error that names the pragma", err)
	}
}

func TestOpenNamesEveryProblemOfAConfigurationAtOnce(t *testing.T) {
	_, err := mailcore.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), mailcore.Config{
		Hostname: "no dots", Postmaster: "nobody", TLSLevel: "half-dane", MessageSize: -1,
		Retry: mailcore.Retry{BackoffMin: 2, BackoffMax: 1},
	})
	for _, want := range []string{"Hostname", "Postmaster", "TLSLevel", "MessageSize", "BackoffMax"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in: %v", want, err)
		}
	}
}

func TestACopyIsSentOnInATransactionThatWrites(t *testing.T) {
	db := panelDB(t)
	srv, err := mailcore.New(t.Context(), db, mailcore.Config{Hostname: "mail.panel.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	addSite(t, srv, "shop", "shop.example")
	if err := srv.Sites().SetAlias(t.Context(), sites.AliasEntry{Pattern: "fwd@shop.example", Targets: []string{"x@out.example"}}); err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`INSERT INTO orders DEFAULT VALUES`); err != nil {
		t.Fatal(err)
	}
	if _, err := srv.SubmitTx(t.Context(), tx, hello("alice@author.example", "fwd@shop.example")); err != nil {
		t.Error(err)
	}
}
