//go:build cgo && linux

package crashvfs_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/crashvfs"
)

// A driverOn opens databases on a disk with the default driver. Whoever writes
// there gets other settings than those it has just made for itself.
type driverOn struct {
	driver.Driver
	disk     *crashvfs.Disk
	pragmas  []string // set before the first BEGIN IMMEDIATE of a connection
	careless bool     // an error of COMMIT is not looked at
}

// on returns a handle on the database at path, on the disk.
func on(t testing.TB, disk *crashvfs.Disk, path string, pragmas ...string) *sql.DB {
	t.Helper()
	return driverOn{disk: disk, pragmas: pragmas}.open(t, path)
}

func (d driverOn) open(t testing.TB, path string) *sql.DB {
	t.Helper()
	plain, err := sql.Open("sqlite3", "")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	d.Driver = plain.Driver()
	db := sql.OpenDB(file{d, "file:" + path + "?mode=rwc"})
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (d driverOn) Open(name string) (driver.Conn, error) {
	c, err := d.Driver.Open(name + "&vfs=" + d.disk.Name())
	if err != nil {
		return nil, err
	}
	return &connOn{c, c.(driver.ExecerContext), d.pragmas, d.careless}, nil
}

// A file is a driver with the name of a database.
type file struct {
	driver driverOn
	name   string
}

func (f file) Driver() driver.Driver                        { return f.driver }
func (f file) Connect(context.Context) (driver.Conn, error) { return f.driver.Open(f.name) }

type connOn struct {
	driver.Conn
	driver.ExecerContext // runs several statements at once, which Prepare does not
	pragmas              []string
	careless             bool
}

func (c *connOn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if strings.HasPrefix(query, "BEGIN IMMEDIATE") {
		for _, p := range c.pragmas {
			if _, err := c.ExecContext(ctx, "PRAGMA "+p, nil); err != nil {
				return nil, err
			}
		}
		c.pragmas = nil
	}
	s, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err == nil && c.careless && query == "COMMIT" {
		return &carelessCommit{s, s.(driver.StmtQueryContext), c}, nil
	}
	return s, err
}

// A carelessCommit says that it worked even if it did not.
type carelessCommit struct {
	driver.Stmt
	driver.StmtQueryContext
	conn *connOn
}

func (s *carelessCommit) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	result, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	if err != nil {
		_, _ = s.conn.ExecContext(ctx, "ROLLBACK", nil) // SQLite may have done it already
		return nothing{}, nil
	}
	return result, nil
}

type nothing struct{}

func (nothing) LastInsertId() (int64, error) { return 0, nil }
func (nothing) RowsAffected() (int64, error) { return 0, nil }
