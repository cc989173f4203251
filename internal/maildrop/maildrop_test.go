package maildrop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/panelmail/panelmail/internal/maildrop"
)

// newBox is a maildrop with a directory for whoever runs the test.
func newBox(t *testing.T) (maildrop.Box, string) {
	t.Helper()
	b := maildrop.Box{Dir: filepath.Join(t.TempDir(), "maildrop")}
	if err := b.Create(os.Getuid(), os.Getgid()); err != nil {
		t.Fatal(err)
	}
	return b, filepath.Join(b.Dir, strconv.Itoa(os.Getuid()))
}

type taken struct {
	maildrop.Drop
	Content string
}

// takeAll takes what there is.
func takeAll(t *testing.T, b maildrop.Box) ([]taken, error) {
	t.Helper()
	var all []taken
	n, err := b.Take(t.Context(), func(_ context.Context, d maildrop.Drop, content io.Reader) error {
		text, err := io.ReadAll(content)
		all = append(all, taken{d, string(text)})
		return err
	})
	if n != len(all) {
		t.Errorf("Take says %d, took %d", n, len(all))
	}
	return all, err
}

func write(t *testing.T, b maildrop.Box, e maildrop.Envelope, content string) {
	t.Helper()
	e.Size = int64(len(content))
	if err := b.Write(os.Getuid(), e, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsWrittenIsTakenOnceAndInOrder(t *testing.T) {
	b, dir := newBox(t)
	one := maildrop.Envelope{Submission: "s1", From: "a@example.com", To: []string{"b@example.net", `"x y"@example.net`},
		Notify: "SUCCESS,DELAY", Ret: "HDRS", EnvID: "e 1"}
	two := maildrop.Envelope{To: []string{"ü@example.net"}}
	const text = "Subject: 1\r\n\r\nsize 3\r\n\r\n"
	write(t, b, one, text)
	write(t, b, two, "")
	names, _ := os.ReadDir(dir)
	for _, n := range names {
		if fi, _ := n.Info(); fi.Mode() != 0o640 {
			t.Errorf("file has mode %v", fi.Mode())
		}
	}
	got, err := takeAll(t, b)
	if err != nil {
		t.Fatal(err)
	}
	one.Size = int64(len(text))
	want := []taken{
		{maildrop.Drop{Envelope: one, UID: os.Getuid()}, text},
		{maildrop.Drop{Envelope: two, UID: os.Getuid()}, ""},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(maildrop.Drop{}, "Time", "Name")); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	if again, err := takeAll(t, b); len(again) != 0 || err != nil {
		t.Errorf("taken twice: %v, %v", again, err)
	}
}

func TestARefusedMessageStaysAndKeepsItsPlace(t *testing.T) {
	b, _ := newBox(t)
	write(t, b, maildrop.Envelope{Submission: "1", To: []string{"a@example.com"}}, "1\r\n")
	write(t, b, maildrop.Envelope{Submission: "2", To: []string{"a@example.com"}}, "2\r\n")
	full := errors.New("disk full")
	calls := 0
	n, err := b.Take(t.Context(), func(context.Context, maildrop.Drop, io.Reader) error { calls++; return full })
	if n != 0 || calls != 1 || !errors.Is(err, full) {
		t.Errorf("took %d in %d calls: %v", n, calls, err)
	}
	got, err := takeAll(t, b)
	if err != nil || len(got) != 2 || got[0].Submission != "1" || got[1].Submission != "2" {
		t.Errorf("then took %v, %v", got, err)
	}
}

// stamp makes the name of a finished file that comes before all real ones.
func stamp(n int) string { return "0000000000000000000" + strconv.Itoa(n) + ".x" }

func TestWhatIsNoMessageIsMovedAsideAndBlocksNobody(t *testing.T) {
	good := "panelmail-maildrop 1\nfrom <>\nto a@example.com\nsize 3\n\nx\r\n"
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, []byte(good), 0o640); err != nil {
		t.Fatal(err)
	}
	file := func(text string) func(*testing.T, string) error {
		return func(_ *testing.T, name string) error { return os.WriteFile(name, []byte(text), 0o640) }
	}
	for _, row := range []struct {
		what string
		make func(t *testing.T, name string) error
	}{
		{"a symbolic link", func(_ *testing.T, name string) error { return os.Symlink(elsewhere, name) }},
		{"a symbolic link to nothing", func(_ *testing.T, name string) error { return os.Symlink("nothing", name) }},
		{"a second link", func(_ *testing.T, name string) error { return os.Link(elsewhere, name) }},
		{"a FIFO", func(_ *testing.T, name string) error { return syscall.Mkfifo(name, 0o640) }},
		{"a directory", func(_ *testing.T, name string) error { return os.Mkdir(name, 0o750) }},
		{"a file of another user", func(t *testing.T, name string) error {
			return errors.Join(file(good)(t, name), give(t, name))
		}},
		{"an empty file", file("")},
		{"text", file("hello\n")},
		{"another version", file(strings.Replace(good, " 1", " 2", 1))},
		{"no recipient", file(strings.Replace(good, "to a@example.com\n", "", 1))},
		{"no sender", file(strings.Replace(good, "from <>\n", "", 1))},
		{"no size", file(strings.Replace(good, "size 3\n", "", 1))},
		{"two senders", file(strings.Replace(good, "from <>\n", "from a@b\nfrom c@d\n", 1))},
		{"two sizes", file(strings.Replace(good, "size 3\n", "size 3\nsize 3\n", 1))},
		{"a negative size", file(strings.Replace(good, "size 3", "size -3", 1))},
		{"an unknown word", file(strings.Replace(good, "size 3", "uid 0\nsize 3", 1))},
		{"less content", file(good[:len(good)-1])},
		{"more content", file(good + "x")},
		{"a long line", file(strings.Replace(good, "a@example.com", strings.Repeat("a", 5000), 1))},
		{"a control character", file(strings.Replace(good, "a@example.com", "a\r@example.com", 1))},
		{"a header alone", file("panelmail-maildrop 1\nfrom <>\nto a@b")},
	} {
		t.Run(row.what, func(t *testing.T) {
			b, dir := newBox(t)
			if err := row.make(t, filepath.Join(dir, stamp(1))); err != nil {
				t.Fatal(err)
			}
			write(t, b, maildrop.Envelope{Submission: "good", To: []string{"a@example.com"}}, "x\r\n")
			got, err := takeAll(t, b)
			if len(got) != 1 || got[0].Submission != "good" {
				t.Errorf("took %v", got)
			}
			if err == nil || !strings.Contains(err.Error(), stamp(1)) {
				t.Errorf("error %v", err)
			}
			if got, err := takeAll(t, b); len(got) != 0 || err != nil {
				t.Errorf("second time: %v, %v", got, err)
			}
			names, _ := filepath.Glob(filepath.Join(dir, "*"))
			if !slices.Equal(names, []string{filepath.Join(dir, "corrupt-"+stamp(1))}) {
				t.Errorf("left: %v", names)
			}
		})
	}
}

func TestUnfinishedFilesAreLeftAloneUntilTheyAreStale(t *testing.T) {
	b, dir := newBox(t)
	write(t, b, maildrop.Envelope{To: []string{"a@example.com"}}, "x\r\n")
	names, _ := os.ReadDir(dir)
	fresh := filepath.Join(dir, "."+names[0].Name())
	stale := filepath.Join(dir, "."+stamp(1))
	for _, name := range []string{fresh, stale} {
		if err := os.WriteFile(name, []byte("half"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := takeAll(t, b); len(got) != 1 || err != nil {
		t.Fatalf("took %v, %v", got, err)
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 1 || left[0].Name() != filepath.Base(fresh) {
		t.Errorf("left %v", left)
	}
}

func TestWithoutADirectoryOfOnesOwnNothingIsWritten(t *testing.T) {
	e := maildrop.Envelope{To: []string{"a@example.com"}}
	uid := os.Getuid()
	for _, row := range []struct {
		what string
		make func(t *testing.T, dir string) error
	}{
		{"none", func(*testing.T, string) error { return nil }},
		{"a file", func(_ *testing.T, dir string) error { return os.WriteFile(dir, nil, 0o600) }},
		{"a link to one's own", func(t *testing.T, dir string) error { return os.Symlink(t.TempDir(), dir) }},
		{"another user's", func(t *testing.T, dir string) error {
			return errors.Join(os.Mkdir(dir, 0o777), give(t, dir))
		}},
	} {
		t.Run(row.what, func(t *testing.T) {
			b := maildrop.Box{Dir: t.TempDir()}
			if err := row.make(t, filepath.Join(b.Dir, strconv.Itoa(uid))); err != nil {
				t.Fatal(err)
			}
			if err := b.Write(uid, e, strings.NewReader("")); !errors.Is(err, maildrop.ErrNoDirectory) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestAFailedWriteLeavesNoFile(t *testing.T) {
	b, dir := newBox(t)
	for _, row := range []struct {
		e       maildrop.Envelope
		content string
	}{
		{maildrop.Envelope{To: []string{"a@example.com"}, Size: 5}, "four"},
		{maildrop.Envelope{To: []string{"a@example.com"}, Size: 3}, "four"},
		{maildrop.Envelope{}, ""},
		{maildrop.Envelope{To: []string{"a\n@example.com"}}, ""},
		{maildrop.Envelope{From: "a\nto b@c", To: []string{"a@example.com"}}, ""},
		{maildrop.Envelope{EnvID: strings.Repeat("x", 2000), To: []string{"a@example.com"}}, ""},
	} {
		if err := b.Write(os.Getuid(), row.e, strings.NewReader(row.content)); err == nil {
			t.Errorf("%+v was written", row.e)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestCreateGivesAUserADirectoryOnlyTheServerSharesWithIt(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make directories for others")
	}
	b := maildrop.Box{Dir: filepath.Join(t.TempDir(), "maildrop")}
	for range 2 { // the second time changes nothing
		if err := b.Create(12345, 54321); err != nil {
			t.Fatal(err)
		}
	}
	fi, err := os.Lstat(filepath.Join(b.Dir, "12345"))
	if err != nil {
		t.Fatal(err)
	}
	st := fi.Sys().(*syscall.Stat_t)
	if st.Uid != 12345 || st.Gid != 54321 || st.Mode&0o7777 != 0o2770 {
		t.Errorf("owner %d:%d mode %o", st.Uid, st.Gid, st.Mode&0o7777)
	}
	if fi, _ := os.Lstat(b.Dir); fi.Mode().Perm() != 0o711 {
		t.Errorf("parent has mode %v", fi.Mode())
	}
}

func TestARefusedForGoodMessageIsMovedAsideAndBlocksNobody(t *testing.T) {
	box, dir := newBox(t)
	write(t, box, maildrop.Envelope{From: "a@x.test", To: []string{"b@y.test"}}, "first\r\n")
	write(t, box, maildrop.Envelope{From: "c@x.test", To: []string{"b@y.test"}}, "second\r\n")
	var from []string
	taken, err := box.Take(t.Context(), func(_ context.Context, d maildrop.Drop, _ io.Reader) error {
		from = append(from, d.From)
		if d.From == "a@x.test" {
			return fmt.Errorf("not yours: %w", maildrop.ErrRefused)
		}
		return nil
	})
	if taken != 1 || !errors.Is(err, maildrop.ErrRefused) || len(from) != 2 {
		t.Errorf("taken %d of %v: %v", taken, from, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "refused-*"))
	if err != nil || len(left) != 1 {
		t.Errorf("moved aside: %v %v", left, err)
	}
}

func TestRemoveTakesAwayADirectoryWithAllThatIsInIt(t *testing.T) {
	b, dir := newBox(t)
	write(t, b, maildrop.Envelope{From: "a@b.example", To: []string{"c@d.example"}}, "Subject: x\r\n\r\n")
	outside := filepath.Join(t.TempDir(), "other")
	if err := errors.Join(os.WriteFile(outside, []byte("x"), 0o600), os.Symlink(outside, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	for range 2 { // that it is gone already is no error
		if err := b.Remove(os.Getuid()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is there: %v", err)
	}
	if _, err := os.Lstat(outside); err != nil {
		t.Errorf("what a link leads to is gone: %v", err)
	}
}

func TestCreateTrustsNoMaildropThatOthersCanPutThingsInto(t *testing.T) {
	for _, row := range []struct {
		what string
		make func(t *testing.T, dir string) error
		want string // "": no error
	}{
		{"none", func(*testing.T, string) error { return nil }, ""},
		{"mode 0755", func(_ *testing.T, dir string) error { return os.Mkdir(dir, 0o755) }, ""},
		{"everybody can write", func(_ *testing.T, dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777|os.ModeSticky))
		}, "has mode 0777"},
		{"the group can write", func(_ *testing.T, dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o770))
		}, "has mode 0770"},
		{"another user's", func(t *testing.T, dir string) error {
			return errors.Join(os.Mkdir(dir, 0o711), give(t, dir))
		}, "belongs to uid 12345"},
		{"a link", func(t *testing.T, dir string) error { return os.Symlink(t.TempDir(), dir) }, "it is a link"},
		{"the user's place a link", func(t *testing.T, dir string) error {
			target := filepath.Join(dir, "target")
			return errors.Join(os.MkdirAll(target, 0o711), os.Symlink("target", filepath.Join(dir, strconv.Itoa(os.Getuid()))))
		}, "it is a link"},
		{"the user's place a third user's", func(t *testing.T, dir string) error {
			place := filepath.Join(dir, strconv.Itoa(os.Getuid()))
			return errors.Join(os.MkdirAll(place, 0o711), give(t, place))
		}, "belongs to uid 12345"},
		{"the user's place a file", func(_ *testing.T, dir string) error {
			return errors.Join(os.Mkdir(dir, 0o711), os.WriteFile(filepath.Join(dir, strconv.Itoa(os.Getuid())), nil, 0o600))
		}, "not a directory"},
	} {
		t.Run(row.what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "maildrop")
			if err := row.make(t, dir); err != nil {
				t.Fatal(err)
			}
			for _, dir := range []string{dir, dir + "/"} {
				err := maildrop.Box{Dir: dir}.Create(os.Getuid(), os.Getgid())
				if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
					t.Errorf("%s: error %v, want %q", dir, err, row.want)
				}
			}
		})
	}
}

// give makes a file another user's.
func give(t *testing.T, name string) error {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	return os.Chown(name, 12345, -1)
}

func TestFilesMovedAsideNeverHideALaterMessage(t *testing.T) {
	b, dir := newBox(t)
	for i := range 12_000 { // more than are looked for at once
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("refused-%020d.x", i)), nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		write(t, b, maildrop.Envelope{Submission: strconv.Itoa(i), To: []string{"a@example.com"}}, "x\r\n")
	}
	if got, err := takeAll(t, b); len(got) != 20 || err != nil {
		t.Errorf("took %d of 20: %v", len(got), err)
	}
}
