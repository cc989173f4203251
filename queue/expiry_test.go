package queue_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// parked runs a queue whose transport never has room, and remembers what is told.
type parked struct {
	*queue.Queue
	mu   sync.Mutex
	told []queue.Event
}

func openParked(t *testing.T, path string, o queue.Options) *parked {
	t.Helper()
	p := &parked{}
	o.Poll, o.DelayWarning = -1, max(o.DelayWarning, -1)
	o.Observe = func(events []queue.Event) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.told = append(p.told, events...)
	}
	p.Queue = open(t, path, o)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func (p *parked) run(t *testing.T) {
	t.Helper()
	run(t, p.Queue, func(d *transport.Delivery) transport.Report {
		if d.Origin.Via == transport.ViaBounce {
			return d.All(transport.Outcome{Hold: true})
		}
		return d.All(transport.Outcome{RetryAfter: 9 * 24 * time.Hour})
	})
}

// count says how often something was told about a recipient.
func (p *parked) count(kind queue.Kind, recipient string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, e := range p.told {
		if e.Kind == kind && e.Recipient == recipient {
			n++
		}
	}
	return n
}

func TestWhatIsLeftOfALargeMessageThatExpiredIsSwept(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		p := openParked(t, path, queue.Options{Lifetime: time.Hour})
		m := message("carol@far.test")
		m.Envelope.Recipients[0].Notify = transport.NotifyNever
		if _, err := p.Enqueue(t.Context(), m, strings.NewReader(strings.Repeat("0123456789\r\n", 100_000))); err != nil {
			t.Fatal(err)
		}
		p.run(t)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := p.count(queue.Expired, "carol@far.test"); n != 1 {
			t.Errorf("%d expired", n)
		}
		if n := count(t, p.Queue, `SELECT (SELECT count(*) FROM panelmail_upload) + (SELECT count(*) FROM panelmail_chunk)`); n != 0 {
			t.Errorf("%d rows are left of its content", n)
		}
	})
}

func TestWarningsDoNotHideWhatExpires(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		p := openParked(t, path, queue.Options{DelayWarning: 4 * time.Hour, Lifetime: 5 * time.Hour, BounceLifetime: 4 * time.Hour})
		for range 600 {
			enqueue(t, p.Queue, "\r\n")
		}
		for range 10 {
			m := message("carol@far.test")
			m.Envelope.ReversePath = ""
			if _, err := p.Enqueue(t.Context(), m, strings.NewReader("\r\n")); err != nil {
				t.Fatal(err)
			}
		}
		p.run(t)
		time.Sleep(4*time.Hour + time.Minute)
		synctest.Wait()
		if n := p.count(queue.Expired, "carol@far.test"); n != 10 {
			t.Errorf("%d of 10 expired", n)
		}
		if n := len(ids(t, p.Queue)); n != 600 {
			t.Errorf("%d messages, want 600: mail that only waits for room warns nobody", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := p.count(queue.Expired, "bob@far.test"); n != 600 {
			t.Errorf("%d of 600 expired", n)
		}
	})
}

func TestAMessageOfManyRecipientsExpiresPageByPage(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		p := openParked(t, path, queue.Options{DelayWarning: -1})
		var to []string
		for i := range 1200 {
			to = append(to, fmt.Sprintf("u%d@%s.test", i, []string{"far", "near"}[i%2]))
		}
		if _, err := p.Enqueue(t.Context(), message(to...), strings.NewReader("\r\n")); err != nil {
			t.Fatal(err)
		}
		p.run(t)
		time.Sleep(6 * 24 * time.Hour)
		synctest.Wait()
		for _, r := range to {
			if n := p.count(queue.Expired, r); n != 1 {
				t.Fatalf("%s expired %d times", r, n)
			}
		}
		if n := len(ids(t, p.Queue)); n > 6 {
			t.Errorf("%d bounces for three pages of two lanes", n)
		}
	})
}

