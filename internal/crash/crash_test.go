package crash_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/crash"
	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/queue"
)

// The full series is: go test ./internal/crash -kills 20 -acked 20000 -v
var (
	kills = flag.Int("kills", 4, "how often to kill the server")
	acked = flag.Int("acked", 2000, "how many messages to have acknowledged")
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of contents and moments")
)

// mostRepeats is what one kill may cost where there is one destination of 20
// connections: deliveries under way, and those whose outcome waits for its commit.
const mostRepeats = 64

func TestNothingAcknowledgedIsLostToKill9(t *testing.T) {
	interop.NeedTime(t)
	r := torment(t, standalone(t))
	for _, p := range r.Problems() {
		t.Error(p)
	}
	for i, n := range r.Repeats {
		if n > mostRepeats {
			t.Errorf("kill %d: %d repeats, with one destination of 20 connections", i+1, n)
		}
	}
	if r.Kills != *kills || r.Acked < *acked {
		t.Errorf("%d kills and %d acknowledgements, wanted %d and %d", r.Kills, r.Acked, *kills, *acked)
	}
}

// TestAServerThatAcknowledgesTooEarlyIsFoundOut is the positive control. The
// same program without the defect shows that it is the defect that is found.
func TestAServerThatAcknowledgesTooEarlyIsFoundOut(t *testing.T) {
	interop.NeedTime(t)
	early := torment(t, control(t))
	if len(early.Lost) == 0 {
		t.Error("no loss was found")
	}
	honest := torment(t, control(t, "-honest"))
	for _, p := range honest.Problems() {
		t.Error(p)
	}
}

// torment runs the harness against a server that is set up already.
func torment(t *testing.T, h *crash.Harness) crash.Result {
	t.Helper()
	h.Kills, h.Acked, h.Submitters, h.Drain, h.Seed = *kills, *acked, 8, 10*time.Second, *seed
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	r, err := h.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	return r
}

// standalone is the example server in front of a sink.
func standalone(t *testing.T) *crash.Harness {
	dir := t.TempDir()
	binary, err := interop.BuildStandalone(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	at, to := addr(t), addr(t)
	s := &interop.Standalone{
		Process:   interop.Process{Addr: at},
		Binary:    binary,
		Dir:       filepath.Join(dir, "server"),
		SmartHost: to,
		Settings:  []string{`queue.backoff_min = "1s"`, `queue.backoff_max = "2s"`},
	}
	showLog(t, &s.Process)
	return &crash.Harness{
		Server: s,
		Addr:   at,
		Sink:   &interop.Sink{Addr: to},
		Leased: leases(s.Database()),
	}
}

// control is the server with the seeded defect.
func control(t *testing.T, flags ...string) *crash.Harness {
	dir := t.TempDir()
	binary := filepath.Join(dir, "earlyack")
	if out, err := exec.Command("go", "build", "-o", binary, "./earlyack").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	at, to := addr(t), addr(t)
	data := filepath.Join(dir, "data", "queue.db")
	p := &interop.Process{
		Path: binary,
		Args: append([]string{"-data", data, "-listen", at, "-nexthop", to}, flags...),
		Addr: at,
		File: filepath.Join(dir, "log"),
	}
	showLog(t, p)
	return &crash.Harness{Server: p, Addr: at, Sink: &interop.Sink{Addr: to}, Leased: leases(data)}
}

func addr(t *testing.T) string {
	t.Helper()
	a, err := interop.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func showLog(t *testing.T, p *interop.Process) {
	t.Cleanup(func() {
		if log := p.Log(); t.Failed() {
			t.Logf("end of the server's log:\n%s", log[max(0, len(log)-4000):])
		}
	})
}

// leases counts the attempts without an outcome in the database of a server
// that is dead. It looks at a copy, so that recovering the original is left to
// the server.
func leases(path string) func(context.Context) (int, error) {
	return func(ctx context.Context) (n int, err error) {
		dir, err := os.MkdirTemp("", "leases")
		if err != nil {
			return 0, err
		}
		defer os.RemoveAll(dir)
		for _, suffix := range []string{"", "-wal"} {
			file, err := os.ReadFile(path + suffix)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "copy"+suffix), file, 0o600)
			}
			if err != nil {
				return 0, err
			}
		}
		q, err := queue.Open(ctx, filepath.Join(dir, "copy"), queue.Options{})
		if err != nil {
			return 0, err
		}
		defer q.Close()
		err = q.View(ctx, func(tx *sql.Tx) error {
			return tx.QueryRow(`SELECT count(*) FROM panelmail_recipient WHERE token IS NOT NULL`).Scan(&n)
		})
		return n, err
	}
}

