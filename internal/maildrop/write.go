package maildrop

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// ErrNoDirectory says that a user has no directory in the maildrop, or one that
// is not the user's own.
var ErrNoDirectory = errors.New("no maildrop directory")

// A Box is a maildrop.
type Box struct {
	Dir string // holds a directory for each uid
}

// user is the directory of a uid.
func (b Box) user(uid int) string { return filepath.Join(b.Dir, strconv.Itoa(uid)) }

// Create makes the directory of a uid if it is not there, and the maildrop above
// it. The server's group is gid. Only root can make one for another user.
func (b Box) Create(uid, gid int) error {
	if err := os.MkdirAll(b.Dir, 0o711); err != nil {
		return fmt.Errorf("maildrop: %w", err)
	}
	dir := b.user(uid)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("maildrop: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("maildrop: %w", err)
	}
	defer root.Close()
	self, err := root.Open(".")
	if err != nil {
		return fmt.Errorf("maildrop: %w", err)
	}
	defer self.Close()
	if fi, err := os.Lstat(dir); err != nil || !fi.IsDir() {
		return fmt.Errorf("maildrop: %s is no directory", dir)
	}
	if err := self.Chown(uid, gid); err != nil {
		return fmt.Errorf("maildrop: %w", err)
	}
	if err := self.Chmod(0o770 | fs.ModeSetgid); err != nil {
		return fmt.Errorf("maildrop: %w", err)
	}
	return nil
}

// Write keeps a message of a user. When it returns nil, the message is on disk.
// If the user has no directory, the error is [ErrNoDirectory].
func (b Box) Write(uid int, e Envelope, content io.Reader) error {
	header, err := e.header()
	if err != nil {
		return fmt.Errorf("maildrop: %w", err)
	}
	root, err := b.open(uid)
	if err != nil {
		return err
	}
	defer root.Close()
	name := fmt.Sprintf("%020d.%s", time.Now().UnixMicro(), rand.Text()[:8])
	temporary := "." + name
	f, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return fmt.Errorf("maildrop: %w", err)
	}
	err = fill(f, header, e.Size, content)
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("maildrop: %w", err), root.Remove(temporary))
	}
	if err := syncDir(root); err != nil {
		return errors.Join(fmt.Errorf("maildrop: %w", err), root.Remove(name))
	}
	return nil
}

// open opens the directory of a user after checking that it is.
func (b Box) open(uid int) (*os.Root, error) {
	dir := b.user(uid)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDirectory, err)
	}
	before, err := os.Lstat(dir)
	if err == nil {
		var opened fs.FileInfo
		if opened, err = root.Stat("."); err == nil && (!os.SameFile(before, opened) || ownerOf(opened) != uid) {
			err = fmt.Errorf("%s is not a directory of uid %d", dir, uid)
		}
	}
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("%w: %w", ErrNoDirectory, err)
	}
	return root, nil
}

// fill writes and syncs a file and closes it in any case.
func fill(f *os.File, header string, size int64, content io.Reader) (err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.WriteString(f, header); err != nil {
		return err
	}
	if n, err := io.Copy(f, content); err != nil || n != size {
		return errors.Join(err, fmt.Errorf("%d of %d octets of content", n, size))
	}
	if err := f.Chmod(0o640); err != nil { // whatever the umask: the group is the server
		return err
	}
	return f.Sync()
}

func syncDir(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
