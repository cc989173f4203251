package sqlitedb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
)

// A File is a database file and the driver that opens it.
type File struct {
	path   string
	driver driver.Driver
	own    bool
	shm    index
}

// Path is the absolute name of the file.
func (f *File) Path() string { return f.path }

// Owned reports whether the file is only ours: one of [Own].
func (f *File) Owned() bool { return f.own }

// Own is the database file at path, for the default driver. A file that is
// missing is created empty with mode 0600, a directory that is missing with
// mode 0700.
//
// It is an error if the directory belongs to somebody other than the effective
// uid or root, or can be written by its group or by others (reading is tolerated:
// the files are private by themselves); or if the file is a symbolic link, is not
// regular, belongs to another uid, or is accessible to its group or to others.
// Root is no exception: what it adds to the database of somebody else, they
// could not write to any more.
func Own(path string) (*File, error) {
	if err := available(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := secureDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := secureFile(path); err != nil {
		return nil, err
	}
	return &File{path: path, driver: defaultDriver(), own: true}, nil
}

// Beside is the main database file of db, for db's own driver. It runs one
// query on db and leaves it as it is.
func Beside(ctx context.Context, db *sql.DB) (*File, error) {
	var path string
	err := db.QueryRowContext(ctx, `SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&path)
	if err != nil {
		return nil, fmt.Errorf("find the file of the database: %w", err)
	}
	if path == "" {
		return nil, errors.New("the database has no file: one in memory cannot be opened a second time")
	}
	return &File{path: path, driver: db.Driver()}, nil
}

func secureDir(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create the directory of the database: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the directory of the database: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	if uid := ownerOf(info); uid != os.Geteuid() && uid != 0 {
		return notOurs("directory "+dir, uid)
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return fmt.Errorf("directory %s has mode %04o: others can replace the files in it; make it 0700", dir, perm)
	}
	return nil
}

// secureFile creates path, or checks what is there. It closes a descriptor of
// the file only if it has just created it: closing one of an open database
// would drop the locks SQLite holds for this process.
func secureFile(path string) error {
	fd, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err == nil {
		_ = fd.Close()
		return syncDir(filepath.Dir(path))
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create the database: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	switch perm := info.Mode().Perm(); {
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link: name the file itself", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case perm&0o077 != 0:
		return fmt.Errorf("%s has mode %04o: it holds mail and must be 0600", path, perm)
	}
	if uid := ownerOf(info); uid != os.Geteuid() {
		return notOurs(path, uid)
	}
	return nil
}

// ownerOf is the uid of a file's owner, -1 if it cannot be told.
func ownerOf(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

func notOurs(what string, uid int) error {
	return fmt.Errorf("%s belongs to uid %d, and this process is uid %d", what, uid, os.Geteuid())
}

// syncDir makes the entry of a new file as durable as its content.
func syncDir(dir string) error {
	fd, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = fd.Close() }()
	return fd.Sync()
}

// name is the URI of the file, which every driver built on SQLite's C source
// understands.
func (f *File) name() string {
	u := url.URL{Scheme: "file", OmitHost: true, Path: f.path, RawQuery: "mode=rw"}
	return u.String()
}
