package queue

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestABatchHasSomethingOfEachClass(t *testing.T) {
	w := &writer{}
	queued := func(class, n, size int) {
		for range n {
			w.queues[class] = append(w.queues[class], &op{class: class, size: size})
		}
	}
	queued(classSettle, 300, 0)
	queued(classEnqueue, 3, batchOctets)
	queued(classOther, 2, 0)
	queued(classUpload, 8, batchOctets)
	var got [][]int
	for range 4 {
		batch := make([]int, classLend)
		for _, o := range w.take() {
			batch[o.class]++
		}
		got = append(got, batch)
	}
	want := [][]int{{256, 1, 1, 1}, {44, 1, 1, 1}, {0, 1, 0, 1}, {0, 0, 0, 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settlements, messages, others, uploads (-want +got):\n%s", diff)
	}
}

func TestLargeContentDoesNotKeepOutWhatHasNone(t *testing.T) {
	w := &writer{}
	w.queues[classEnqueue] = []*op{{size: batchOctets}}
	for range 10 {
		w.queues[classOther] = append(w.queues[classOther], &op{class: classOther})
	}
	if n := len(w.take()); n != 11 {
		t.Errorf("%d of 11 in the batch", n)
	}
}

func TestACheckpointIsTriedAgainWhenTheLogHasGrown(t *testing.T) {
	const mib = 1 << 20
	start := time.Now()
	tried := checkpointed{at: start}
	for _, c := range []struct {
		after time.Duration
		size  int64
		want  bool
		left  int64 // size after the try
	}{
		{0, 31 * mib, false, 0},
		{0, 32 * mib, true, 32 * mib}, // a reader was in the way
		{0, 33 * mib, false, 0},
		{0, 63 * mib, false, 0},
		{0, 64 * mib, true, 0},
		{0, 31 * mib, false, 0},
		{0, 32 * mib, true, 32 * mib},
		{time.Minute - 1, 32 * mib, false, 0},
		{time.Minute, 32 * mib, true, 0}, // the reader is gone, and the log is used again from its beginning
		{2 * time.Minute, 31 * mib, false, 0},
	} {
		now := start.Add(c.after)
		got := tried.due(now, c.size, 32*mib)
		if got != c.want {
			t.Errorf("after %v at %d MiB: %v", c.after, c.size/mib, got)
		}
		if got {
			tried = checkpointed{now, c.left}
		}
	}
}

func TestAfterAnErrorNoConnectionIsTrusted(t *testing.T) {
	q, err := Open(t.Context(), filepath.Join(t.TempDir(), "q", "queue.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	e := q.store.(*engine)
	write := func(statement string) error {
		return e.writer.do(t.Context(), &op{class: classOther, apply: func(x txn) ([]Event, error) {
			_, err := x.exec(statement)
			return nil, err
		}})
	}
	if _, err := q.Stats(t.Context()); err != nil { // leaves an idle connection
		t.Fatal(err)
	}
	before := e.read.Stats()
	if err := write(`nonsense`); err == nil {
		t.Fatal("no error")
	}
	if err := write(`DELETE FROM panelmail_upload`); err != nil {
		t.Fatal(err)
	}
	if after := e.read.Stats(); before.OpenConnections == 0 || after.OpenConnections != 0 {
		t.Errorf("%d connections that read before, %d after", before.OpenConnections, after.OpenConnections)
	}
	if _, err := q.Stats(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAQueryRunForItsEffectReportsAnErrorOfAnyStep(t *testing.T) {
	q, err := Open(t.Context(), filepath.Join(t.TempDir(), "q", "queue.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	w := q.store.(*engine).writer
	err = w.do(t.Context(), &op{class: classPeek, peek: func(txn) error {
		return w.tx.discard(`SELECT 1 UNION ALL SELECT abs(-9223372036854775808)`)
	}})
	if err == nil {
		t.Error("no error")
	}
}
