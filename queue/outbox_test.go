package queue_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func withKey(key string) queue.Message {
	m := message("bob@far.test")
	m.Key = key
	return m
}

func TestAKeyIsPartOfTheCallersTransaction(t *testing.T) {
	db, q := callers(t, queue.Options{})
	in := func(tx *sql.Tx, content string) (string, error) {
		return q.EnqueueTx(t.Context(), tx, withKey("order 17"), strings.NewReader(content))
	}
	must := func(id string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	tx := begin(t, db)
	first := must(in(tx, "your bill\n"))
	if again := must(in(tx, "your bill\n")); again != first {
		t.Errorf("in one transaction it got the IDs %s and %s", first, again)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	tx = begin(t, db)
	second := must(in(tx, "another bill\n")) // what was rolled back has no key
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	again, err := q.Enqueue(t.Context(), withKey("order 17"), strings.NewReader("another bill\r\n"))
	if err != nil || again != second {
		t.Errorf("by Enqueue it got the ID %s with error %v, and %s before", again, err, second)
	}
	tx = begin(t, db)
	if _, err := in(tx, "your bill\n"); !errors.Is(err, queue.ErrKeyReused) {
		t.Errorf("other content: error %v", err)
	}
	if _, err := tx.Exec(`INSERT INTO bill VALUES (1)`); err != nil {
		t.Errorf("the transaction cannot be used after the refusal: %v", err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, q); !cmp.Equal(got, []string{second}) {
		t.Errorf("in the queue: %v, want %s", got, second)
	}
}

// TestTwoQueuesOnAFileStoreAKeyOnce stands for two processes.
func TestTwoQueuesOnAFileStoreAKeyOnce(t *testing.T) {
	path := newPath(t)
	queues := []*queue.Queue{open(t, path, queue.Options{}), open(t, path, queue.Options{})}
	var (
		all sync.WaitGroup
		mu  sync.Mutex
		got = map[string]map[string]bool{}
	)
	for i := range 100 {
		all.Go(func() {
			key := fmt.Sprint(i / 4)
			id, err := queues[i%2].Enqueue(t.Context(), withKey(key), strings.NewReader("\r\n"))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if got[key] == nil {
				got[key] = map[string]bool{}
			}
			got[key][id] = true
		})
	}
	all.Wait()
	for key, ids := range got {
		if len(ids) != 1 {
			t.Errorf("key %s has the IDs %v", key, ids)
		}
	}
	if n := len(ids(t, queues[0])); n != 25 {
		t.Errorf("%d messages for 25 keys", n)
	}
	for _, q := range queues {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTheContentOfARepeatIsNotKept(t *testing.T) {
	q := open(t, newPath(t), queue.Options{})
	defer q.Close()
	for range 3 {
		if _, err := q.Enqueue(t.Context(), withKey("large"), strings.NewReader(strings.Repeat("0123456789\r\n", 50_000))); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, q, `SELECT count(*) FROM panelmail_upload`); n != 1 {
		t.Errorf("%d bodies are kept", n)
	}
}

func TestOldKeysAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, newPath(t), queue.Options{Poll: -1})
		defer q.Close()
		run(t, q, func(d *transport.Delivery) transport.Report { return d.All(delivered) })
		for i := range 20 {
			if _, err := q.Enqueue(t.Context(), withKey(fmt.Sprint(i)), strings.NewReader("\r\n")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
		}
		if n := count(t, q, `SELECT count(*) FROM panelmail_key`); n < 6 || n > 8 {
			t.Errorf("%d keys of 20 days are left", n)
		}
		time.Sleep(8 * 24 * time.Hour)
		if n := count(t, q, `SELECT count(*) FROM panelmail_key`); n != 0 {
			t.Errorf("%d keys are left", n)
		}
	})
}

func count(t *testing.T, q *queue.Queue, query string) (n int) {
	t.Helper()
	if err := q.View(t.Context(), func(tx *sql.Tx) error { return tx.QueryRow(query).Scan(&n) }); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestARuleOfAnotherProcessHoldsAtOnce adds and deletes rules through one queue
// and stores through another, and through a transaction of somebody else's.
func TestARuleOfAnotherProcessHoldsAtOnce(t *testing.T) {
	db, server := callers(t, queue.Options{})
	tool, err := queue.New(t.Context(), db, queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer tool.Close()
	want := func(state queue.State) {
		t.Helper()
		if _, err := server.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader("\r\n")); err != nil {
			t.Fatal(err)
		}
		tx := begin(t, db)
		if _, err := server.EnqueueTx(t.Context(), tx, message("bob@far.test"), strings.NewReader("\r\n")); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		for e, err := range server.Entries(t.Context(), queue.Match{All: true}) {
			if err != nil || e.State != state {
				t.Errorf("%s is %v, want %v; error %v", e.ID, e.State, state, err)
			}
		}
		if n, err := server.Remove(t.Context(), queue.Match{All: true}); n != 2 || err != nil {
			t.Errorf("%d messages, error %v", n, err)
		}
	}
	for range 3 {
		want(queue.Waiting)
		id, err := tool.AddRule(t.Context(), queue.Rule{Domain: "far.test"})
		if err != nil {
			t.Fatal(err)
		}
		want(queue.OnHold)
		if err := tool.DeleteRule(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	want(queue.Waiting)
}

// TestNoMessageSlipsByANewRule stores without pause while rules are made. What is
// on hold afterwards must be all.
func TestNoMessageSlipsByANewRule(t *testing.T) {
	path := newPath(t)
	server, tool := open(t, path, queue.Options{}), open(t, path, queue.Options{})
	defer server.Close()
	defer tool.Close()
	for range 5 {
		begun, stop, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for n := 0; ; n++ {
				if n == 10 {
					close(begun)
				}
				select {
				case <-stop:
					return
				default:
				}
				if _, err := server.Enqueue(t.Context(), message("bob@far.test"), strings.NewReader("\r\n")); err != nil {
					t.Error(err)
				}
			}
		}()
		<-begun
		id, err := tool.AddRule(t.Context(), queue.Rule{Domain: "far.test"})
		if err != nil {
			t.Fatal(err)
		}
		waiting := count(t, server, `SELECT count(*) FROM panelmail_recipient WHERE state = 0`)
		close(stop)
		<-done
		if waiting += count(t, server, `SELECT count(*) FROM panelmail_recipient WHERE state = 0`); waiting != 0 {
			t.Errorf("%d recipients slipped by", waiting)
		}
		if err := tool.DeleteRule(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, err := tool.Remove(t.Context(), queue.Match{All: true}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRulesAreBounded(t *testing.T) {
	q := open(t, newPath(t), queue.Options{})
	defer q.Close()
	fill(t, q, `
INSERT INTO panelmail_rule (site, sender, domain, via, reason, created)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
SELECT '', '', printf('d%d.test', i), '', '', 0 FROM n`)
	if _, err := q.AddRule(t.Context(), queue.Rule{Domain: "far.test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := q.AddRule(t.Context(), queue.Rule{Domain: "near.test"}); err == nil {
		t.Error("there are more than 10,000 rules")
	}
	for range 200 {
		enqueue(t, q, "\r\n")
	}
	if n := count(t, q, `SELECT count(*) FROM panelmail_recipient WHERE state = 2`); n != 200 {
		t.Errorf("%d of 200 held", n)
	}
}
