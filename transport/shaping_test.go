package transport_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

var refused = transport.Outcome{
	Reply: transport.Replyf(451, "4.4.1", "connect to mx.a.test[192.0.2.1]:25: connection refused"), Destination: true,
}

var suspended = transport.Replyf(451, "4.4.1",
	"delivery temporarily suspended: connect to mx.a.test[192.0.2.1]:25: connection refused")

// world answers deliveries by the domain of the first recipient and remembers when
// they began. Each takes a while.
type world struct {
	takes   time.Duration
	answers map[string]transport.Outcome // delivered, where there is none

	mu    sync.Mutex
	begun map[string][]time.Time
	busy  map[string]int
	most  map[string]int // at once, by domain; "" is all of them
}

func (w *world) Deliver(_ context.Context, d *transport.Delivery) transport.Report {
	_, domain, _ := strings.Cut(d.Envelope.Recipients[0].Address, "@")
	w.count(domain, 1)
	time.Sleep(w.takes)
	w.count(domain, -1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if o, ok := w.answers[domain]; ok {
		return d.All(o)
	}
	return d.All(delivered)
}

func (w *world) count(domain string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun == nil {
		w.begun, w.busy, w.most = map[string][]time.Time{}, map[string]int{}, map[string]int{}
	}
	if n > 0 {
		w.begun[domain] = append(w.begun[domain], time.Now())
	}
	for _, key := range []string{domain, ""} {
		w.busy[key] += n
		w.most[key] = max(w.most[key], w.busy[key])
	}
}

// attempts is how many deliveries to a domain have begun.
func (w *world) attempts(domain string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.begun[domain])
}

// gaps are the times between the beginnings of deliveries to a domain.
func (w *world) gaps(domain string) []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []time.Duration
	for i := 1; i < len(w.begun[domain]); i++ {
		all = append(all, w.begun[domain][i].Sub(w.begun[domain][i-1]))
	}
	return all
}

// send delivers a message to a domain under the label of its lane.
func send(x *transport.Dispatcher, domain string) transport.Outcome {
	d := delivery("u@" + domain)
	d.Label = "/" + domain
	return x.Deliver(context.Background(), d)[0]
}

// persist sends n messages at once, each again as soon as it is told that there is
// room, until all of them were tried.
func persist(x *transport.Dispatcher, domain string, n int) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for {
				o := send(x, domain)
				if !o.NotTried() {
					return
				}
				time.Sleep(o.RetryAfter)
			}
		})
	}
	wg.Wait()
}

// by sends everything by a transport of this definition.
func by(d transport.Definition) *transport.Planner {
	p := &transport.Planner{Transports: transport.Builtin(), Default: transport.Route{Transport: d.Name}}
	p.Transports[d.Name] = d
	return p
}

// Fourteen messages to a destination that refuses connections: Postfix tries three
// of them.
func TestThreeFailuresToConnectKillADestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{answers: map[string]transport.Outcome{"a.test": refused}}
		x := &transport.Dispatcher{Transports: smtp(w)}
		var got []transport.Outcome
		for range 14 {
			got = append(got, send(x, "a.test"))
		}
		var want []transport.Outcome
		for range 3 {
			want = append(want, refused)
		}
		for range 11 {
			want = append(want, transport.Outcome{RetryAfter: 5 * time.Minute})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		room := transport.Room{Until: time.Now().Add(5 * time.Minute), Reply: suspended}
		if diff := cmp.Diff(room, x.Room("/a.test")); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Minute)
		if o := send(x, "a.test"); o.RetryAfter != 4*time.Minute {
			t.Errorf("a minute later: %+v", o)
		}
	})
}

func TestARefusedMessageIsNoSignOfADeadDestination(t *testing.T) {
	unresolved := transport.Outcome{Reply: transport.Replyf(451, "4.4.3", "Host not found, try again"), Local: true}
	unknown := transport.Outcome{Reply: transport.Replyf(550, "5.4.4", "Host not found")}
	noTLS := transport.Outcome{Reply: transport.Replyf(502, "5.5.1", "no TLS"), Host: "mx.test", Destination: true}
	lost := transport.Outcome{Reply: transport.Replyf(451, "4.4.2", "lost connection at end of data"), Uncertain: true}
	for name, o := range map[string]transport.Outcome{
		"450 at RCPT": deferred, "550 at RCPT": failed, "trouble with the DNS": unresolved, "no such domain": unknown,
		"refused for good": noTLS, "lost after the content": lost, "not tried": {},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{answers: map[string]transport.Outcome{"a.test": o}}
			x := &transport.Dispatcher{Transports: smtp(w)}
			for range 10 {
				send(x, "a.test")
			}
			if n, room := w.attempts("a.test"), x.Room("/a.test"); n != 10 || room.Free < 5 {
				t.Errorf("%d of 10 tried, then %+v", n, room)
			}
		})
	}
}

