package queue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
	"go.uber.org/goleak"
)

var delivered = transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "Ok")}

func message(recipients ...string) queue.Message {
	m := queue.Message{Envelope: transport.Envelope{ReversePath: "alice@site.test"}}
	for _, r := range recipients {
		m.Envelope.Recipients = append(m.Envelope.Recipients, transport.Recipient{Address: r})
	}
	return m
}

func ids(t *testing.T, q *queue.Queue) []string {
	t.Helper()
	var all []string
	for e, err := range q.Entries(t.Context(), queue.Match{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.ID)
	}
	return all
}

func enqueue(t *testing.T, q *queue.Queue, content string) string {
	t.Helper()
	id, err := q.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// copyOf copies a database and its log as a crash would leave them, while the
// queue has them open. It must not close a descriptor of the database in this
// process, so another one copies.
func copyOf(t *testing.T, path string) string {
	t.Helper()
	to := newPath(t)
	if err := os.Mkdir(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"", "-wal"} {
		if out, err := exec.Command("cp", "-p", path+end, to+end).CombinedOutput(); err != nil {
			t.Fatalf("copy: %v\n%s", err, out)
		}
	}
	return to
}

// TestA250MeansOnDisk looks, when Enqueue has returned, at what a crash at that
// moment would leave. The log is synced because the pragmas say so, which
// package sqlitedb reads back.
func TestA250MeansOnDisk(t *testing.T) {
	path := newPath(t)
	q := open(t, path, queue.Options{})
	defer q.Close()
	for _, size := range []int{100, 500_000} {
		content := strings.Repeat("0123456789\r\n", size/12)
		id := enqueue(t, q, content)
		after := open(t, copyOf(t, path), queue.Options{})
		r, err := after.Content(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != content {
			t.Errorf("after the crash %d of %d octets, error %v", len(got), len(content), err)
		}
		if err := after.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestAnAttemptWithoutAnOutcomeIsUncertainAndRetried crashes in the middle of an
// attempt.
func TestAnAttemptWithoutAnOutcomeIsUncertainAndRetried(t *testing.T) {
	outer, path, crashed := t, newPath(t), ""
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		enqueue(t, q, "\r\n")
		run(t, q, func(d *transport.Delivery) transport.Report {
			crashed = copyOf(outer, path)
			return d.All(delivered)
		})
		synctest.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		var kinds []queue.Kind
		q := open(t, crashed, queue.Options{Poll: -1, Observe: func(events []queue.Event) {
			for _, e := range events {
				kinds = append(kinds, e.Kind)
			}
		}})
		defer q.Close()
		start := time.Now()
		var tried time.Duration
		run(t, q, func(d *transport.Delivery) transport.Report {
			tried = time.Since(start)
			if d.Attempt != 2 {
				t.Errorf("attempt %d after the crash", d.Attempt)
			}
			return d.All(delivered)
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		if tried < 5*time.Minute {
			t.Errorf("tried again %v after the crash: a hammer", tried)
		}
		if got := fmt.Sprint(kinds); got != "[uncertain delivered]" {
			t.Errorf("events %s", got)
		}
	})
}

// run delivers by f until the test ends.
func run(t *testing.T, q *queue.Queue, f func(*transport.Delivery) transport.Report) {
	t.Helper()
	runContext(t, q, func(_ context.Context, d *transport.Delivery) transport.Report { return f(d) })
}

func runContext(t *testing.T, q *queue.Queue, f transport.Func) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- q.Run(ctx, f)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func TestWhenRunReturnsNoGoroutineIsLeft(t *testing.T) {
	defer goleak.VerifyNone(t)
	q := open(t, newPath(t), queue.Options{Observe: func([]queue.Event) {}})
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{}, 100)
	done := make(chan error)
	before := goleak.IgnoreCurrent()
	go func() {
		done <- q.Run(ctx, transport.Func(func(ctx context.Context, d *transport.Delivery) transport.Report {
			begun <- struct{}{}
			<-ctx.Done() // until the grace is over
			return nil
		}))
	}()
	enqueue(t, q, "\r\n")
	<-begun
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before)
	if n := len(ids(t, q)); n != 1 {
		t.Errorf("%d messages left of one", n)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

func TestASecondRunNamesTheFirst(t *testing.T) {
	path := newPath(t)
	first, second := open(t, path, queue.Options{}), open(t, path, queue.Options{})
	defer first.Close()
	defer second.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done, begun := make(chan error), make(chan struct{})
	go func() {
		done <- first.Run(ctx, transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
			close(begun)
			return d.All(delivered)
		}))
	}()
	enqueue(t, second, "\r\n") // found by polling: another handle wrote it
	<-begun
	err := second.Run(t.Context(), transport.Func(nil))
	if !errors.Is(err, queue.ErrRunning) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("a second Run: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := second.Run(ended, transport.Func(nil)); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
}

func TestManyProducersShareCommitsAndLoseNothing(t *testing.T) {
	q := open(t, newPath(t), queue.Options{})
	defer q.Close()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 50 {
				if _, err := q.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader("x\r\n")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, id := range ids(t, q) {
		seen[id] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d messages of 1000", len(seen))
	}
}

func TestARecipientIsInExactlyOneState(t *testing.T) {
	q := open(t, newPath(t), queue.Options{})
	defer q.Close()
	enqueue(t, q, "\r\n")
	for _, change := range []string{
		`state = 5`, `state = -1`, `state = 1`, `token = 1`, `lease = 1`, `state = 3, token = 1, lease = 1`,
		`state = 0, token = 1, lease = 1`, `attempts = -1`, `attempts = 1`, `first = 1`, `state = NULL`,
	} {
		err := q.Update(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`UPDATE panelmail_recipient SET ` + change)
			return err
		})
		if err == nil {
			t.Errorf("SET %s was accepted", change)
		}
	}
	for _, change := range []string{`state = 1, token = 1, lease = 1`, `state = 2`, `token = NULL, lease = NULL, state = 0`, `state = 4`} {
		if err := q.Update(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`UPDATE panelmail_recipient SET ` + change)
			return err
		}); err != nil {
			t.Errorf("SET %s: %v", change, err)
		}
	}
}

