package queue_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/queue"
)

// TestAFailedCommitIsForgottenWhenTheStoreIsSound fills the disk for the
// connection that writes; another connection has a disk with room.
func TestAFailedCommitIsForgottenWhenTheStoreIsSound(t *testing.T) {
	q := open(t, newPath(t), queue.Options{})
	defer q.Close()
	before := enqueue(t, q, "\r\n")
	queue.Sabotage(q, "the disk is full for a moment")
	large := strings.Repeat("0123456789\r\n", 8000)
	if _, err := q.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader(large)); !errors.Is(err, queue.ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
	after := enqueue(t, q, large)
	if got := ids(t, q); len(got) != 2 || got[0] != before || got[1] != after {
		t.Errorf("in the queue: %v; want %s and %s", got, before, after)
	}
	events := 0
	for _, err := range q.Events(t.Context(), queue.Trail{}) {
		if err != nil {
			t.Fatal(err)
		}
		events++
	}
	if events != 2 {
		t.Errorf("%d events", events)
	}
}

// TestAStoreThatIsNotSoundTakesNothing damages what the check looks at while
// the writer is in doubt, and repairs it.
func TestAStoreThatIsNotSoundTakesNothing(t *testing.T) {
	for _, c := range []struct{ name, damage, repair string }{
		{"other tables", `UPDATE panelmail_version SET version = version + 1`, `UPDATE panelmail_version SET version = version - 1`},
		{"a table is gone", `ALTER TABLE panelmail_content RENAME TO panelmail_lost`, `ALTER TABLE panelmail_lost RENAME TO panelmail_content`},
		{"nothing can be written", `
CREATE TRIGGER damage BEFORE UPDATE ON panelmail_version BEGIN SELECT raise(FAIL, 'disk I/O error'); END`, `DROP TRIGGER damage`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := newPath(t)
			q := open(t, path, queue.Options{})
			defer q.Close()
			other, err := sql.Open("sqlite3", "file:"+path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = other.Close() }()
			run := func(statement string) {
				t.Helper()
				if _, err := other.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			queue.Sabotage(q, "the disk is full for a moment")
			large := strings.Repeat("0123456789\r\n", 8000)
			if _, err := q.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader(large)); !errors.Is(err, queue.ErrFull) {
				t.Fatalf("on a full disk: %v", err)
			}
			run(c.damage)
			for range 2 {
				if _, err := q.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader("\r\n")); err == nil {
					t.Error("a message was taken")
				}
			}
			run(c.repair)
			id := enqueue(t, q, "\r\n")
			if got := ids(t, q); len(got) != 1 || got[0] != id {
				t.Errorf("in the queue: %v; want %s", got, id)
			}
		})
	}
}