// The window after each of a row of deliveries: g got through, b did not, m has
// recipients for whom a host could not be reached and one whom a host refused.
func TestTheWindowFollowsWhatDeliveriesFind(t *testing.T) {
	tests := []struct {
		name       string
		definition transport.Definition
		deliveries string
		want       []int
	}{
		{"three failures", transport.Definition{}, "bbb", []int{3, 2, 0}},
		{"growth without use is bounded", transport.Definition{}, "ggg", []int{6, 6, 6}},
		{"a success forgives", transport.Definition{}, "bbgbb", []int{3, 2, 3, 1, 0}},
		{"whoever heard a host out has reached it", transport.Definition{}, "bbmbmbm", []int{3, 2, 3, 1, 2, 1, 2}},
		{"a window of its own", transport.Definition{InitialConcurrency: 2}, "gbb", []int{3, 1, 0}},
		{"one at a time", transport.Definition{Limit: 1}, "bbbbbbbbgbbbbbbbbbb",
			[]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0}},
		{"one at a time at first", transport.Definition{InitialConcurrency: 1}, "bbbbbbbbbb", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 0}},
		{"one cohort of one", transport.Definition{Limit: 1, FailedCohortLimit: 1}, "b", []int{0}},
		{"two cohorts", transport.Definition{FailedCohortLimit: 2}, "bbbb", []int{3, 2, 1, 0}},
		{"never dead", transport.Definition{FailedCohortLimit: -1}, "bbbbb", []int{3, 2, 1, 1, 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var next transport.Report
			test.definition.Name, test.definition.Base = "own", "smtp"
			x := &transport.Dispatcher{Planner: by(test.definition), Transports: smtp(transport.Func(
				func(context.Context, *transport.Delivery) transport.Report { return next }))}
			reports := map[rune]transport.Report{
				'g': {delivered, delivered}, 'b': {refused, refused}, 'm': {refused, deferred},
			}
			var got []int
			for _, kind := range test.deliveries {
				next = reports[kind]
				d := delivery("u@a.test", "v@a.test")
				d.Label = "/a.test"
				x.Deliver(t.Context(), d)
				got = append(got, x.Room("/a.test").Free)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheWindowGrowsToTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{takes: time.Second}
		x := &transport.Dispatcher{Transports: smtp(w)}
		persist(x, "a.test", 400)
		if w.most["a.test"] != 20 {
			t.Errorf("%d at once, want 20", w.most["a.test"])
		}
		if diff := cmp.Diff([]time.Duration{0, 0, 0, 0, time.Second}, w.gaps("a.test")[:5]); diff != "" {
			t.Errorf("not five at once at first: %s", diff)
		}
		time.Sleep(5 * time.Minute)
		if room := x.Room("/a.test").Free; room != 5 {
			t.Errorf("room for %d after a long rest, want 5", room)
		}
	})
}

func TestADeadDestinationIsTriedAgainWithAWindowOfProbes(t *testing.T) {
	for name, revive := range map[string]func(x *transport.Dispatcher){
		"in time":     func(*transport.Dispatcher) { time.Sleep(10 * time.Minute) },
		"by a person": func(x *transport.Dispatcher) { x.Revive("/a.test") },
		"by a person who has another label of it": func(x *transport.Dispatcher) { x.Revive("/b.test") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{answers: map[string]transport.Outcome{"a.test": refused}, takes: time.Second}
				x := &transport.Dispatcher{
					Planner:    &transport.Planner{Destination: func(string) string { return "provider" }},
					Transports: smtp(w), Rest: 10 * time.Minute,
				}
				for range 4 {
					send(x, "a.test")
				}
				revive(x)
				if room := x.Room("/a.test"); room.Free != 5 {
					t.Errorf("room %+v, want 5", room)
				}
				for range 50 {
					go send(x, "a.test")
				}
				synctest.Wait()
				if n := w.attempts("a.test"); n != 3+5 {
					t.Errorf("%d probes, want 5", n-3)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if room := x.Room("/a.test"); room.Free > 0 || room.Until.IsZero() {
					t.Errorf("after the probes %+v", room)
				}
			})
		})
	}
}