func TestUpdateIsAllOrNothing(t *testing.T) {
	q := open(t, newPath(t), queue.Options{})
	defer q.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(q.Update(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`CREATE TABLE budget (left_over INTEGER); INSERT INTO budget VALUES (10)`)
		return err
	}))
	stop := errors.New("no")
	err := q.Update(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.Exec(`UPDATE budget SET left_over = 9`); err != nil {
			return err
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("update returned %v", err)
	}
	var n int
	must(q.View(t.Context(), func(tx *sql.Tx) error { return tx.QueryRow(`SELECT left_over FROM budget`).Scan(&n) }))
	if n != 10 {
		t.Errorf("%d left over", n)
	}
	if err := q.View(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(`DELETE FROM budget`); return err }); err == nil {
		t.Error("a view wrote")
	}
	func() {
		defer func() {
			if p := recover(); p != "a defect" {
				t.Errorf("recovered %v", p)
			}
		}()
		_ = q.Update(t.Context(), func(*sql.Tx) error { panic("a defect") })
	}()
	enqueue(t, q, "\r\n") // and mail flows on
}

func TestAReadOnlyDirectoryIsAClearError(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := filepath.Join(t.TempDir(), "q")
	if err := os.Mkdir(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := queue.Open(t.Context(), dir+"/queue.db", queue.Options{}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
}

// TestAFullDiskRefusesAndRecovers fills a small file system.
func TestAFullDiskRefusesAndRecovers(t *testing.T) {
	for name, o := range map[string]queue.Options{
		"by the reserve":    {MinFree: 2 << 20},
		"by SQLite's error": {MinFree: -1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := smallDisk(t)
			q := open(t, filepath.Join(dir, "queue.db"), o)
			defer q.Close()
			var accepted []string
			var err error
			for range 100 {
				var id string
				if id, err = q.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader(strings.Repeat("0123456789\r\n", 10_000))); err != nil {
					break
				}
				accepted = append(accepted, id)
			}
			if !errors.Is(err, queue.ErrFull) || len(accepted) == 0 {
				t.Fatalf("after %d messages: %v", len(accepted), err)
			}
			for range 3 { // also when the file cannot even be opened
				if _, err = q.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader(strings.Repeat("0123456789\r\n", 10_000))); !errors.Is(err, queue.ErrFull) {
					t.Errorf("once more: %v", err)
				}
			}
			if out, err := exec.Command("mount", "-o", "remount,size=64m", dir).CombinedOutput(); err != nil {
				t.Skipf("cannot make room: %s", out)
			}
			accepted = append(accepted, enqueue(t, q, "there is room again\r\n"))
			if got := ids(t, q); fmt.Sprint(got) != fmt.Sprint(accepted) {
				t.Errorf("in the queue %v, accepted %v", got, accepted)
			}
			if n, err := q.Remove(t.Context(), queue.Match{All: true}); err != nil || n != len(accepted) {
				t.Errorf("removed %d, error %v", n, err)
			}
		})
	}
}

// smallDisk mounts a file system of 8 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no right to mount a file system: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
	return dir
}

func TestNewIDsAreSortedAndDiffer(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	seen, last := map[string]bool{}, ""
	for i := range 1000 {
		for range 20 {
			id := queue.NewID(now.Add(time.Duration(i) * time.Microsecond))
			if seen[id] || len(id) != 16 || strings.ContainsAny(id, "aeiouAEIOU") {
				t.Fatalf("ID %s", id)
			}
			seen[id] = true
			if id[:9] < last {
				t.Fatalf("%s comes after %s", id, last)
			}
			last = id[:9]
		}
	}
}
