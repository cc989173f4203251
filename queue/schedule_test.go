package queue_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A shaped transport says how much room lanes have, and forgets what is dead when
// told to.
type shaped struct {
	transport.Func
	room    func(label string) transport.Room
	mu      sync.Mutex
	asked   int
	revived []string
}

func (s *shaped) Room(label string) transport.Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.room(label)
}

func (s *shaped) Revive(label string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revived = append(s.revived, label)
}

// runShaped delivers until the test ends.
func runShaped(t *testing.T, q *queue.Queue, s *shaped) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx, s) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func ofSite(site string, recipients ...string) queue.Message {
	m := message(recipients...)
	m.Origin.Site = site
	return m
}

// manyDomains are recipients in as many domains.
func manyDomains(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("u@d%d.test", i)
	}
	return all
}

func mustEnqueue(t *testing.T, q *queue.Queue, m queue.Message) string {
	t.Helper()
	id, err := q.Enqueue(t.Context(), m, strings.NewReader("x\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestFullLanesMakeNoQueries has one lane that works beside twenty that are full,
// until some delivery ends as far as is known.
func TestFullLanesMakeNoQueries(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		calls := queue.Watch(q)
		const deliveries = 1000
		for range deliveries {
			mustEnqueue(t, q, message("u@far.test"))
		}
		mustEnqueue(t, q, message(manyDomains(20)...))
		n := 0
		var mu sync.Mutex
		runShaped(t, q, &shaped{
			Func: func(_ context.Context, d *transport.Delivery) transport.Report {
				mu.Lock()
				n++
				took := time.Second + time.Duration(n%100)*time.Millisecond
				mu.Unlock()
				time.Sleep(took)
				return d.All(delivered)
			},
			room: func(label string) transport.Room {
				if label == "/far.test" {
					return transport.Room{Free: 20}
				}
				return transport.Room{}
			},
		})
		time.Sleep(40 * time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		// A claim brings thirty at least; before and after there may be a look.
		if queries := calls.Reads.Load() + calls.Claims.Load(); n < deliveries/2 || queries > int64(n/10) {
			t.Errorf("%d deliveries made %d reads of the schedule and %d claims", n, calls.Reads.Load(), calls.Claims.Load())
		}
	})
}

// TestLanesBehindADeadDestinationCostALookEach has ten thousand labels stand for
// one destination that is dead.
func TestLanesBehindADeadDestinationCostALookEach(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		calls := queue.Watch(q)
		const lanes = 10_000
		mustEnqueue(t, q, message(manyDomains(lanes)...))
		until := time.Now().Add(time.Hour)
		s := &shaped{room: func(string) transport.Room {
			if time.Now().Before(until) {
				return transport.Room{Until: until, Reply: transport.Replyf(451, "4.4.1", "dead")}
			}
			return transport.Room{Free: 20}
		}}
		s.Func = func(_ context.Context, d *transport.Delivery) transport.Report { return d.All(delivered) }
		runShaped(t, q, s)
		const more = 30 // whose first attempt could have been stored with them
		for range more {
			time.Sleep(time.Minute)
			mustEnqueue(t, q, message("u@d1.test"))
		}
		synctest.Wait()
		s.mu.Lock()
		if s.asked > lanes+more || calls.Claims.Load() != 0 || calls.Parked.Load() != lanes || calls.Parks.Load() > lanes/200 {
			t.Errorf("the transport was asked %d times, %d claims, %d lanes parked in %d transactions",
				s.asked, calls.Claims.Load(), calls.Parked.Load(), calls.Parks.Load())
		}
		s.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		if left := ids(t, q); len(left) != 0 {
			t.Errorf("%d messages are left", len(left))
		}
	})
}

// TestLanesBehindABusyDestinationAreNotAskedAllTheTime has three thousand labels
// stand for a destination that has no room and does not know until when.
func TestLanesBehindABusyDestinationAreNotAskedAllTheTime(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		calls := queue.Watch(q)
		const lanes = 3000
		mustEnqueue(t, q, message(manyDomains(lanes)...))
		busy := true
		s := &shaped{room: func(string) transport.Room {
			if busy {
				return transport.Room{}
			}
			return transport.Room{Free: 20}
		}}
		s.Func = func(_ context.Context, d *transport.Delivery) transport.Report { return d.All(delivered) }
		runShaped(t, q, s)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		s.mu.Lock()
		busy = false
		// A thousand are asked every second, two thousand every 10 seconds at most;
		// those are looked at every five seconds.
		if most := 300*1000 + 30*2000; s.asked > most || calls.Parks.Load() > 60*10 || calls.Claims.Load() > 0 {
			t.Errorf("asked %d times, lanes parked in %d transactions, %d claims", s.asked, calls.Parks.Load(), calls.Claims.Load())
		}
		s.mu.Unlock()
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if left := ids(t, q); len(left) != 0 {
			t.Errorf("%d messages are left", len(left))
		}
	})
}

