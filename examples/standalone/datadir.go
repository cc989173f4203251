package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ownData makes the data directory with mode 0700, or checks the one that is
// there. It comes before anything in the directory is written or dialled: who can
// put files there could have root write through their links, or would be told
// passwords. The directory itself must be one, not a link; it must belong to the
// effective uid or to root, and only its owner may write to it. Others may read
// it: the files in it are private by themselves.
func (a *app) ownData() error {
	dir := filepath.Clean(a.data) // a slash at the end would follow a link
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	owner, self := -1, os.Geteuid()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = int(stat.Uid)
	}
	switch perm := info.Mode().Perm(); {
	case info.Mode().Type() == os.ModeSymlink:
		return fmt.Errorf("data directory: %s is a symbolic link: name the directory itself", dir)
	case !info.IsDir():
		return fmt.Errorf("data directory: %s is not a directory", dir)
	case owner != self && owner != 0:
		return fmt.Errorf("data directory: %s belongs to uid %d, and this process is uid %d: run it as that user", dir, owner, self)
	case perm&0o022 != 0:
		return fmt.Errorf("data directory: %s has mode %04o: others can put files into it; make it 0700", dir, perm)
	}
	return nil
}

// create writes a new file of mode 0600, and syncs it. It follows no link and
// replaces nothing; a file that could not be written whole is removed again.
func create(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
