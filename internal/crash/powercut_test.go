package crash_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/crash"
	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/queue"
)

func TestNothingAcknowledgedIsLostToAPowerCut(t *testing.T) {
	interop.NeedTime(t)
	n := *acked / 50 // each is several images to open
	trace := record(t, n)
	for _, row := range []struct {
		name   string
		honour func(string) bool
		safe   bool
	}{
		{"every sync does its work", nil, true},
		// The positive controls: what synchronous=OFF and NORMAL would leave.
		{"no sync does anything", func(string) bool { return false }, false},
		{"the log is not synced", func(name string) bool { return !strings.HasSuffix(name, "-wal") }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			f, err := os.Open(trace)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			replay := crash.Replay{
				Files:  []string{"panelmail.db", "panelmail.db-wal"},
				Honour: row.honour,
				Check:  keeps(t),
				Seed:   *seed,
			}
			cuts, err := replay.ReplayTrace(f)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("seed=%d images=%d acked=%d broken=%d", *seed, cuts.Images, cuts.Acked, cuts.Broken)
			if cuts.Acked != n || cuts.Images < 2*n || (cuts.Broken == 0) != row.safe {
				t.Errorf("%+v", cuts)
			}
		})
	}
}

// record runs the example server with a destination that never answers, has n
// messages accepted, and returns the trace of its system calls.
func record(t *testing.T, n int) string {
	dir := t.TempDir()
	binary, err := interop.BuildStandalone(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	tarpit := &interop.Sink{Answer: func(string, string) string { <-release; return interop.Drop }}
	if err := tarpit.Start(); err != nil {
		t.Fatal(err)
	}
	defer tarpit.Close()
	defer sync.OnceFunc(func() { close(release) })()
	trace := filepath.Join(dir, "trace")
	s := &interop.Standalone{
		Binary:    binary,
		Dir:       filepath.Join(dir, "server"),
		SmartHost: tarpit.Addr,
		Wrapper:   append(append([]string{interop.Need(t, "strace")}, crash.TraceFlags()...), trace),
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	showLog(t, &s.Process)
	var submitters sync.WaitGroup
	for k := range 4 {
		submitters.Go(func() {
			c, err := interop.NewSubmitter(t.Context(), s.Addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for i := k; i < n; i += 4 {
				body := fmt.Sprintf("Subject: %d\r\n\r\n%s\r\nend of %d\r\n", i, strings.Repeat(fmt.Sprintf("%d ", i), i*20), i)
				if _, err := c.Send("a@a.test", []string{fmt.Sprintf("m%d@b.test", i)}, interop.Stuffed([]byte(body))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	submitters.Wait()
	// An orderly end makes SQLite carry the log over into the database, which
	// gives the plug more moments to be pulled.
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	return trace
}

// keeps checks that a queue holds every message acknowledged, whole.
func keeps(t *testing.T) func(dir string, acked []string) error {
	return func(dir string, acked []string) error {
		ctx := t.Context()
		if len(acked) == 0 {
			return nil // before the first one there may be no tables yet
		}
		q, err := queue.Open(ctx, filepath.Join(dir, "panelmail.db"), queue.Options{MinFree: -1})
		if err != nil {
			return err
		}
		defer q.Close()
		for _, id := range acked {
			if err := whole(ctx, q, id); err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
		}
		return nil
	}
}

// whole reports whether a message is in the queue from its first to its last
// line.
func whole(ctx context.Context, q *queue.Queue, id string) error {
	r, err := q.Content(ctx, id)
	if err != nil {
		return err
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, subject, _ := strings.Cut("\n"+string(content), "\nSubject: ")
	number, _, _ := strings.Cut(subject, "\r\n")
	if !strings.HasSuffix(string(content), "\r\nend of "+number+"\r\n") {
		return errors.New("is not whole")
	}
	return nil
}

func TestAReplayKeepsWhatWasSyncedAndNothingElse(t *testing.T) {
	const trace = `7 pwrite64(3</d/f>, "ab\0\1012\"\\\n", 8, 0) = 8
7 pwrite64(4</d/other>, "zz", 2, 0) = 2
7 write(9<socket:[1]>, "250 2.0.0 Ok: queued as A1\r\n", 28) = 28
7 fsync(3</d/f>) = 0
8 pwrite64(3</d/f>, "XY", 2, 1 <unfinished ...>
9 fdatasync(3</d/f> <unfinished ...>
8 <... pwrite64 resumed>) = 2
9 <... fdatasync resumed>) = 0
9 write(9<socket:[1]>, "250 2.0.0 Ok: queued as B2\r\n", 28) = 28
9 fsync(3</d/f>) = 0
9 ftruncate(3</d/f>, 4) = 0
9 pwrite64(3</d/f>, "-", 1, 5) = -1 EIO (Input/output error)
9 write(1</dev/null>, "250 2.0.0 Ok: queued as C3\r\n", 28) = 28
9 fsync(3</d/f>) = 0
9 unlink("/d/f") = 0
9 exit_group(0) = ?
`
	var saw []string
	r := crash.Replay{Files: []string{"f"}, Check: func(dir string, acked []string) error {
		content, err := os.ReadFile(filepath.Join(dir, "f"))
		if err != nil {
			content = []byte("gone")
		}
		saw = append(saw, fmt.Sprintf("%q %v", content, acked))
		return nil
	}}
	cuts, err := r.ReplayTrace(strings.NewReader(trace))
	if err != nil {
		t.Fatal(err)
	}
	var pessimal []string
	for i := 0; i < len(saw); i += 2 {
		pessimal = append(pessimal, saw[i])
	}
	want := []string{
		`"" [A1]`,
		`"ab\x00A2\"\\\n" [A1]`,
		`"ab\x00A2\"\\\n" [A1]`, // the write ended after the sync began
		`"ab\x00A2\"\\\n" [A1 B2]`,
		`"aXYA2\"\\\n" [A1 B2]`,
		`"aXYA" [A1 B2]`,
		`"gone" [A1 B2]`,
	}
	if diff := cmp.Diff(want, pessimal); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if cuts.Images != 14 || cuts.Acked != 2 || cuts.Broken != 0 {
		t.Errorf("%+v", cuts)
	}
}
