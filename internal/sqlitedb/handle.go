package sqlitedb

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// A pragma is a setting of a connection and the value it must read back as.
type pragma struct {
	name, set string
	want      string
}

func (f *File) writerPragmas() []pragma {
	p := []pragma{
		{"busy_timeout", "0", "0"}, // the owner polls: a busy handler would sleep in real time and unfairly
		{"synchronous", "FULL", "2"},
		{"foreign_keys", "ON", "1"},
		{"secure_delete", "ON", "1"},
		{"wal_autocheckpoint", "0", "0"}, // the owner copies: a commit would keep an error of it to itself
		{"cache_size", "-8000", "-8000"}, // KiB
	}
	if !f.own {
		return append(p, pragma{"journal_mode", "", "wal"})
	}
	return append([]pragma{{"auto_vacuum", "INCREMENTAL", ""}}, append(p, pragma{"journal_mode", "WAL", "wal"})...)
}

func (f *File) readerPragmas() []pragma {
	return []pragma{
		{"busy_timeout", "1000", "1000"}, // ms; only somebody recovering the log can make a reader wait
		{"query_only", "ON", "1"},
		{"cache_size", "-2000", "-2000"},
	}
}

// Writer returns a handle of a single connection that writes: write-ahead log,
// synchronous=FULL, foreign keys, secure_delete, no busy handler, transactions
// that begin immediate. The log is copied into the database when the owner asks
// for it, and not before; after an error of that the owner calls [File.Recopy].
//
// A file of a caller must be in WAL mode already; nothing that is stored in the
// file is changed there.
func (f *File) Writer(ctx context.Context) (*sql.DB, error) {
	db := sql.OpenDB(&connector{file: f, pragmas: f.writerPragmas(), begin: "BEGIN IMMEDIATE"})
	db.SetMaxOpenConns(1)
	return f.ping(ctx, db)
}

// Reader returns a handle of up to four connections that cannot write. Its
// transactions see one state of the database; keep them short, because the log
// cannot be reset while one is open.
func (f *File) Reader(ctx context.Context) (*sql.DB, error) {
	db := sql.OpenDB(&connector{file: f, pragmas: f.readerPragmas(), begin: "BEGIN"})
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	return f.ping(ctx, db)
}

// ping opens the first connection. Setting up the log needs the file's lock
// for a moment, so it is tried for a second.
func (f *File) ping(ctx context.Context, db *sql.DB) (*sql.DB, error) {
	var err error
	for range 1000 {
		if err = db.PingContext(ctx); err == nil || !IsBusy(err) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("open %s: %w", f.path, err)
	}
	return db, nil
}