// TestARetryByAnotherProcessRevives has the command line retry one of two dead
// destinations while the server runs.
func TestARetryByAnotherProcessRevives(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q, other := open(t, path, queue.Options{}), open(t, path, queue.Options{})
		defer q.Close()
		defer other.Close()
		mustEnqueue(t, q, message("u@one.test"))
		mustEnqueue(t, q, message("u@two.test"))
		s := &shaped{}
		s.Func = func(_ context.Context, d *transport.Delivery) transport.Report { return d.All(delivered) }
		s.room = func(label string) transport.Room {
			for _, l := range s.revived {
				if l == label {
					return transport.Room{Free: 5}
				}
			}
			return transport.Room{Until: time.Now().Add(time.Hour)}
		}
		runShaped(t, q, s)
		time.Sleep(time.Minute)
		if n, err := other.Retry(t.Context(), queue.Match{Domain: "one.test"}); n != 1 || err != nil {
			t.Errorf("retried %d messages, error %v", n, err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if left := ids(t, q); len(left) != 1 || fmt.Sprint(s.revived) != "[/one.test]" {
			t.Errorf("%d messages are left, revived %v", len(left), s.revived)
		}
		mustEnqueue(t, other, message("u@one.test"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if fmt.Sprint(s.revived) != "[/one.test]" {
			t.Errorf("revived once more: %v", s.revived)
		}
	})
}

// TestASitesOnlyLaneDoesNotWaitForAllOfAnothers has a site mail three thousand
// domains with ten workers, and another site send one message to one more.
func TestASitesOnlyLaneDoesNotWaitForAllOfAnothers(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1, Workers: 10})
		defer q.Close()
		var mu sync.Mutex
		var begun []string
		run(t, q, func(d *transport.Delivery) transport.Report {
			mu.Lock()
			begun = append(begun, d.ID)
			took := time.Second + time.Duration(len(begun)%10)*20*time.Millisecond
			mu.Unlock()
			time.Sleep(took)
			return d.All(delivered)
		})
		for range 3 {
			mustEnqueue(t, q, ofSite("big", manyDomains(1000)...))
			time.Sleep(10 * time.Second)
		}
		for i := range 5 {
			mu.Lock()
			before := len(begun)
			mu.Unlock()
			id := mustEnqueue(t, q, ofSite("small", fmt.Sprintf("u@fresh%d.test", i)))
			time.Sleep(10 * time.Second)
			mu.Lock()
			waited := -1
			for i, b := range begun[before:] {
				if b == id {
					waited = i
				}
			}
			mu.Unlock()
			// Of each four claims of one the latest lane gets one, and then a worker.
			if waited < 0 || waited > 5 {
				t.Errorf("message %d waited for %d deliveries of another site", i, waited)
			}
		}
	})
}

// TestLanesThatAreEmptyAreRemoved keeps those that somebody refers to.
func TestLanesThatAreEmptyAreRemoved(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		held := message("u@held.test")
		held.Hold = "by hand"
		mustEnqueue(t, q, held)
		until := time.Now().Add(time.Hour)
		s := &shaped{room: func(label string) transport.Room {
			if label == "/dead.test" && time.Now().Before(until) {
				return transport.Room{Until: until}
			}
			return transport.Room{Free: 5}
		}}
		s.Func = func(_ context.Context, d *transport.Delivery) transport.Report {
			switch d.Label {
			case "/slow.test":
				time.Sleep(time.Hour)
			case "/later.test":
				if d.Attempt > 1 {
					break
				}
				return d.All(transport.Outcome{Reply: transport.Replyf(451, "4.2.0", "later"), RetryAfter: 90 * time.Minute})
			}
			return d.All(delivered)
		}
		runShaped(t, q, s)
		mustEnqueue(t, q, message(append(manyDomains(250), "u@slow.test")...))
		mustEnqueue(t, q, message("u@later.test"))
		mustEnqueue(t, q, message("u@dead.test"))
		time.Sleep(25 * time.Minute)
		synctest.Wait()
		if got, want := lanes(t, q), "[/dead.test /held.test /later.test /slow.test]"; got != want {
			t.Errorf("lanes %s, want %s", got, want)
		}
		for e, err := range q.Entries(t.Context(), queue.Match{Recipient: "u@slow.test"}) {
			if err != nil || len(e.Recipients) != 251 {
				t.Errorf("%d recipients listed, error %v", len(e.Recipients), err)
			}
		}
		mustEnqueue(t, q, message("u@d1.test"))
		if _, err := q.Release(t.Context(), queue.Match{All: true}); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if left := ids(t, q); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		if got := lanes(t, q); got != "[]" {
			t.Errorf("lanes %s are left", got)
		}
	})
}

// lanes lists the labels of all lanes.
func lanes(t *testing.T, q *queue.Queue) string {
	t.Helper()
	keys := []string{}
	err := q.View(t.Context(), func(tx *sql.Tx) error {
		rows, err := tx.Query(`SELECT key FROM panelmail_lane ORDER BY key`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var key string
			if err := rows.Scan(&key); err != nil {
				return err
			}
			keys = append(keys, key)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(keys)
}

// TestRecipientsInMemoryAreBounded has messages of fifty recipients each fill what
// memory may hold.
func TestRecipientsInMemoryAreBounded(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1, Concurrency: 10})
		defer q.Close()
		const recipients = 50
		for i := range 25 { // 25 lanes of 24 messages
			var to []string
			for r := range 24 * recipients {
				to = append(to, fmt.Sprintf("u%d@d%d.test", r, i))
			}
			mustEnqueue(t, q, message(to...))
		}
		proceed := make(chan struct{})
		run(t, q, func(d *transport.Delivery) transport.Report {
			if n := len(d.Envelope.Recipients); n != recipients {
				t.Errorf("%d recipients in a delivery", n)
			}
			<-proceed
			return d.All(delivered)
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		s, err := q.Stats(t.Context())
		if err != nil || s.Active < 20_000-recipients || s.Active > 20_000+recipients {
			t.Errorf("%d recipients in memory, error %v", s.Active, err)
		}
		close(proceed)
		time.Sleep(time.Minute)
		synctest.Wait()
		if left := ids(t, q); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}
