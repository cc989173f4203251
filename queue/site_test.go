package queue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// openClosed opens a queue that is closed with the test.
func openClosed(t *testing.T) *queue.Queue {
	t.Helper()
	q := open(t, newPath(t), queue.Options{})
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// TestEachTableWithASiteIsRemovedAndRenamedWithIt fails for a table that somebody
// added without saying what becomes of its rows when a site goes.
func TestEachTableWithASiteIsRemovedAndRenamedWithIt(t *testing.T) {
	q := openClosed(t)
	err := q.View(t.Context(), func(tx *sql.Tx) error {
		rows, err := tx.Query(`
SELECT s.name FROM sqlite_schema AS s JOIN pragma_table_info(s.name) AS c
WHERE s.type = 'table' AND c.name = 'site' ORDER BY s.name`)
		if err != nil {
			return err
		}
		defer rows.Close()
		var there []string
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			there = append(there, name)
		}
		if listed := slices.Sorted(slices.Values(queue.SiteTables())); !slices.Equal(listed, there) {
			t.Errorf("the tables with a site are %q, and the list has %q (sqlite_site.go): emptySite and removeSite must know each", there, listed)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestASettlementAfterARenameTellsTheNewNameAndSoDoesItsReport(t *testing.T) {
	q := openClosed(t)
	begun, rename := make(chan struct{}), make(chan struct{})
	tr := transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
		close(begun)
		<-rename
		return d.All(transport.Outcome{Reply: transport.Replyf(550, "5.1.1", "nobody here"), Host: "mx.test"})
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	m := queue.Message{Envelope: transport.Envelope{ReversePath: "a@old.test", Recipients: []transport.Recipient{{Address: "u@peer.test"}}},
		Origin: transport.Origin{Site: "old", Via: transport.ViaAPI}}
	id, err := q.Enqueue(ctx, m, strings.NewReader("Subject: x\r\n\r\nx\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { ended <- q.Run(ctx, tr) }()
	<-begun
	err = q.Update(ctx, func(tx *sql.Tx) error { return q.RenameSite(tx, "old", "new") })
	if err != nil {
		t.Fatal(err)
	}
	following, end := context.WithCancel(ctx)
	defer end()
	trail := make(chan queue.Event, 10)
	go func() {
		for e, err := range q.Events(following, queue.Trail{Follow: true, Kinds: []queue.Kind{queue.Failed, queue.Queued}}) {
			if err != nil {
				break
			}
			trail <- e
		}
	}()
	first := <-trail
	stop() // nothing else begins
	close(rename)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if first.ID != id || first.Site != "new" {
		t.Errorf("of what was stored before: %+v", first)
	}
	for e, err := range q.Events(t.Context(), queue.Trail{After: first.Seq}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Site != "new" {
			t.Errorf("an event of site %q: %+v", e.Site, e)
		}
	}
	n := 0
	for e, err := range q.Entries(t.Context(), queue.Match{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; e.Origin.Site != "new" {
			t.Errorf("the report is of site %q", e.Origin.Site)
		}
	}
	if n != 1 {
		t.Errorf("%d messages are queued, and not the report alone", n)
	}
}

func TestADeliveryUnderWayLeavesNothingOfARemovedSite(t *testing.T) {
	q := openClosed(t)
	begun, remove := make(chan struct{}), make(chan struct{})
	tr := transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
		close(begun)
		<-remove
		return d.All(transport.Outcome{Reply: transport.Replyf(550, "5.1.1", "nobody here"), Host: "mx.test"})
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	m := queue.Message{Envelope: transport.Envelope{ReversePath: "a@gone.test", Recipients: []transport.Recipient{{Address: "u@peer.test"}}},
		Origin: transport.Origin{Site: "gone", Via: transport.ViaAPI}}
	if _, err := q.Enqueue(ctx, m, strings.NewReader("Subject: x\r\n\r\nx\r\n")); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- q.Run(ctx, tr) }()
	<-begun
	if err := removeSite(t, q, "gone"); err != nil {
		t.Fatal(err)
	}
	stop()
	close(remove)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for e, err := range q.Events(t.Context(), queue.Trail{}) {
		t.Errorf("told of it: %+v, %v", e, err)
	}
	for e, err := range q.Entries(t.Context(), queue.Match{All: true}) {
		t.Errorf("queued: %+v, %v", e, err)
	}
	if _, err := q.Enqueue(t.Context(), m, strings.NewReader("Subject: x\r\n\r\nx\r\n")); !errors.Is(err, queue.ErrSiteGone) {
		t.Errorf("stored afterwards: %v", err)
	}
}

// removeSite goes through the three steps.
func removeSite(t *testing.T, q *queue.Queue, site string) error {
	t.Helper()
	ctx := t.Context()
	if err := q.Update(ctx, func(tx *sql.Tx) error { return q.CloseSite(tx, site) }); err != nil {
		return err
	}
	if err := q.EmptySite(ctx, site, nil); err != nil {
		return err
	}
	err := q.Update(ctx, func(tx *sql.Tx) error {
		_, _, _, err := q.RemoveSite(tx, site, nil)
		return err
	})
	if err != nil {
		return err
	}
	return q.Scrub(ctx)
}

func TestASiteThatIsNotClosedIsNotEmptied(t *testing.T) {
	q := openClosed(t)
	m := queue.Message{Envelope: transport.Envelope{Recipients: []transport.Recipient{{Address: "u@peer.test"}}}, Origin: transport.Origin{Site: "here"}}
	if _, err := q.Enqueue(t.Context(), m, strings.NewReader("Subject: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := q.EmptySite(t.Context(), "here", nil); err == nil || !strings.Contains(err.Error(), `"here"`) {
		t.Errorf("error %v", err)
	}
	n := 0
	for range q.Entries(t.Context(), queue.Match{Site: "here"}) {
		n++
	}
	if n != 1 {
		t.Error("the message is gone: " + fmt.Sprint(n))
	}
}
