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
//
// It is an error if the maildrop is no directory, belongs to somebody other than
// the effective uid or root, or can be written by its group or by others; or if
// the user's place in it is no directory or a third user's.
func (b Box) Create(uid, gid int) error {
	if err := b.create(uid, gid); err != nil {
		return fmt.Errorf("maildrop: %w", err)
	}
	return nil
}

func (b Box) create(uid, gid int) error {
	parent, err := b.parent()
	if err != nil {
		return err
	}
	defer parent.Close()
	name := strconv.Itoa(uid)
	if err := parent.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	named, err := parent.Lstat(name)
	if err != nil {
		return err
	}
	root, err := parent.OpenRoot(name)
	if err != nil {
		return err
	}
	defer root.Close()
	fi, err := opened(root, named)
	if err != nil {
		return fmt.Errorf("%s: %w", b.user(uid), err)
	}
	if owner := ownerOf(fi); owner != uid && owner != os.Geteuid() {
		return fmt.Errorf("%s belongs to uid %d", b.user(uid), owner)
	}
	self, err := root.Open(".")
	if err != nil {
		return err
	}
	defer self.Close()
	if err := self.Chown(uid, gid); err != nil {
		return err
	}
	return self.Chmod(0o770 | fs.ModeSetgid)
}

// Remove removes the directory of a uid with all that is in it; that there is none
// is no error.
func (b Box) Remove(uid int) error {
	if _, err := os.Lstat(b.user(uid)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	parent, err := b.parent()
	if err == nil {
		defer parent.Close()
		err = parent.RemoveAll(strconv.Itoa(uid))
	}
	if err != nil {
		return fmt.Errorf("maildrop: remove: %w", err)
	}
	return nil
}

// parent makes the maildrop if it is not there, and opens it if nobody but us
// and root can have put anything into it.
func (b Box) parent() (*os.Root, error) {
	dir := filepath.Clean(b.Dir) // a slash at the end would follow a link
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	named, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	fi, err := opened(root, named)
	if err == nil {
		owner, perm := ownerOf(fi), fi.Mode().Perm()
		switch {
		case owner != os.Geteuid() && owner != 0:
			err = fmt.Errorf("it belongs to uid %d, and this process is uid %d", owner, os.Geteuid())
		case perm&0o022 != 0:
			err = fmt.Errorf("it has mode %04o, so others can put directories into it; make it 0711", perm)
		}
	}
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return root, nil
}

// opened is what is known of an open directory, if that is the one which had the
// name before, and not one that a link leads to.
func opened(root *os.Root, named fs.FileInfo) (fs.FileInfo, error) {
	fi, err := root.Stat(".")
	if err == nil && !os.SameFile(named, fi) {
		err = errors.New("it is a link, or was replaced while it was opened")
	}
	return fi, err
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
	named, err := os.Lstat(dir)
	if err == nil {
		var fi fs.FileInfo
		if fi, err = opened(root, named); err == nil && ownerOf(fi) != uid {
			err = fmt.Errorf("it belongs to uid %d", ownerOf(fi))
		}
	}
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("%w: %s: %w", ErrNoDirectory, dir, err)
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
