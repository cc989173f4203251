package queue_test

import (
	"database/sql"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/queue"
)

// fill writes to the queue's tables behind its back.
func fill(t *testing.T, q *queue.Queue, statement string, args ...any) {
	t.Helper()
	if err := q.Update(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(statement, args...); return err }); err != nil {
		t.Fatal(err)
	}
}

func TestContentThatHasLostAPartIsAnError(t *testing.T) {
	for name, damage := range map[string]string{
		"a chunk in the middle": `DELETE FROM panelmail_chunk WHERE part = 3`,
		"the last chunk":        `DELETE FROM panelmail_chunk WHERE part = (SELECT max(part) FROM panelmail_chunk)`,
		"the end of a chunk":    `UPDATE panelmail_chunk SET data = x'00' WHERE part = (SELECT max(part) FROM panelmail_chunk)`,
		"the body":              `UPDATE panelmail_content SET body = x'', upload = NULL`,
	} {
		q := open(t, newPath(t), queue.Options{})
		defer q.Close()
		id := enqueue(t, q, strings.Repeat("0123456789\r\n", 1<<20/12))
		fill(t, q, damage)
		r, err := q.Content(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("without %s: %d octets, then error %v", name, n, err)
		}
	}
}
