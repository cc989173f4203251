package queue_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// TestWhatIsDeletedLeavesNoBytesInTheFile looks for what was in mail that is
// delivered or removed, and in its history, when that is old.
func TestWhatIsDeletedLeavesNoBytesInTheFile(t *testing.T) {
	const marker = "xq-marker-qx"
	for _, defect := range []string{"", "what is deleted stays in the file"} {
		path := newPath(t)
		synctest.Test(t, func(t *testing.T) {
			q := open(t, path, queue.Options{Poll: -1, Retention: time.Hour})
			queue.Sabotage(q, defect)
			run(t, q, func(d *transport.Delivery) transport.Report {
				o := delivered
				if d.Attempt == 1 {
					o = transport.Outcome{Reply: transport.Replyf(450, "4.2.0", marker), Transcript: marker}
				}
				return d.All(o)
			})
			for i := range 200 {
				m := message(fmt.Sprintf("%s-%d@far.test", marker, i))
				if i%2 == 0 {
					m.Hold = marker
				}
				size := 10
				if i%50 < 2 {
					size = 20_000
				}
				if _, err := q.Enqueue(t.Context(), m, strings.NewReader(strings.Repeat(marker+"\r\n", size))); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(30 * time.Minute)
			if n, err := q.Remove(t.Context(), queue.Match{All: true}); n != 100 || err != nil {
				t.Fatalf("removed %d, error %v", n, err)
			}
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			if err := q.Close(); err != nil { // the last connection copies the log and removes it
				t.Fatal(err)
			}
		})
		found := 0
		for name, data := range files(t, filepath.Dir(path)) {
			found += bytes.Count(data, []byte(marker))
			if strings.HasSuffix(name, "-wal") && len(data) > 0 {
				t.Errorf("%s has %d octets", name, len(data))
			}
		}
		if (found > 0) != (defect != "") {
			t.Errorf("defect %q: the marker is in the files %d times", defect, found)
		}
	}
}

func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all[name], err = os.ReadFile(filepath.Join(dir, name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func pages(t *testing.T, q *queue.Queue) (pages, free int) {
	t.Helper()
	err := q.View(t.Context(), func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count`).Scan(&pages, &free)
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages, free
}

func TestFreePagesGoBackToTheFileSystem(t *testing.T) {
	content := strings.Repeat("0123456789\r\n", 1<<20/12)
	for _, c := range []struct {
		own  bool
		most int // pages afterwards
	}{
		{true, 5000},
		{false, 1 << 30}, // the file is the caller's
	} {
		synctest.Test(t, func(t *testing.T) {
			var q *queue.Queue
			if c.own {
				q = open(t, newPath(t), queue.Options{Poll: -1})
				defer q.Close()
			} else {
				q = besideVacuumed(t)
			}
			run(t, q, func(d *transport.Delivery) transport.Report { return d.All(delivered) })
			for range 40 {
				m := message("bob@far.test")
				m.Hold = "x"
				if _, err := q.Enqueue(t.Context(), m, strings.NewReader(content)); err != nil {
					t.Fatal(err)
				}
			}
			before, _ := pages(t, q)
			if _, err := q.Remove(t.Context(), queue.Match{All: true}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(15 * time.Minute)
			synctest.Wait()
			after, free := pages(t, q)
			if before < 10_000 || after > c.most || !c.own && after < before {
				t.Errorf("own %v: %d pages before, %d after, %d of them free", c.own, before, after, free)
			}
		})
	}
}

// besideVacuumed is a queue in a caller's file that could be vacuumed.
func besideVacuumed(t *testing.T) *queue.Queue {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "panel.db")+"?_auto_vacuum=incremental&_journal_mode=WAL")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	q, err := queue.New(t.Context(), db, queue.Options{Poll: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// TestTheLogIsBoundedWhileThereAreAlwaysReaders has readers that take turns, so
// that at no moment there is none.
func TestTheLogIsBoundedWhileThereAreAlwaysReaders(t *testing.T) {
	path := newPath(t)
	q := open(t, path, queue.Options{})
	defer q.Close()
	content := strings.Repeat("0123456789\r\n", 1<<20/12)
	for range 30 {
		if _, err := q.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	relieved := [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}
	for i := range 2 {
		readers.Go(func() {
			for t.Context().Err() == nil {
				err := q.View(t.Context(), func(tx *sql.Tx) error {
					var n int // a while passes
					if err := tx.QueryRow(`SELECT sum(instr(data, 'x')) FROM panelmail_chunk WHERE upload < 4`).Scan(&n); err != nil {
						return err
					}
					select {
					case relieved[1-i] <- struct{}{}:
					case <-stop:
					}
					select { // with this state of the database open until the other has another
					case <-relieved[i]:
						return nil
					case <-stop:
						return context.Canceled
					}
				})
				if err != nil {
					return
				}
			}
		})
	}
	most := int64(0)
	for range 120 {
		if _, err := q.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path + "-wal"); err == nil {
			most = max(most, info.Size())
		}
	}
	close(stop)
	readers.Wait()
	t.Logf("the log had up to %d MiB", most>>20)
	if most > 100<<20 {
		t.Errorf("the log had up to %d MiB", most>>20)
	}
}
