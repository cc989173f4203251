package crash_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/crash"
	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/queue"
)

// By hand, as root: go test ./internal/crash -run Snapshot -cuts 20 -v
var cuts = flag.Int("cuts", 0, "how often to cut the power of a server on a disk of its own; 0: not at all, for want of the right to mount")

// TestNothingAcknowledgedIsLostInASnapshotOfTheDisk freezes a server under load,
// takes its disk as it is at that instant, kills it, and lets it go on with that.
func TestNothingAcknowledgedIsLostInASnapshotOfTheDisk(t *testing.T) {
	for _, row := range []struct {
		name string
		safe bool
		make func(t *testing.T, dir string) (s crash.Server, at string, pid func() int, database string)
	}{
		{"the example server", true, func(t *testing.T, dir string) (crash.Server, string, func() int, string) {
			binary, err := interop.BuildStandalone(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			s := &interop.Standalone{
				Process: interop.Process{Addr: addr(t)}, Binary: binary, Dir: filepath.Join(dir, "server"), SmartHost: addr(t),
			}
			showLog(t, &s.Process)
			return s, s.Addr, s.PID, s.Database()
		}},
		// The positive control.
		{"a server that acknowledges too early", false, func(t *testing.T, dir string) (crash.Server, string, func() int, string) {
			binary := filepath.Join(t.TempDir(), "earlyack")
			if out, err := exec.Command("go", "build", "-o", binary, "./earlyack").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			at, data := addr(t), filepath.Join(dir, "data", "queue.db")
			p := &interop.Process{
				Path: binary, Args: []string{"-data", data, "-listen", at, "-nexthop", addr(t)},
				Addr: at, File: filepath.Join(t.TempDir(), "log"),
			}
			showLog(t, p)
			return p, at, p.PID, data
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if *cuts == 0 {
				t.Skip("needs the right to mount: by hand, with -cuts")
			}
			dir, err := os.MkdirTemp("", "cut") // socket names are short
			if err != nil {
				t.Fatal(err)
			}
			disk, err := crash.NewSnapshots(t.Context(), dir)
			defer func() {
				if err := errors.Join(disk.Close(), os.RemoveAll(dir)); err != nil {
					t.Error(err)
				}
			}()
			if err != nil {
				t.Skip(err)
			}
			x := &snapshots{T: t, disk: disk, chance: rand.New(rand.NewPCG(*seed, 0))}
			x.server, x.at, x.pid, x.database = row.make(t, disk.Dir())
			for range *cuts {
				x.cycle()
			}
			t.Logf("snapshots: seed=%d server=%q cuts=%d acked=%d lost=%d altered=%d corrupt=%d",
				*seed, row.name, *cuts, x.promised, x.lost, x.altered, x.corrupt)
			if x.altered+x.corrupt > 0 || (x.lost == 0) != row.safe {
				t.Error("see above")
			}
		})
	}
}

// snapshots is a server with a disk of its own, and what it said 250 to.
type snapshots struct {
	*testing.T
	disk     *crash.Snapshots
	chance   *rand.Rand
	server   crash.Server
	at       string
	pid      func() int
	database string

	mu    sync.Mutex
	next  int
	acked map[int]bool // since the last cut

	promised, lost, altered, corrupt int
}

// cycle loads the server for a while, cuts its power, and looks.
func (x *snapshots) cycle() {
	if err := x.server.Start(x.Context()); err != nil {
		x.Fatal(err)
	}
	load, stop := context.WithCancel(x.Context())
	x.acked = map[int]bool{}
	var submitters sync.WaitGroup
	for range 8 {
		submitters.Go(func() { x.submit(load) })
	}
	time.Sleep(500*time.Millisecond + time.Duration(x.chance.IntN(int(time.Second)))) // any moment is as good as another
	if err := syscall.Kill(x.pid(), syscall.SIGSTOP); err != nil {
		x.Fatal(err)
	}
	x.mu.Lock()
	promised := len(x.acked)
	x.promised += promised
	x.mu.Unlock()
	image, err := x.disk.Take(x.Context())
	if err != nil {
		x.Fatal(err)
	}
	stop()
	if err := x.server.Kill(); err != nil {
		x.Fatal(err)
	}
	submitters.Wait()
	if err := x.disk.Cut(x.Context(), image); err != nil {
		x.Fatal(err)
	}
	if promised == 0 {
		x.Error("a cut before anything was acknowledged")
	}
	x.examine()
}

func (x *snapshots) submit(ctx context.Context) {
	c, err := interop.NewSubmitter(ctx, x.at)
	if err != nil {
		return
	}
	defer c.Close()
	c.Timeout = 5 * time.Second
	go func() { <-ctx.Done(); c.Close() }()
	for ctx.Err() == nil {
		x.mu.Lock()
		x.next++
		n := x.next
		x.mu.Unlock()
		if _, err := c.Send("a@a.test", []string{fmt.Sprintf("m%d@b.test", n)}, interop.Stuffed(numbered(n))); err != nil {
			return
		}
		x.mu.Lock()
		x.acked[n] = true
		x.mu.Unlock()
	}
}

func numbered(n int) []byte {
	return fmt.Appendf(nil, "Subject: %d\r\n\r\n%s\r\nend of %d\r\n", n, strings.Repeat(fmt.Sprintf("%d\r\n", n), n%500), n)
}

// examine opens the queue that is left and looks for what was acknowledged since
// the cut before; then it makes room.
func (x *snapshots) examine() {
	q, err := queue.Open(x.Context(), x.database, queue.Options{MinFree: -1})
	if err != nil {
		x.corrupt++
		x.Log(err)
		return
	}
	defer q.Close()
	there := map[string]string{}
	for e, err := range q.Entries(x.Context(), queue.Match{All: true}) {
		if err != nil {
			x.corrupt++
			x.Log(err)
			return
		}
		there[e.Recipients[0].Address] = e.ID
	}
	for n := range x.acked {
		id, ok := there[fmt.Sprintf("m%d@b.test", n)]
		if !ok {
			x.lost++
		} else if !x.intact(q, id, n) {
			x.altered++
		}
	}
	if _, err := q.Remove(x.Context(), queue.Match{All: true}); err != nil {
		x.corrupt++
		x.Log(err)
	}
}

func (x *snapshots) intact(q *queue.Queue, id string, n int) bool {
	r, err := q.Content(x.Context(), id)
	if err != nil {
		return false
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	return err == nil && strings.HasSuffix(string(content), string(numbered(n)))
}
