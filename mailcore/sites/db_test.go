package sites_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"testing"

	"github.com/panelmail/panelmail/internal/sqlitedb"
	"github.com/panelmail/panelmail/mailcore/sites"
)

// file is a DB over a real SQLite file: one writer at a time, as in the queue.
type file struct {
	path           string
	mu             sync.Mutex
	writer, reader *sql.DB
}

func openFile(t testing.TB, path string) *file {
	t.Helper()
	own, err := sqlitedb.Own(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &file{path: path}
	if f.writer, err = own.Writer(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.writer.Close() })
	if f.reader, err = own.Reader(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.reader.Close() })
	return f
}

func newFile(t *testing.T) *file {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "panelmail.db"))
}

func (f *file) Update(ctx context.Context, do func(*sql.Tx) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return in(f.writer, do)
}

func (f *file) View(ctx context.Context, do func(*sql.Tx) error) error { return in(f.reader, do) }

func in(db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func newSites(t *testing.T) *sites.Sites {
	t.Helper()
	s, err := sites.New(t.Context(), newFile(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// must fails the test unless every error is nil.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