// A delivery that began before the destination died and gets through shows that it
// lives.
func TestADeadDestinationIsRevivedByASuccessUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan transport.Outcome)
		x := &transport.Dispatcher{Transports: smtp(transport.Func(
			func(_ context.Context, d *transport.Delivery) transport.Report { return d.All(<-proceed) }))}
		for range 5 {
			go send(x, "a.test")
		}
		died := time.Now().Add(3 * time.Second)
		want := []transport.Room{
			{Free: -1, Limiter: "/a.test"}, {Free: -1, Limiter: "/a.test"}, // windows of 3 and 2
			{Until: died.Add(5 * time.Minute), Reply: suspended},
			{Until: died.Add(5 * time.Minute), Reply: suspended}, // one more failure makes it no later
			{Free: 1, Limiter: "/a.test"},                        // a window of 1, as many as were under way
		}
		var got []transport.Room
		for _, o := range []transport.Outcome{refused, refused, refused, refused, delivered} {
			time.Sleep(time.Second)
			proceed <- o
			synctest.Wait()
			got = append(got, x.Room("/a.test"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOneshotWaitsForADeadDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{answers: map[string]transport.Outcome{"a.test": refused}}
		x := &transport.Dispatcher{
			Planner:    &transport.Planner{Default: transport.Route{Transport: "oneshot"}},
			Transports: smtp(w),
		}
		for n := range 5 {
			if o := send(x, "a.test"); o.Failed() != (n < 3) || o.NotTried() != (n >= 3) {
				t.Errorf("message %d: %+v", n, o)
			}
		}
	})
}

func TestRelaylimIsOneForEachDestination(t *testing.T) {
	for _, test := range []struct {
		transport string
		most      int
	}{{"relaylim", 3}, {"relaylim-apiscp", 1}} {
		t.Run(test.transport, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{takes: time.Second}
				x := &transport.Dispatcher{
					Planner:    &transport.Planner{Default: transport.Route{Transport: test.transport}},
					Transports: smtp(w),
				}
				var wg sync.WaitGroup
				for _, domain := range []string{"a.test", "b.test", "c.test"} {
					wg.Go(func() { persist(x, domain, 8) })
				}
				wg.Wait()
				if w.most["a.test"] != 1 || w.most[""] != test.most {
					t.Errorf("%d at once to one destination and %d in all, want 1 and %d", w.most["a.test"], w.most[""], test.most)
				}
			})
		})
	}
}

func TestARateDelayIsAPauseAfterEachDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{takes: time.Second}
		slow := transport.Definition{Name: "slow", Base: "smtp", RateDelay: 2 * time.Second, Limit: 10}
		x := &transport.Dispatcher{Planner: by(slow), Transports: smtp(w), RetryAfter: time.Second}
		send(x, "a.test")
		want := transport.Room{Until: time.Now().Add(2 * time.Second)}
		if diff := cmp.Diff(want, x.Room("/a.test")); diff != "" {
			t.Error(diff)
		}
		if o := send(x, "a.test"); o.RetryAfter != 2*time.Second {
			t.Errorf("handed back with %v", o.RetryAfter)
		}
		persist(x, "a.test", 3)
		gap := 3 * time.Second
		if diff := cmp.Diff([]time.Duration{gap, gap, gap}, w.gaps("a.test")); diff != "" {
			t.Error(diff)
		}
		if o := send(x, "b.test"); !o.Delivered() {
			t.Errorf("another destination: %+v", o)
		}
	})
}

func TestARateSpreadsDeliveriesOverItsInterval(t *testing.T) {
	tests := []struct {
		name       string
		definition transport.Definition
		messages   int
		want       time.Duration // until the last begins
		together   int           // at first
	}{
		{"six a minute", transport.Definition{Rate: 6}, 13, 2 * time.Minute, 1},
		{"1800 an hour", transport.Definition{Rate: 1800, RateInterval: time.Hour}, 31, time.Minute, 1},
		{"four a second", transport.Definition{Rate: 240}, 44, 10 * time.Second, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{}
				test.definition.Name, test.definition.Base = "slow", "smtp"
				test.definition.InitialConcurrency = 20
				x := &transport.Dispatcher{Planner: by(test.definition), Transports: smtp(w)}
				begun, together := time.Now(), 0
				for sent := 0; sent < test.messages; {
					o := send(x, "a.test")
					if !o.NotTried() {
						sent++
						continue
					}
					if together == 0 {
						together = sent
					}
					if until := x.Room("/a.test").Until; time.Until(until) != o.RetryAfter {
						t.Fatalf("room at %v, handed back with %v", until, o.RetryAfter)
					}
					time.Sleep(o.RetryAfter)
				}
				if took := time.Since(begun); took != test.want || together != test.together {
					t.Errorf("took %v, %d together, want %v and %d", took, together, test.want, test.together)
				}
			})
		})
	}
}
