package queue_test

import (
	"database/sql"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// age has the messages that are in a queue be among the latest no more, once another
// one is stored.
func age(t *testing.T, q *queue.Queue) {
	t.Helper()
	fill(t, q, `UPDATE sqlite_sequence SET seq = seq + 5000 WHERE name = 'panelmail_message'`)
}

// rowsOf counts what is in the file of messages and of what is left of them.
func rowsOf(t *testing.T, q *queue.Queue) (r struct{ Messages, Contents, Settled int }) {
	t.Helper()
	err := q.View(t.Context(), func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT (SELECT count(*) FROM panelmail_message), (SELECT count(*) FROM panelmail_content),
			(SELECT count(*) FROM panelmail_settled)`).Scan(&r.Messages, &r.Contents, &r.Settled)
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type rows = struct{ Messages, Contents, Settled int }

// leave has the message of a site come to its end long after it was stored, with
// another one on hold behind it. When it returns the former is left in the file.
func leave(t *testing.T, q *queue.Queue) (id string) {
	t.Helper()
	m := message("bob@far.test", "ann@far.test")
	m.Origin.Site, m.Signed = "site", []string{"a.key"}
	id, err := q.Enqueue(t.Context(), m, strings.NewReader("Subject: old\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	age(t, q)
	last := message("bob@far.test")
	last.Hold = "so that something is left"
	if _, err := q.Enqueue(t.Context(), last, strings.NewReader("\r\n")); err != nil {
		t.Fatal(err)
	}
	run(t, q, func(d *transport.Delivery) transport.Report { return d.All(delivered) })
	synctest.Wait()
	if diff := cmp.Diff(rows{2, 2, 1}, rowsOf(t, q)); diff != "" {
		t.Fatalf("in the file after the delivery (-want +got):\n%s", diff)
	}
	return id
}

func TestAnOldMessageThatIsOverIsNobodysAndRemovedSoon(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		id := leave(t, q)
		for e, err := range q.Entries(t.Context(), queue.Match{All: true}) {
			if err != nil || e.ID == id {
				t.Errorf("listed: %+v, %v", e, err)
			}
		}
		if _, err := q.Content(t.Context(), id); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("its content: %v", err)
		}
		if n, err := q.Remove(t.Context(), queue.Match{IDs: []string{id}}); n != 0 || err != nil {
			t.Errorf("deleted: %d, %v", n, err)
		}
		s, err := q.Stats(t.Context())
		if err != nil || s.Messages != 1 || s.Size != 2 || s.Hold != 1 || s.Active+s.Waiting != 0 {
			t.Errorf("counted: %+v, %v", s, err)
		}
		if names, err := q.Signed(t.Context()); err != nil || len(names) > 0 {
			t.Errorf("in use: %q, %v", names, err)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff(rows{1, 1, 0}, rowsOf(t, q)); diff != "" {
			t.Errorf("in the file soon after (-want +got):\n%s", diff)
		}
	})
}

func TestAnOldMessageWithSomebodyLeftStays(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		id, err := q.Enqueue(t.Context(), message("bob@far.test", "ann@busy.test"), strings.NewReader("Subject: old\r\n\r\nx\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		age(t, q)
		enqueue(t, q, "\r\n")
		tries := 0
		run(t, q, func(d *transport.Delivery) transport.Report {
			if tries++; d.Envelope.Recipients[0].Address == "ann@busy.test" && tries < 6 {
				return d.All(transport.Outcome{Reply: transport.Replyf(451, "4.3.0", "busy")})
			}
			return d.All(delivered)
		})
		synctest.Wait()
		if diff := cmp.Diff(rows{1, 1, 0}, rowsOf(t, q)); diff != "" {
			t.Errorf("in the file while one of its recipients waits (-want +got):\n%s", diff)
		}
		r, err := q.Content(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); err != nil || !strings.HasSuffix(string(b), "x\r\n") {
			t.Errorf("content %q, %v", b, err)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if diff := cmp.Diff(rows{}, rowsOf(t, q)); diff != "" {
			t.Errorf("in the file at the end (-want +got):\n%s", diff)
		}
	})
}

func TestWhatIsOverIsRemovedWhileOthersEnd(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1, Concurrency: 1})
		defer q.Close()
		for range 120 {
			enqueue(t, q, "\r\n")
		}
		age(t, q)
		enqueue(t, q, "\r\n")
		run(t, q, func(d *transport.Delivery) transport.Report {
			time.Sleep(time.Second)
			return d.All(delivered)
		})
		time.Sleep(clearLatest - time.Second)
		synctest.Wait()
		if r := rowsOf(t, q); r.Messages != 121 || r.Settled < 50 {
			t.Errorf("in the file before: %+v", r)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if r := rowsOf(t, q); r.Messages > 70 || r.Settled > 10 {
			t.Errorf("in the file a minute after the first one: %+v", r)
		}
	})
}

const clearLatest = time.Minute // for what is over

// TestWhatIsLeftOfASiteGoesWithIt removes the site of a message, and that of whoever
// got it.
func TestWhatIsLeftOfASiteGoesWithIt(t *testing.T) {
	for _, site := range []string{"site", "far"} {
		path := newPath(t)
		synctest.Test(t, func(t *testing.T) {
			q := open(t, path, queue.Options{Poll: -1})
			defer q.Close()
			leave(t, q)
			if found, _, _, err := q.CountSite(t.Context(), site, nil); err != nil || found["messages"] != 0 {
				t.Errorf("to be removed: %v, %v", found, err)
			}
			if err := removeSite(t, q, site); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(rows{1, 1, 0}, rowsOf(t, q)); diff != "" {
				t.Errorf("in the file afterwards (-want +got):\n%s", diff)
			}
		})
	}
}
