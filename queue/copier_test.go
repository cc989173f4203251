package queue

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// TestTheLogIsCopiedBesideTheWriter fills a log beyond its end: the copier leaves
// the writer little, and then the log is written from its beginning again.
func TestTheLogIsCopiedBesideTheWriter(t *testing.T) {
	q, err := Open(t.Context(), filepath.Join(t.TempDir(), "q", "queue.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	w := q.store.(*engine).writer
	write := func(statement string, args ...any) {
		t.Helper()
		err := w.do(t.Context(), &op{class: classOther, apply: func(x txn) ([]Event, error) {
			_, err := x.exec(statement, args...)
			return nil, err
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	write(`CREATE TABLE filler (octets BLOB)`)
	const row = 1 << 20
	end := int64(copyEnd * float64(w.limit))
	for range end/row + 2 {
		write(`INSERT INTO filler VALUES (zeroblob(?))`, row)
	}
	second, err := w.file.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := newCopier(second, w.limit, &w.spoiled)
	if c.committed(copyOps - 1) {
		t.Error("the rest is wanted of a log that is not copied")
	}
	c.last = time.Time{}
	c.committed(1)
	c.close() // when it has done what was wanted
	full := w.logSize()
	if !c.committed(0) || c.committed(0) {
		t.Error("the rest is not wanted once")
	}
	if info, err := os.Stat(w.file.Path()); err != nil || info.Size() < end {
		t.Errorf("the database has %d octets: %v", info.Size(), err)
	}
	if err := w.tx.discard(copyLog); err != nil { // the rest
		t.Error(err)
	}
	write(`INSERT INTO filler VALUES (zeroblob(?))`, row)
	if now := w.logSize(); now != full {
		t.Errorf("the log grew from %d octets to %d", full, now)
	}
}

func TestALogThatCouldNotBeCopiedIsMendedBeforeItIsCopied(t *testing.T) {
	q, err := Open(t.Context(), filepath.Join(t.TempDir(), "q", "queue.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	w := q.store.(*engine).writer
	_ = w.spoiled.note(errors.New("disk I/O error"))
	if size := w.copier.copy(); size != 0 {
		t.Errorf("%d octets of a log were copied that could not be copied before", size)
	}
	if _, err := q.Enqueue(t.Context(), Message{Envelope: transport.Envelope{Recipients: []transport.Recipient{{Address: "a@b.test"}}}}, strings.NewReader("x\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.do(t.Context(), &op{class: classPeek, peek: func(txn) error { return nil }}); err != nil { // the turn is over
		t.Fatal(err)
	}
	if w.spoiled.Load() != nil {
		t.Error("the log was not mended")
	}
	if size := w.copier.copy(); size == 0 {
		t.Error("the log is not copied again")
	}
}
