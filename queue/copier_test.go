package queue

import (
	"os"
	"path/filepath"
	"testing"
	"time"
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
	for range copyEnd*4096/row + 2 {
		write(`INSERT INTO filler VALUES (zeroblob(?))`, row)
	}
	second, err := w.file.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := newCopier(second)
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
	if info, err := os.Stat(w.file.Path()); err != nil || info.Size() < copyEnd*4096 {
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
