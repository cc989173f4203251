package maildrop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of one call of [Box.Take], for each user.
const (
	maxEntries = 1_000_000 // directory entries looked at, files moved aside among them
	maxNames   = 10_000    // finished files put in order
	maxTake    = 1_000     // files taken
)

// staleAfter is when an unfinished file is taken to have lost its writer.
const staleAfter = 24 * time.Hour

// These begin the names of files that were moved aside.
const (
	aside   = "corrupt-" // no messages
	refusal = "refused-" // messages that will never be taken
)

// ErrRefused, in the chain of a [TakeFunc]'s error, says that no later try will
// take this message: it is moved aside.
var ErrRefused = errors.New("refused")

// A Drop is a message in the maildrop.
type Drop struct {
	Envelope
	UID  int       // owner of the file
	Time time.Time // when it was accepted, by the clock of the writer
	Name string    // of the file, for the log
}

// A TakeFunc takes responsibility for a message by returning nil. It reads
// content to its end or not, as it likes; content that ends with io.EOF is
// complete.
type TakeFunc func(ctx context.Context, d Drop, content io.Reader) error

// Take hands the messages that wait to f, those of each user in order of
// arrival, and removes those for which f returns nil. An error of f leaves the
// message, and all later ones of that user, for another time. Files that are no
// messages are moved aside.
//
// At most 1,000 messages of each user are taken at once; call again until taken
// is zero. The error joins all that went wrong. No two calls may run at once.
func (b Box) Take(ctx context.Context, f TakeFunc) (taken int, err error) {
	entries, err := os.ReadDir(b.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("maildrop: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		uid, err := strconv.Atoi(entry.Name())
		if err != nil || strconv.Itoa(uid) != entry.Name() {
			continue
		}
		n, err := b.takeUser(ctx, uid, f)
		taken += n
		if err != nil {
			errs = append(errs, fmt.Errorf("maildrop: uid %d: %w", uid, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return taken, errors.Join(errs...)
}

func (b Box) takeUser(ctx context.Context, uid int, f TakeFunc) (taken int, err error) {
	root, err := b.open(uid)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	names, err := waiting(root)
	errs := []error{err}
	for _, name := range names {
		if ctx.Err() != nil {
			return taken, errors.Join(append(errs, ctx.Err())...)
		}
		d, content, err := openDrop(root, uid, name)
		if bad := (*notMessage)(nil); errors.As(err, &bad) {
			err = errors.Join(fmt.Errorf("%s is moved aside: %w", name, err), root.Rename(name, aside+name))
			errs = append(errs, err)
			continue
		}
		if err != nil {
			return taken, errors.Join(append(errs, err)...)
		}
		err = f(ctx, d, content)
		content.Close()
		if errors.Is(err, ErrRefused) {
			err = errors.Join(fmt.Errorf("%s is moved aside: %w", name, err), root.Rename(name, refusal+name))
			errs = append(errs, err)
			continue
		}
		if err == nil {
			taken++
			err = root.Remove(name)
		}
		if err != nil {
			return taken, errors.Join(append(errs, fmt.Errorf("%s: %w", name, err))...)
		}
	}
	return taken, errors.Join(errs...)
}

// waiting returns the names of finished files in order, and removes unfinished
// ones that nobody works on any more.
func waiting(root *os.Root) ([]string, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var names []string
	for looked := 0; looked < maxEntries && len(names) < maxNames; {
		some, err := dir.Readdirnames(1_000)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		looked += len(some)
		for _, name := range some {
			if _, ok := timeOf(name); ok {
				names = append(names, name)
				continue
			}
			if at, ok := timeOf(strings.TrimPrefix(name, ".")); ok && time.Since(at) > staleAfter {
				root.Remove(name) // if it cannot be removed it goes on being ignored
			}
		}
	}
	slices.Sort(names)
	return names[:min(len(names), maxTake)], nil
}

// timeOf reads the time in the name of a finished file.
func timeOf(name string) (time.Time, bool) {
	stamp, rest, ok := strings.Cut(name, ".")
	if !ok || len(stamp) != 20 || rest == "" {
		return time.Time{}, false
	}
	us, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || us < 0 {
		return time.Time{}, false
	}
	return time.UnixMicro(us).UTC(), true
}

// notMessage says why a file is no message of its user, now and later.
type notMessage struct{ why string }

func (n *notMessage) Error() string { return n.why }

func bad(format string, args ...any) error { return &notMessage{fmt.Sprintf(format, args...)} }

// openDrop opens a file and reads its envelope.
func openDrop(root *os.Root, uid int, name string) (d Drop, content io.ReadCloser, err error) {
	named, err := root.Lstat(name)
	if err != nil {
		return d, nil, err
	}
	if !named.Mode().IsRegular() {
		return d, nil, bad("it is no regular file but %v", named.Mode().Type())
	}
	f, err := root.OpenFile(name, os.O_RDONLY|noWait, 0)
	if errors.Is(err, fs.ErrPermission) {
		return d, nil, bad("%v", err)
	}
	if err != nil {
		return d, nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	opened, err := f.Stat()
	switch {
	case err != nil:
		return d, nil, err
	case !os.SameFile(named, opened) || !opened.Mode().IsRegular():
		return d, nil, bad("it was replaced while it was opened")
	case ownerOf(opened) != uid:
		return d, nil, bad("its owner is uid %d", ownerOf(opened))
	case linksOf(opened) != 1:
		return d, nil, bad("it has %d links", linksOf(opened))
	}
	r := bufio.NewReader(f)
	e, n, err := readHeader(r)
	if errors.Is(err, errFormat) {
		return d, nil, bad("%v", err)
	}
	if err != nil {
		return d, nil, err
	}
	if n+e.Size != opened.Size() {
		return d, nil, bad("it has %d octets, not the %d that it tells of", opened.Size(), n+e.Size)
	}
	at, _ := timeOf(name)
	return Drop{Envelope: e, UID: uid, Time: at, Name: name}, file{&exact{r, e.Size}, f}, nil
}

// file is the content of an open file.
type file struct {
	io.Reader
	io.Closer
}
