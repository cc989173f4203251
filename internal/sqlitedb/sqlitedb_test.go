package sqlitedb_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/internal/sqlitedb"
)

func TestOwnCreatesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "queue.db")
	f, err := sqlitedb.Own(path)
	if err != nil {
		t.Fatal(err)
	}
	w := writer(t, f)
	if _, err := w.Exec(`CREATE TABLE t (x)`); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, name := range []string{dir, path, path + "-wal", path + "-shm"} {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		got[strings.TrimPrefix(name, dir)] = info.Mode().String()
	}
	want := map[string]string{"": "drwx------", "/queue.db": "-rw-------", "/queue.db-wal": "-rw-------", "/queue.db-shm": "-rw-------"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
}

func TestOwnRefusesWhatOthersCanReach(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir, path string)
		want string // "": no error
	}{
		{"a directory of mode 0755", func(t *testing.T, dir, _ string) { chmod(t, dir, 0o755) }, ""},
		{"a directory the group can write to", func(t *testing.T, dir, _ string) { chmod(t, dir, 0o770) }, "make it 0700"},
		{"a directory everybody can write to", func(t *testing.T, dir, _ string) { chmod(t, dir, 0o777|os.ModeSticky) }, "make it 0700"},
		{"a symbolic link", func(t *testing.T, dir, path string) {
			touch(t, dir+"/other", 0o600)
			link(t, dir+"/other", path)
		}, "symbolic link"},
		{"a symbolic link to nothing", func(t *testing.T, dir, path string) { link(t, dir+"/other", path) }, "symbolic link"},
		{"a file others can read", func(t *testing.T, _, path string) { touch(t, path, 0o644) }, "must be 0600"},
		{"a directory in the place of the file", func(t *testing.T, _, path string) { mkdir(t, path) }, "not a regular file"},
		{"a file in the place of the directory", func(t *testing.T, dir, _ string) {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
			touch(t, dir, 0o600)
		}, "not a directory"},
		{"a directory of another user", func(t *testing.T, dir, _ string) { give(t, dir) }, "q belongs to uid 12345"},
		{"a file of another user", func(t *testing.T, _, path string) {
			touch(t, path, 0o600)
			give(t, path)
		}, "queue.db belongs to uid 12345"},
		{"a file of ours", func(t *testing.T, _, path string) { touch(t, path, 0o600) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "q")
			mkdir(t, dir)
			path := filepath.Join(dir, "queue.db")
			c.make(t, dir, path)
			_, err := sqlitedb.Own(path)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestWriterIsDurable(t *testing.T) {
	w := writer(t, own(t))
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "1",
		"busy_timeout": "0", "auto_vacuum": "2",
	} {
		if got := query(t, w, "PRAGMA "+pragma); got != want {
			t.Errorf("PRAGMA %s is %s, want %s", pragma, got, want)
		}
	}
}

func TestReaderCannotWrite(t *testing.T) {
	f := own(t)
	w := writer(t, f)
	if _, err := w.Exec(`CREATE TABLE t (x)`); err != nil {
		t.Fatal(err)
	}
	r, err := f.Reader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := r.Exec(`INSERT INTO t VALUES (1)`); err == nil {
		t.Error("a reader wrote")
	}
}

// TestWritersBeginImmediate reads first and writes after somebody else has: with
// a deferred transaction that fails.
func TestWritersBeginImmediate(t *testing.T) {
	f := own(t)
	w, other := writer(t, f), writer(t, f)
	if _, err := w.Exec(`CREATE TABLE t (x)`); err != nil {
		t.Fatal(err)
	}
	tx, err := w.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(`INSERT INTO t VALUES (1)`); !sqlitedb.IsBusy(err) {
		t.Errorf("somebody else wrote meanwhile: %v", err)
	}
	if _, err := tx.Exec(`INSERT INTO t VALUES (2)`); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
}

// TestACancelledContextDoesNotEndATransaction pins why statements see no context
// that can be cancelled: with one, what follows would run in autocommit and stay.
func TestACancelledContextDoesNotEndATransaction(t *testing.T) {
	w := writer(t, own(t))
	if _, err := w.Exec(`CREATE TABLE t (x)`); err != nil {
		t.Fatal(err)
	}
	tx, err := w.Begin()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	long, err := tx.PrepareContext(ctx, `INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT i FROM n`)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := long.ExecContext(ctx)
		done <- err
	}()
	cancel()
	<-done
	_, _ = tx.Exec(`INSERT INTO t VALUES (-1)`)
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
	if n := query(t, w, `SELECT count(*) FROM t`); n != "0" {
		t.Errorf("%s rows survived the rollback", n)
	}
}

func TestBesideLeavesTheCallersDatabaseAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "caller.db")
	db := open(t, path+"?_journal_mode=WAL")
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`PRAGMA user_version = 7; CREATE TABLE mine (x)`); err != nil {
		t.Fatal(err)
	}
	f, err := sqlitedb.Beside(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if f.Path() != path {
		t.Errorf("path %s, want %s", f.Path(), path)
	}
	w := writer(t, f)
	if got := query(t, w, "PRAGMA synchronous"); got != "2" {
		t.Errorf("our own connection has synchronous %s", got)
	}
	for pragma, want := range map[string]string{"user_version": "7", "auto_vacuum": "0"} {
		if got := query(t, db, "PRAGMA "+pragma); got != want {
			t.Errorf("the caller's PRAGMA %s is now %s, was %s", pragma, got, want)
		}
	}
}

func TestBesideRefusesOtherJournals(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "caller.db"))
	if _, err := db.Exec(`CREATE TABLE mine (x)`); err != nil {
		t.Fatal(err)
	}
	f, err := sqlitedb.Beside(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Writer(t.Context())
	if err == nil || !strings.Contains(err.Error(), "PRAGMA journal_mode=WAL") {
		t.Errorf("error %v does not name the pragma", err)
	}
}

func TestBesideRefusesADatabaseWithoutAFile(t *testing.T) {
	if _, err := sqlitedb.Beside(t.Context(), open(t, ":memory:")); err == nil {
		t.Error("accepted")
	}
}

func TestPathsOfAllKindsAreNames(t *testing.T) {
	for _, name := range []string{"plain.db", "with space.db", "question?mode=ro.db", "hash#tag.db", "per%20cent.db"} {
		path := filepath.Join(t.TempDir(), name)
		f, err := sqlitedb.Own(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := writer(t, f).Exec(`CREATE TABLE t (x)`); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%s is not the file that was written (%v)", name, err)
		}
	}
}

func own(t *testing.T) *sqlitedb.File {
	t.Helper()
	f, err := sqlitedb.Own(filepath.Join(t.TempDir(), "queue.db"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func writer(t *testing.T, f *sqlitedb.File) *sql.DB {
	t.Helper()
	w, err := f.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// open opens a database as a caller would.
func open(t *testing.T, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func query(t *testing.T, db *sql.DB, q string) (value string) {
	t.Helper()
	if err := db.QueryRow(q).Scan(&value); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return value
}

func chmod(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// give makes a file another user's.
func give(t *testing.T, name string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	if err := os.Chown(name, 12345, -1); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, nil, mode); err != nil {
		t.Fatal(err)
	}
	chmod(t, name, mode)
}

func mkdir(t *testing.T, name string) {
	t.Helper()
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, old, name string) {
	t.Helper()
	if err := os.Symlink(old, name); err != nil {
		t.Fatal(err)
	}
}