func TestAResultNamesEachBrokenPromise(t *testing.T) {
	for _, row := range []struct {
		name   string
		result crash.Result
		want   []string
	}{
		{"all well", crash.Result{Acked: 9, Repeats: []int{2, 0}, Leased: []int{2, 5}}, nil},
		{"not judged", crash.Result{Repeats: []int{2}}, nil},
		{"lost", crash.Result{Acked: 9, Lost: []int{3, 4}}, []string{"2 of 9 acknowledged messages lost: [3 4]"}},
		{"altered", crash.Result{Altered: []int{3}}, []string{"1 messages arrived altered: [3]"}},
		{"strange", crash.Result{Strange: 1}, []string{"1 messages came again without a kill"}},
		{"too many", crash.Result{Repeats: []int{0, 3}, Leased: []int{0, 2}}, []string{"kill 2: 3 repeats, 2 deliveries in flight"}},
	} {
		if diff := cmp.Diff(row.want, row.result.Problems()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
}

// scripted is a server made of a sink: what it takes, it passes on as the test
// says, and a kill only cuts its connections.
type scripted struct {
	addr string
	to   string
	pass func(to string, n int, m interop.Message)
	n    int
	sink *interop.Sink
}

func (s *scripted) Start(context.Context) error {
	s.sink = &interop.Sink{Addr: s.addr, Forget: true, Received: func(m interop.Message) {
		s.n++
		s.pass(s.to, s.n, m)
	}}
	return s.sink.Start()
}

func (s *scripted) Kill() error { return s.sink.Close() }
func (s *scripted) Stop() error { return s.sink.Close() }

func TestTheHarnessSeesWhatAServerDoesWrong(t *testing.T) {
	forward := func(to string, m interop.Message, content []byte) {
		c, err := interop.NewSubmitter(context.Background(), to)
		if err != nil {
			panic(err)
		}
		defer c.Quit()
		c.Send(m.From(), m.To(), interop.Stuffed(content))
	}
	for _, row := range []struct {
		name string
		pass func(to string, n int, m interop.Message)
		want string
	}{
		{"forwards", func(to string, _ int, m interop.Message) { forward(to, m, m.Content()) }, ""},
		{"loses the tenth", func(to string, n int, m interop.Message) {
			if n != 10 {
				forward(to, m, m.Content())
			}
		}, "acknowledged messages lost: [9]"},
		{"cuts the tenth", func(to string, n int, m interop.Message) {
			c := m.Content()
			if n == 10 {
				c = c[:len(c)-4]
			}
			forward(to, m, c)
		}, "1 messages arrived altered: [9]"},
		{"repeats the tenth", func(to string, n int, m interop.Message) {
			forward(to, m, m.Content())
			if n == 10 {
				forward(to, m, m.Content())
			}
		}, "1 messages came again without a kill"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := &scripted{addr: addr(t), to: addr(t), pass: row.pass}
			h := &crash.Harness{
				Server: s, Addr: s.addr, Sink: &interop.Sink{Addr: s.to},
				Kills: 2, Acked: 20, Submitters: 1, Drain: 100 * time.Millisecond, Seed: *seed,
			}
			r, err := h.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(r.Problems(), "; ")
			if (row.want == "") != (got == "") || !strings.Contains(got, row.want) {
				t.Errorf("%s\nsays %q, want %q", fmt.Sprint(r), got, row.want)
			}
		})
	}
}
