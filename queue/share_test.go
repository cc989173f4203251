package queue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A provider is one window that any number of lanes share. It does not say which do.
type provider struct {
	window int
	mu     sync.Mutex
	busy   int
	begun  int
	refuse int
	order  []string // the labels of what was delivered
}

func (p *provider) shaped() *shaped {
	return &shaped{Func: p.deliver, room: func(string) transport.Room {
		p.mu.Lock()
		defer p.mu.Unlock()
		return transport.Room{Free: p.window - p.busy}
	}}
}

func (p *provider) deliver(_ context.Context, d *transport.Delivery) transport.Report {
	p.mu.Lock()
	if p.busy >= p.window {
		p.refuse++
		p.mu.Unlock()
		return nil
	}
	p.busy++
	p.begun++
	took := time.Second + time.Duration(p.begun%17)*time.Millisecond
	p.mu.Unlock()
	time.Sleep(took)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	p.order = append(p.order, d.Label)
	return d.All(delivered)
}

// delivered returns the labels of what was delivered so far.
func (p *provider) delivered() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.order[:len(p.order):len(p.order)]
}

// TestALaneGetsItsTurnWhereAnotherKeepsTheWindowFull has two domains behind one
// provider.
func TestALaneGetsItsTurnWhereAnotherKeepsTheWindowFull(t *testing.T) {
	for _, window := range []int{1, 2, 5, 20} {
		t.Run(fmt.Sprint(window), func(t *testing.T) {
			path := newPath(t)
			synctest.Test(t, func(t *testing.T) {
				q := open(t, path, queue.Options{Poll: -1})
				defer q.Close()
				backlog := 60 + 7*window
				for range backlog {
					mustEnqueue(t, q, ofSite("big", "u@a.test"))
				}
				p := &provider{window: window}
				runShaped(t, q, p.shaped())
				time.Sleep(5500 * time.Millisecond)
				before := len(p.delivered())
				mustEnqueue(t, q, ofSite("small", "u@b.test"))
				time.Sleep(time.Duration(backlog+20) * time.Second)
				synctest.Wait()
				at := -1
				order := p.delivered()
				for i, label := range order {
					if label == "/b.test" {
						at = i
					}
				}
				// What is under way, and one more of the other lane.
				if at < 0 || at > before+2*window+2 {
					t.Errorf("delivered as number %d of %d; %d were when it came", at+1, len(order), before)
				}
				if len(order) != backlog+1 {
					t.Errorf("%d delivered", len(order))
				}
			})
		})
	}
}

// TestLanesBehindOneProviderTakeTurns has fifty of them, of which one was there before.
func TestLanesBehindOneProviderTakeTurns(t *testing.T) {
	for _, window := range []int{1, 5, 20} {
		t.Run(fmt.Sprint(window), func(t *testing.T) {
			path := newPath(t)
			synctest.Test(t, func(t *testing.T) {
				const domains, each = 50, 6
				q := open(t, path, queue.Options{Poll: -1})
				defer q.Close()
				p := &provider{window: window}
				for range each {
					mustEnqueue(t, q, message(manyDomains(domains)...))
				}
				runShaped(t, q, p.shaped())
				time.Sleep(domains * each * 1200 * time.Millisecond)
				synctest.Wait()
				order := p.delivered()
				if len(order) != domains*each {
					t.Errorf("%d delivered", len(order))
				}
				if ahead := mostAhead(order, domains); ahead > window+1 {
					t.Errorf("a lane had %d deliveries more than another", ahead)
				}
			})
		})
	}
}

// mostAhead is by how many deliveries a lane was ahead of another at most, of lanes
// that get as many each.
func mostAhead(order []string, lanes int) (most int) {
	n := map[string]int{}
	reached := map[int]int{} // how many lanes have had so many
	least := 0
	for _, label := range order {
		n[label]++
		reached[n[label]]++
		for reached[least+1] == lanes {
			least++
		}
		most = max(most, n[label]-least)
	}
	return most
}

