package queue_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

const (
	hour     = time.Hour
	together = 20 // deliveries at once to a destination
)

// An outage is a queue that delivers through a Dispatcher to a world of which one
// domain, far.test, does not do as it should.
type outage struct {
	*testing.T
	q     *queue.Queue
	start time.Time

	mu       sync.Mutex
	trouble  transport.Outcome // for far.test; zero: none
	attempts map[string][]time.Duration
	taken    []string
	final    map[string][]queue.Kind
	bounces  int
	bounce   string // the latest
}

func newOutage(t *testing.T, path string, trouble transport.Outcome) *outage {
	x := &outage{T: t, start: time.Now(), trouble: trouble, attempts: map[string][]time.Duration{}, final: map[string][]queue.Kind{}}
	planner := &transport.Planner{Limit: together}
	x.q = open(t, path, queue.Options{Poll: -1, DelayWarning: -1, Label: planner.Label, Observe: x.observe})
	t.Cleanup(func() { _ = x.q.Close() })
	dispatcher := &transport.Dispatcher{Planner: planner, Transports: map[string]transport.Transport{"smtp": transport.Func(x.deliver)}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- x.q.Run(ctx, dispatcher) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return x
}

func (x *outage) observe(events []queue.Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range events {
		if e.Kind.Final() && strings.HasSuffix(e.Recipient, "@far.test") {
			x.final[e.Recipient] = append(x.final[e.Recipient], e.Kind)
		}
	}
}

// deliver is the world.
func (x *outage) deliver(ctx context.Context, d *transport.Delivery) transport.Report {
	x.mu.Lock()
	defer x.mu.Unlock()
	to := d.Envelope.Recipients[0].Address
	if !strings.HasSuffix(to, "@far.test") {
		x.bounces++
		if r, err := d.Open(ctx); err == nil {
			text, _ := io.ReadAll(r)
			x.bounce = string(text)
		}
		return d.All(delivered)
	}
	x.attempts[to] = append(x.attempts[to], time.Since(x.start))
	if x.trouble != (transport.Outcome{}) {
		return d.All(x.trouble)
	}
	if d.Attempt == 1 {
		x.taken = append(x.taken, to)
	}
	return d.All(transport.Outcome{Reply: delivered.Reply, Host: "mx.far.test"})
}

func (x *outage) set(trouble transport.Outcome) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.trouble = trouble
}

// store stores messages of each site, numbered within it.
func (x *outage) store(sites, from, to int) {
	x.Helper()
	var all sync.WaitGroup
	for site := range sites {
		all.Go(func() {
			for i := from; i < to; i++ {
				m := message(fmt.Sprintf("s%d-%06d@far.test", site, i))
				m.Envelope.ReversePath = fmt.Sprintf("me@site%d.test", site)
				m.Origin.Site = fmt.Sprint(site)
				if _, err := x.q.Enqueue(x.Context(), m, strings.NewReader("Subject: x\r\n\r\n")); err != nil {
					x.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// until lets time pass until so long after the start.
func (x *outage) until(d time.Duration) {
	time.Sleep(d - time.Since(x.start))
	synctest.Wait()
}

// ended checks that each recipient came to one end, counts the ends, and that
// nothing is left.
func (x *outage) ended(recipients int) map[queue.Kind]int {
	x.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	count := map[queue.Kind]int{}
	for to, kinds := range x.final {
		if len(kinds) != 1 {
			x.Errorf("%s came to the ends %v", to, kinds)
		}
		count[kinds[0]]++
	}
	if len(x.final) != recipients {
		x.Errorf("%d of %d recipients came to an end", len(x.final), recipients)
	}
	if left := ids(x.T, x.q); len(left) != 0 {
		x.Errorf("%d messages are left", len(left))
	}
	return count
}

// fewerIfShort is a fifth of n if tests are to be short.
func fewerIfShort(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}

// TestFiveDaysWithoutTheDestinationOfTwentyThousandMessages has a destination that
// refuses connections. A tenth of the mail expires before it is back.
func TestFiveDaysWithoutTheDestinationOfTwentyThousandMessages(t *testing.T) {
	const sites = 50
	all, early := fewerIfShort(20_000), fewerIfShort(2_000)
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		dead := transport.Outcome{Reply: transport.Replyf(451, "4.4.1", "connect to mx.far.test: connection refused"), Destination: true}
		x := newOutage(t, path, dead)
		x.store(sites, 0, early/sites)
		x.until(12 * hour)
		x.store(sites, early/sites, all/sites)
		x.until(5*24*hour + hour)
		tried := 0
		for _, when := range x.attempts {
			tried += len(when)
		}
		// After three failures of five that may be under way there are five minutes
		// of rest.
		if most := 5 * (121*12 + 1); tried > most || tried < most/5 {
			t.Errorf("%d attempts in 121 hours, want up to %d", tried, most)
		}
		x.set(transport.Outcome{})
		x.until(5*24*hour + 6*hour)
		ends := x.ended(all)
		if ends[queue.Expired]+ends[queue.Delivered] != all || ends[queue.Expired] < early || ends[queue.Expired] > early+early/100 {
			t.Errorf("ends: %v", ends)
		}
		if x.bounces < early/sites || x.bounces > ends[queue.Expired] {
			t.Errorf("%d bounces for %d failures", x.bounces, ends[queue.Expired])
		}
		if !strings.Contains(x.bounce, "connection refused") {
			t.Errorf("a bounce does not say why:\n%s", x.bounce)
		}
		// What goes together may change places, and nothing else.
		latest := map[string]int{}
		for _, to := range x.taken {
			var site, n int
			if _, err := fmt.Sscanf(to, "s%d-%d@", &site, &n); err != nil {
				t.Fatal(err)
			}
			of := fmt.Sprint(site)
			if n < latest[of]-together {
				t.Fatalf("%s was delivered after number %d", to, latest[of])
			}
			latest[of] = max(latest[of], n)
		}
	})
}

// TestFiveDaysOfDeferralsOfFiveHundredMessages has a destination that talks, and
// takes nothing: each message keeps to its own schedule.
func TestFiveDaysOfDeferralsOfFiveHundredMessages(t *testing.T) {
	const sites = 5
	all, early := fewerIfShort(500), fewerIfShort(250)
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		later := transport.Outcome{Reply: transport.Replyf(451, "4.3.0", "not now"), Host: "mx.far.test"}
		x := newOutage(t, path, later)
		x.store(sites, 0, early/sites)
		x.until(12 * hour)
		x.store(sites, early/sites, all/sites)
		x.until(5*24*hour + 5*hour)
		for to, when := range x.attempts {
			if n := len(when); n < 25 || n > 45 {
				t.Errorf("%s was tried %d times", to, n)
			}
			for i := 1; i < len(when); i++ {
				if gap := when[i] - when[i-1]; gap < 4*time.Minute {
					t.Errorf("%s was tried again after %v", to, gap)
				}
			}
		}
		x.set(transport.Outcome{})
		x.until(6 * 24 * hour)
		if ends := x.ended(all); ends[queue.Expired] != early || ends[queue.Delivered] != all-early || x.bounces != early {
			t.Errorf("ends: %v, %d bounces", ends, x.bounces)
		}
	})
}
