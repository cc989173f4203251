//go:build cgo && linux

package crashvfs_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/panelmail/panelmail/internal/crashvfs"
	"github.com/panelmail/panelmail/internal/sqlitedb"
)

// TestALogThatWasNotCopiedIsCopiedAgain has a part of the log booked as copied
// while a reader keeps SQLite from coming to its end, and the sync of the database
// that is to follow fail. Unless the log is copied again from its beginning, that
// part is lost when the log is written over.
func TestALogThatWasNotCopiedIsCopiedAgain(t *testing.T) {
	for _, again := range []bool{true, false} {
		t.Run(fmt.Sprintf("again=%v", again), func(t *testing.T) {
			var state *crashvfs.State
			disk := mount(t, func(s *crashvfs.State) { state = s })
			db := on(t, disk, filepath.Join(t.TempDir(), "db"))
			run(t, db, `PRAGMA journal_mode = WAL`, `CREATE TABLE t (x)`, `PRAGMA wal_checkpoint(TRUNCATE)`)
			file, err := sqlitedb.Beside(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			w, err := file.Writer(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			insert := func() {
				for range 20 {
					run(t, w, `INSERT INTO t VALUES (randomblob(3000))`)
				}
			}
			insert()
			reader := read(t, db)
			insert()
			if done, all, err := passive(w); err != nil || done == 0 || done == all {
				t.Fatalf("with a reader: copied %d of %d: %v", done, all, err)
			}
			reader.Rollback()

			failNext(disk, 2) // of the log, and of the database
			if _, _, err := passive(w); err == nil {
				t.Fatal("the error of the disk was not told")
			}
			disk.Fail(func(crashvfs.Op) crashvfs.Fault { return crashvfs.NoFault })
			if again {
				tx, err := w.Begin()
				if err != nil {
					t.Fatal(err)
				}
				if err := file.Recopy(); err != nil {
					t.Error(err)
				}
				_ = tx.Rollback()
			}
			if done, all, err := passive(w); err != nil || done != all {
				t.Fatalf("copied %d of %d: %v", done, all, err)
			}
			insert() // over what was copied
			err = whole(t, state.Cut(crashvfs.Lost, rand.New(rand.NewPCG(1, 1))), 60)
			if again && err != nil {
				t.Error(err)
			}
			if !again && err == nil {
				t.Error("nothing was lost: the disk did not do what it is here for")
			}
		})
	}
}

// read begins to read, and goes on until the transaction ends.
func read(t *testing.T, db *sql.DB) *sql.Tx {
	t.Helper()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM t`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return tx
}

// passive copies what it can of the log, in pages.
func passive(db *sql.DB) (done, all int, err error) {
	var busy int
	err = db.QueryRow(`PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &all, &done)
	return done, all, err
}

// failNext has the nth sync from now on fail.
func failNext(disk *crashvfs.Disk, n int) {
	disk.Fail(func(op crashvfs.Op) crashvfs.Fault {
		if op == crashvfs.Sync {
			if n--; n == 0 {
				return crashvfs.IOError
			}
		}
		return crashvfs.NoFault
	})
}

// whole reports what is wrong with the image of a database that must have so many
// rows in table t.
func whole(t *testing.T, image crashvfs.Image, want int) error {
	t.Helper()
	dir := t.TempDir()
	if err := image.WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var rows, octets int
	var verdict string
	if err := db.QueryRow(`SELECT count(*), coalesce(sum(length(x)), 0) FROM t`).Scan(&rows, &octets); err != nil {
		return err
	}
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil {
		return err
	}
	if rows != want || octets != want*3000 || verdict != "ok" {
		return fmt.Errorf("%d rows of %d octets, want %d: %s", rows, octets, want, verdict)
	}
	return nil
}