// TestLanesOfOneDestinationTakeTurns has the real dispatcher: two domains behind one
// set of exchangers, and two sources of a transport with one delivery at a time for
// each destination. One lane has a backlog when mail comes in the other.
func TestLanesOfOneDestinationTakeTurns(t *testing.T) {
	for _, c := range []struct {
		name    string
		planner transport.Planner
		other   queue.Message
		window  int
	}{
		{"domains", transport.Planner{Destination: func(string) string { return "provider" }}, ofSite("b", "u@b.test"), 20},
		{"domains, one at a time", transport.Planner{Limit: 1, Destination: func(string) string { return "provider" }}, ofSite("b", "u@b.test"), 1},
		{"sources", transport.Planner{Default: transport.Route{Transport: "relaylim"}, Sources: bySite}, ofSite("b", "u@a.test"), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := newPath(t)
			synctest.Test(t, func(t *testing.T) {
				q := open(t, path, queue.Options{Poll: -1, Label: c.planner.Label})
				defer q.Close()
				const backlog, more = 80, 12
				for range backlog {
					mustEnqueue(t, q, ofSite("a", "u@a.test"))
				}
				p := &provider{window: 1000}
				runShaped(t, q, dispatched(&c.planner, p))
				time.Sleep(3500 * time.Millisecond)
				before := len(p.delivered())
				for range more {
					mustEnqueue(t, q, c.other)
				}
				time.Sleep((backlog + more) * 1100 * time.Millisecond)
				synctest.Wait()
				order, others := p.delivered(), 0
				for i, label := range order {
					if label != order[0] {
						// What is under way comes first, then each has every other turn.
						if others++; i > before+2*c.window+2*others {
							t.Errorf("message %d of the other lane delivered as number %d; %d were when it came", others, i+1, before)
						}
					}
				}
				if len(order) != backlog+more || others != more {
					t.Errorf("%d delivered, %d of them in the other lane", len(order), others)
				}
			})
		})
	}
}

// bySite has each site leave from an address of its own.
var bySite = transport.SourcerFunc(func(_ context.Context, q transport.Query) (transport.Source, string, bool, error) {
	return transport.Source{HELO: q.Origin.Site + ".test"}, "site", true, nil
})

// dispatched delivers to a provider through a dispatcher.
func dispatched(planner *transport.Planner, p *provider) *shaped {
	x := &transport.Dispatcher{Planner: planner, Transports: map[string]transport.Transport{"smtp": transport.Func(p.deliver)}}
	return &shaped{Func: x.Deliver, room: x.Room}
}

// TestProvidersAreNotInEachOthersWay has lanes behind several of them, which do not
// say who shares what, and one that is busy all by itself.
func TestProvidersAreNotInEachOthersWay(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		const providers, lanes, each, window = 6, 4, 6, 2
		q := open(t, path, queue.Options{Poll: -1})
		defer q.Close()
		all := map[string]*provider{}
		var to []string
		for i := range providers * lanes {
			domain := fmt.Sprintf("d%d.test", i)
			if i < providers {
				all["/"+domain] = &provider{window: window}
			} else {
				all["/"+domain] = all[fmt.Sprintf("/d%d.test", i%providers)]
			}
			to = append(to, "u@"+domain)
		}
		for range each {
			mustEnqueue(t, q, message(to...))
		}
		alone := &provider{window: 20}
		all["/alone.test"] = alone
		for range each * lanes / window * alone.window {
			mustEnqueue(t, q, message("u@alone.test"))
		}
		runShaped(t, q, &shaped{
			Func: func(ctx context.Context, d *transport.Delivery) transport.Report { return all[d.Label].deliver(ctx, d) },
			room: func(label string) transport.Room { return all[label].shaped().room(label) },
		})
		time.Sleep(each * lanes / window * 1070 * time.Millisecond)
		synctest.Wait()
		if left := ids(t, q); len(left) != 0 {
			t.Errorf("%d messages are left when each provider could have taken all of its own", len(left))
		}
	})
}

// TestLanesOfANamedLimitAreNotAllAsked has two hundred lanes wait for few places, more
// than memory may hold.
func TestLanesOfANamedLimitAreNotAllAsked(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, queue.Options{Poll: -1, Workers: 8})
		defer q.Close()
		const lanes, each, window = 200, 3, 4
		for range each {
			mustEnqueue(t, q, message(manyDomains(lanes)...))
		}
		p := &provider{window: window}
		s := p.shaped()
		free := s.room
		s.room = func(label string) transport.Room { return transport.Room{Free: free(label).Free, Limiter: "provider"} }
		runShaped(t, q, s)
		time.Sleep(20 * time.Second)
		s.mu.Lock()
		before := s.asked
		s.mu.Unlock()
		const deliveries = 100 * window
		time.Sleep(deliveries / window * time.Second)
		s.mu.Lock()
		if n := s.asked - before; n > 5*deliveries {
			t.Errorf("asked %d times in %d deliveries", n, deliveries)
		}
		s.mu.Unlock()
		time.Sleep(each * lanes * time.Second)
		synctest.Wait()
		if order := p.delivered(); len(order) != each*lanes || mostAhead(order, lanes) > window+1 {
			t.Errorf("%d delivered, a lane had %d more than another", len(order), mostAhead(order, lanes))
		}
	})
}
