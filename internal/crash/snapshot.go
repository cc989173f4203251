package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// A Snapshots is a file system from which the plug can be pulled: ext4 in an image
// file, on a loop device, in an XFS that can copy that file in an instant. What
// programs wrote and ext4 has not sent to its disk yet is not in the copy.
type Snapshots struct {
	dir     string // holds the XFS's image and both mount points
	mounted []string
	next    int
}

// NewSnapshots makes the file systems, in a directory that must be empty. It needs
// the right to mount, loop devices, mkfs.xfs and mkfs.ext4; an error says what is
// missing. Close is to be called all the same.
func NewSnapshots(ctx context.Context, dir string) (*Snapshots, error) {
	s := &Snapshots{dir: dir}
	for _, name := range []string{s.path("outer"), s.Dir()} {
		if err := os.Mkdir(name, 0o700); err != nil {
			return s, err
		}
	}
	if err := sized(s.path("outer.img"), 1<<30); err != nil {
		return s, err
	}
	if err := command(ctx, "mkfs.xfs", "-q", "-m", "reflink=1", s.path("outer.img")); err != nil {
		return s, err
	}
	if err := s.mount(ctx, s.path("outer.img"), s.path("outer")); err != nil {
		return s, err
	}
	if err := sized(s.image(), 256<<20); err != nil {
		return s, err
	}
	if err := command(ctx, "mkfs.ext4", "-q", s.image()); err != nil {
		return s, err
	}
	return s, s.mount(ctx, s.image(), s.Dir())
}

// Dir is where the ext4 is mounted.
func (s *Snapshots) Dir() string { return s.path("inner") }

// Take copies the disk as it is, and returns what Cut needs. Whoever works on it
// should be stopped (SIGSTOP) before it is known what was promised: taking the copy
// has the kernel write.
func (s *Snapshots) Take(ctx context.Context) (image string, err error) {
	image = s.path("outer", "image"+strconv.Itoa(s.next+1))
	return image, command(ctx, "cp", "--reflink=always", s.image(), image)
}

// Cut replaces the disk by a copy, as if power had come back at the moment when it
// was taken. Nobody may work on the disk any more.
func (s *Snapshots) Cut(ctx context.Context, image string) error {
	if err := s.unmount(s.Dir()); err != nil {
		return err
	}
	if err := os.Remove(s.image()); err != nil {
		return err
	}
	s.next++
	return s.mount(ctx, image, s.Dir())
}

// Close unmounts what was mounted.
func (s *Snapshots) Close() error {
	var errs []error
	for len(s.mounted) > 0 {
		errs = append(errs, s.unmount(s.mounted[len(s.mounted)-1]))
	}
	return errors.Join(errs...)
}

func (s *Snapshots) path(names ...string) string {
	return filepath.Join(append([]string{s.dir}, names...)...)
}

// image is the disk that is mounted.
func (s *Snapshots) image() string { return s.path("outer", "image"+strconv.Itoa(s.next)) }

func (s *Snapshots) mount(ctx context.Context, image, dir string) error {
	if err := command(ctx, "mount", "-o", "loop", image, dir); err != nil {
		return err
	}
	s.mounted = append(s.mounted, dir)
	return nil
}

func (s *Snapshots) unmount(dir string) error {
	s.mounted = s.mounted[:len(s.mounted)-1]
	return command(context.Background(), "umount", dir)
}

func sized(name string, octets int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(octets), f.Close())
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