// TestWhatChangesBeforeItIsFailedIsLeftAlone changes a recipient in the moment
// between its reading and its failure.
func TestWhatChangesBeforeItIsFailedIsLeftAlone(t *testing.T) {
	bob := queue.Match{Recipient: "bob@far.test"}
	for _, c := range []struct {
		name   string
		change func(*testing.T, *queue.Queue) (int, error)
		want   queue.State
	}{
		{"hold", func(t *testing.T, q *queue.Queue) (int, error) { return q.Hold(t.Context(), bob) }, queue.OnHold},
		{"requeue", func(t *testing.T, q *queue.Queue) (int, error) { return q.Requeue(t.Context(), bob) }, queue.Waiting},
		{"remove", func(t *testing.T, q *queue.Queue) (int, error) { return q.Remove(t.Context(), bob) }, queue.Dead},
	} {
		for _, by := range []string{"expiry", "Fail"} {
			path := newPath(t)
			synctest.Test(t, func(t *testing.T) {
				p := openParked(t, path, queue.Options{DelayWarning: -1})
				queue.BeforeSettle(p.Queue, false, func() {
					if n, err := c.change(t, p.Queue); n != 1 || err != nil {
						t.Errorf("%s: %d messages, error %v", c.name, n, err)
					}
				})
				if _, err := p.Enqueue(t.Context(), message("bob@far.test", "carol@far.test"), strings.NewReader("\r\n")); err != nil {
					t.Fatal(err)
				}
				p.run(t)
				wait := 5*24*time.Hour + time.Hour
				if by == "Fail" {
					time.Sleep(time.Minute)
					wait = time.Hour
					if n, err := p.Fail(t.Context(), queue.Match{All: true}, ""); n != 1 || err != nil {
						t.Errorf("Fail: %d messages, error %v", n, err)
					}
				}
				time.Sleep(wait)
				synctest.Wait()
				kind := map[string]queue.Kind{"expiry": queue.Expired, "Fail": queue.Failed}[by]
				if n := p.count(kind, "bob@far.test"); n != 0 {
					t.Errorf("%s, then %s: failed nevertheless", c.name, by)
				}
				if n := p.count(kind, "carol@far.test"); n != 1 && c.name != "requeue" {
					t.Errorf("%s, then %s: the other recipient failed %d times", c.name, by, n)
				}
				var states []queue.State
				for e, err := range p.Entries(t.Context(), bob) {
					if err != nil {
						t.Fatal(err)
					}
					states = append(states, e.Recipients[0].State)
				}
				if want := c.want; want != queue.Dead && !slices.Equal(states, []queue.State{want}) {
					t.Errorf("%s, then %s: the recipient is %v", c.name, by, states)
				}
			})
		}
	}
}

// TestNobodyEscapesFail gives up a recipient in the moments in which an attempt
// has been judged, and before it is claimed.
func TestNobodyEscapesFail(t *testing.T) {
	for name, o := range map[string]transport.Outcome{
		"deferred": {Reply: transport.Replyf(451, "4.7.1", "later")},
		"no room":  {RetryAfter: time.Hour},
		"hold":     {Hold: true},
	} {
		for _, claimed := range []bool{false, true} {
			path := newPath(t)
			synctest.Test(t, func(t *testing.T) {
				p := openParked(t, path, queue.Options{DelayWarning: -1})
				enqueue(t, p.Queue, "\r\n")
				if claimed {
					queue.BeforeSettle(p.Queue, true, func() {
						if n, err := p.Fail(t.Context(), queue.Match{All: true}, ""); n != 1 || err != nil {
							t.Errorf("Fail: %d messages, error %v", n, err)
						}
					})
				} else { // as if Fail had ended after its first step
					fill(t, p.Queue, `UPDATE panelmail_recipient SET last = 'given up'`)
				}
				run(t, p.Queue, func(d *transport.Delivery) transport.Report {
					if d.Origin.Via == transport.ViaBounce {
						return d.All(delivered)
					}
					return d.All(o)
				})
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := p.count(queue.Failed, "bob@far.test"); n != 1 || len(ids(t, p.Queue)) != 0 {
					t.Errorf("%s, given up before the claim %v: failed %d times, left %v", name, !claimed, n, ids(t, p.Queue))
				}
			})
		}
	}
}

// TestMailThatWaitsForRoomExpires has lanes behind a destination that is busy for
// good: one whose mail was claimed before, and one that never had any room.
func TestMailThatWaitsForRoomExpires(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := openParked(t, path, queue.Options{})
		for _, to := range []string{"a@busy.test", "b@busy.test", "c@full.test"} {
			m := message(to)
			m.Lifetime = time.Hour
			mustEnqueue(t, q.Queue, m)
		}
		var busy atomic.Bool // what is seen to have room is claimed, and then refused
		runShaped(t, q.Queue, &shaped{
			Func: func(context.Context, *transport.Delivery) transport.Report {
				busy.Store(true)
				return nil
			},
			room: func(label string) transport.Room {
				if busy.Load() || label != "/busy.test" {
					return transport.Room{}
				}
				return transport.Room{Free: 1}
			},
		})
		time.Sleep(59 * time.Minute)
		for _, to := range []string{"a@busy.test", "b@busy.test", "c@full.test"} {
			if n := q.count(queue.Expired, to); n != 0 {
				t.Errorf("%s has expired early", to)
			}
		}
		time.Sleep(46 * time.Minute)
		for _, to := range []string{"a@busy.test", "b@busy.test", "c@full.test"} {
			if n := q.count(queue.Expired, to); n != 1 {
				t.Errorf("%s has expired %d times", to, n)
			}
		}
	})
}
