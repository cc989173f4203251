package queue_test

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// storeOld stores a message, with another one of other people on hold behind it, so
// that it is among the latest no more.
func storeOld(t *testing.T, q *queue.Queue, m queue.Message) {
	t.Helper()
	last := message("bob@far.test")
	last.Envelope.ReversePath, last.Hold = "carol@others.test", "so that something is left"
	for _, m := range []queue.Message{m, last} {
		if _, err := q.Enqueue(t.Context(), m, strings.NewReader("\r\n")); err != nil {
			t.Fatal(err)
		}
		age(t, q)
	}
}

// runFor delivers everything at once, and goes on for a while.
func runFor(t *testing.T, q *queue.Queue, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	err := q.Run(ctx, transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report { return d.All(delivered) }))
	if err != nil {
		t.Fatal(err)
	}
}

// TestARunRemovesWhatTheOneBeforeItLeft has the second one be of the same queue, or
// of one that was opened before anything was left.
func TestARunRemovesWhatTheOneBeforeItLeft(t *testing.T) {
	for _, same := range []bool{true, false} {
		path := newPath(t)
		synctest.Test(t, func(t *testing.T) {
			first := open(t, path, queue.Options{Poll: -1})
			defer first.Close()
			second := first
			if !same {
				second = open(t, path, queue.Options{Poll: -1})
				defer second.Close()
			}
			storeOld(t, first, message("bob@far.test"))
			runFor(t, first, time.Second)
			if diff := cmp.Diff(rows{2, 2, 1}, rowsOf(t, first)); diff != "" {
				t.Fatalf("in the file after the first Run (-want +got):\n%s", diff)
			}
			runFor(t, second, time.Minute)
			if diff := cmp.Diff(rows{1, 1, 0}, rowsOf(t, first)); diff != "" {
				t.Errorf("of the same queue: %v: in the file after the second (-want +got):\n%s", same, diff)
			}
		})
	}
}

func TestWhatIsOverIsRemovedAfterAnError(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		leave(t, q)
		fill(t, q, `ALTER TABLE panelmail_settled RENAME TO panelmail_elsewhere`)
		time.Sleep(time.Minute)
		synctest.Wait()
		fill(t, q, `ALTER TABLE panelmail_elsewhere RENAME TO panelmail_settled`)
		time.Sleep(time.Minute)
		synctest.Wait()
		if diff := cmp.Diff(rows{1, 1, 0}, rowsOf(t, q)); diff != "" {
			t.Errorf("in the file (-want +got):\n%s", diff)
		}
	})
}

// TestThereIsRoomForWhatIsOverWhoeverMadeIt has another process remove so much that
// no more was to be left.
func TestThereIsRoomForWhatIsOverWhoeverMadeIt(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		storeOld(t, q, message("bob@far.test"))
		fill(t, q, `INSERT INTO panelmail_settled
			WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 270000) SELECT n + 100000 FROM i`)
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		q = open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		begin := make(chan bool)
		run(t, q, func(d *transport.Delivery) transport.Report {
			<-begin
			return d.All(delivered)
		})
		synctest.Wait()
		fill(t, q, `DELETE FROM panelmail_settled`)
		time.Sleep(time.Minute)
		close(begin)
		synctest.Wait()
		if diff := cmp.Diff(rows{2, 2, 1}, rowsOf(t, q)); diff != "" {
			t.Errorf("in the file (-want +got):\n%s", diff)
		}
	})
}

// TestNothingIsLeftOfAMessageThatEndsWhileItsSiteGoes has the site removed step by
// step, with the message's end in between, or all at once.
func TestNothingIsLeftOfAMessageThatEndsWhileItsSiteGoes(t *testing.T) {
	own, inbound := message("bob@far.test"), message("bob@site.test")
	own.Origin.Site = "site"
	inbound.Envelope.ReversePath, inbound.Origin.Via = "stranger@far.test", transport.ViaSMTP
	for _, c := range []struct {
		name    string
		message queue.Message
		steps   bool
	}{
		{"its own, at once", own, false},
		{"its own, step by step", own, true},
		{"one for it, at once", inbound, false},
		{"one for it, step by step", inbound, true},
	} {
		path := newPath(t)
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := open(t, path, queue.Options{Poll: -1})
				defer q.Close()
				held := message("bob@far.test")
				held.Origin.Site, held.Hold = "site", "so that there is something to remove first"
				if _, err := q.Enqueue(t.Context(), held, strings.NewReader("\r\n")); err != nil {
					t.Fatal(err)
				}
				storeOld(t, q, c.message)
				begin := make(chan bool)
				run(t, q, func(d *transport.Delivery) transport.Report {
					<-begin
					return d.All(delivered)
				})
				removeWhile(t, q, c.steps, func() { close(begin) })
				if diff := cmp.Diff(rows{1, 1, 0}, rowsOf(t, q)); diff != "" {
					t.Errorf("in the file (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// removeWhile removes a site with one message, and has another one end when it is
// closed: with steps, in the commit of the first of them.
func removeWhile(t *testing.T, q *queue.Queue, steps bool, end func()) {
	t.Helper()
	domains := []string{"site.test"}
	update := func(f func(*sql.Tx) error) {
		if err := q.Update(t.Context(), f); err != nil {
			t.Error(err)
		}
	}
	synctest.Wait()
	update(func(tx *sql.Tx) error { return q.CloseSite(tx, "site") })
	var all sync.WaitGroup
	commit := make(chan bool)
	if steps {
		all.Go(func() { update(func(*sql.Tx) error { <-commit; return nil }) })
		synctest.Wait()
		all.Go(func() {
			if err := q.EmptySite(t.Context(), "site", domains); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
	}
	end()
	synctest.Wait()
	close(commit)
	all.Wait()
	update(func(tx *sql.Tx) error {
		went, _, _, err := q.RemoveSite(tx, "site", domains)
		if went["messages"] != 1 || went["recipients"] != 1 {
			t.Errorf("removed: %v", went)
		}
		return err
	})
}
