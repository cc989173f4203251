package queue_test

import (
	"context"
	"database/sql"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// standing is a recipient in the queue, as far as its attempts go.
type standing struct {
	ID       string
	State    queue.State
	Attempts int
}

func standings(t *testing.T, q *queue.Queue) (all []standing) {
	t.Helper()
	for e, err := range q.Entries(t.Context(), queue.Match{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range e.Recipients {
			all = append(all, standing{e.ID, r.State, r.Attempts})
		}
	}
	return all
}

// until returns a transport that delivers nothing before release is closed, and
// nothing at all if its context ends first.
func until(release <-chan struct{}) transport.Func {
	return func(ctx context.Context, d *transport.Delivery) transport.Report {
		select {
		case <-release:
			return d.All(delivered)
		case <-ctx.Done():
			return nil
		}
	}
}

func TestMailForAnIdleLaneIsStoredWithItsFirstAttempt(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1, Concurrency: 1})
		defer q.Close()
		release := make(chan struct{})
		defer close(release)
		runContext(t, q, until(release))
		synctest.Wait()
		first, second := enqueue(t, q, "\r\n"), enqueue(t, q, "\r\n")
		want := []standing{{first, queue.Active, 1}, {second, queue.Active, 1}}
		if diff := cmp.Diff(want, standings(t, q)); diff != "" {
			t.Errorf("as soon as they are stored (-want +got)\n%s", diff)
		}
	})
}

func TestMailBehindMailThatIsDueWaitsItsTurn(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1, Concurrency: 1})
		defer q.Close()
		const before = 50
		var order []string
		for range before {
			order = append(order, enqueue(t, q, "\r\n"))
		}
		release := make(chan struct{})
		hold := until(release)
		var mu sync.Mutex
		var got []string
		runContext(t, q, func(ctx context.Context, d *transport.Delivery) transport.Report {
			report := hold(ctx, d)
			mu.Lock()
			got = append(got, d.ID)
			mu.Unlock()
			return report
		})
		synctest.Wait()
		order = append(order, enqueue(t, q, "\r\n"))
		if all := standings(t, q); all[before] != (standing{order[before], queue.Waiting, 0}) {
			t.Errorf("with mail of its own site due before it: %+v", all[before])
		}
		close(release)
		synctest.Wait()
		if diff := cmp.Diff(order, got); diff != "" {
			t.Errorf("order of deliveries (-want +got)\n%s", diff)
		}
	})
}

func TestWhatWasStoredWithAnAttemptThatNeverBeganIsAsNew(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1, Concurrency: 1})
		defer q.Close()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		release := make(chan struct{})
		defer close(release)
		go func() { done <- q.Run(ctx, until(release)) }()
		synctest.Wait()
		first, second := enqueue(t, q, "\r\n"), enqueue(t, q, "\r\n")
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want := []standing{{first, queue.Waiting, 0}, {second, queue.Waiting, 0}}
		if diff := cmp.Diff(want, standings(t, q)); diff != "" {
			t.Errorf("after Run (-want +got)\n%s", diff)
		}
	})
}

// TestWhatIsStoredWhileRunEndsIsAsNew has Run end between the moment in which a
// place is kept for a message and its commit.
func TestWhatIsStoredWhileRunEndsIsAsNew(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		release := make(chan struct{})
		defer close(release)
		go func() { done <- q.Run(ctx, until(release)) }()
		synctest.Wait()
		var commits sync.WaitGroup
		id, lent := "", make(chan struct{})
		commits.Go(func() {
			err := q.Update(t.Context(), func(*sql.Tx) error {
				<-lent
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		commits.Go(func() { id = enqueue(t, q, "\r\n") })
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(lent)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		commits.Wait()
		if diff := cmp.Diff([]standing{{id, queue.Waiting, 0}}, standings(t, q)); diff != "" {
			t.Errorf("after Run (-want +got)\n%s", diff)
		}
	})
}

func TestContentIsTheSameFromMemoryAndFromTheFile(t *testing.T) {
	for _, size := range []int{0, 1, 32<<10 - 10, 32 << 10, 32<<10 + 1, 200 << 10} {
		path := newPath(t)
		synctest.Test(t, func(t *testing.T) {
			q := open(t, path, queue.Options{Poll: -1})
			defer q.Close()
			var got [2]string
			runContext(t, q, func(ctx context.Context, d *transport.Delivery) transport.Report {
				for i := range got {
					got[i] = read(t, ctx, d)
				}
				return d.All(delivered)
			})
			synctest.Wait()
			body := strings.Repeat("x", size) + "\r\n"
			m := message("bob@far.test")
			m.Head = func() ([]byte, error) { return []byte("A: b\r\n"), nil }
			if _, err := q.Enqueue(t.Context(), m, strings.NewReader(body)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			for i, s := range got {
				if s != "A: b\r\n"+body {
					t.Errorf("size %d: reading %d gives %d octets", size, i, len(s))
				}
			}
		})
	}
}

func read(t *testing.T, ctx context.Context, d *transport.Delivery) string {
	r, err := d.Open(ctx)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}
