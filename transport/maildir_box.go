package transport

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// errNoFolder says that something on the way to a Maildir, or in it, is no directory: a
// symbolic link perhaps, or a FIFO.
var errNoFolder = errors.New("what should be a directory is none")

// A mailbox is an open Maildir.
type mailbox struct {
	box, tmp, fresh *os.Root // fresh is new
}

// openMailbox opens the Maildir at a path below root, and makes what is missing. It
// closes root.
func openMailbox(root *os.Root, path string) (*mailbox, error) {
	at := root
	for name := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		next, err := openFolder(at, name)
		at.Close()
		if err != nil {
			return nil, err
		}
		at = next
	}
	b := &mailbox{box: at}
	for name, sub := range map[string]**os.Root{"tmp": &b.tmp, "new": &b.fresh, "cur": nil} {
		opened, err := openFolder(at, name)
		switch {
		case err != nil:
			b.Close()
			return nil, err
		case sub == nil:
			opened.Close()
		default:
			*sub = opened
		}
	}
	return b, nil
}

// Close closes the directories.
func (b *mailbox) Close() {
	for _, r := range []*os.Root{b.box, b.tmp, b.fresh} {
		if r != nil {
			r.Close()
		}
	}
}

// openFolder opens a directory in another, and makes it if it is missing. It does not
// follow a symbolic link, even one that takes the place of the directory meanwhile.
func openFolder(at *os.Root, name string) (*os.Root, error) {
	before, err := at.Lstat(name)
	made := errors.Is(err, fs.ErrNotExist)
	if made {
		if err = at.Mkdir(name, 0o700); errors.Is(err, fs.ErrExist) {
			made, err = false, nil // by somebody else, at the same time
		}
		if err == nil {
			before, err = at.Lstat(name)
		}
	}
	if err != nil {
		return nil, err
	}
	if !before.IsDir() {
		return nil, fmt.Errorf("%s: %w", name, errNoFolder)
	}
	folder, err := at.OpenRoot(name + "/.") // of a FIFO, which would have us wait, that is an error
	if err != nil {
		return nil, err
	}
	after, err := folder.Stat(".")
	if err == nil && !os.SameFile(before, after) {
		err = fmt.Errorf("%s: %w", name, errNoFolder)
	}
	if err == nil && made {
		err = settleFolder(at, folder)
	}
	if err != nil {
		folder.Close()
		return nil, err
	}
	return folder, nil
}

// settleFolder gives a directory that was just made to the owner of the one it is in,
// and makes its entry there durable.
func settleFolder(at, folder *os.Root) error {
	dir, err := folder.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	return errors.Join(inherit(dir, at), syncFolder(at))
}

func syncFolder(at *os.Root) error {
	dir, err := at.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// A mailboxMessage is what is to be delivered.
type mailboxMessage struct {
	header  string    // goes before the content
	content io.Reader // with CRLF line ends
	size    int64     // octets of content; zero: not known
}

// put delivers a message under a name that nobody else has. On any error nothing is left
// of it.
func (b *mailbox) put(ctx context.Context, name string, m *mailboxMessage) (err error) {
	f, err := b.tmp.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			b.tmp.Remove(name)
		}
	}()
	size, err := b.write(ctx, f, m)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	delivered := fmt.Sprintf("%s,S=%d", name, size)
	if err := b.box.Rename("tmp/"+name, "new/"+delivered); err != nil {
		return err
	}
	if err := syncFolder(b.fresh); err != nil {
		b.fresh.Remove(delivered)
		return err
	}
	return nil
}

// write writes and syncs the file.
func (b *mailbox) write(ctx context.Context, f *os.File, m *mailboxMessage) (size int64, err error) {
	if err := inherit(f, b.tmp); err != nil {
		return 0, err
	}
	n, err := io.WriteString(f, m.header)
	size = int64(n)
	var read int64
	for block := make([]byte, 32<<10); err == nil; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, end := m.content.Read(block)
		read += int64(n)
		n, err = f.Write(withoutCR(block[:n]))
		size += int64(n)
		switch {
		case err != nil:
		case end == io.EOF && read < m.size:
			return 0, contentError{fmt.Errorf("%d octets where %d were declared", read, m.size)}
		case end == io.EOF:
			return size, f.Sync()
		case end != nil:
			return 0, contentError{end}
		}
	}
	return 0, err
}

// withoutCR removes the CR of each CRLF, in place; content has no others.
func withoutCR(b []byte) []byte {
	kept := b[:0]
	for len(b) > 0 {
		line, rest, found := bytes.Cut(b, []byte{'\r'})
		kept = append(kept, line...)
		if !found {
			break
		}
		b = rest
	}
	return kept
}

// uniqueName makes the name of a file as Maildir readers want them: seconds, what nobody
// else has, host.
func uniqueName(hostname string) string {
	now := time.Now()
	host := strings.NewReplacer("/", `\057`, ":", `\072`).Replace(hostname)
	return fmt.Sprintf("%d.M%dP%dR%s.%s", now.Unix(), now.Nanosecond()/1000, os.Getpid(), rand.Text(), host)
}
