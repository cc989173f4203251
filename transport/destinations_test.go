package transport_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

// exchangers makes an MX set, all of one preference.
func exchangers(hosts ...string) []transport.MX {
	var all []transport.MX
	for _, h := range hosts {
		all = append(all, transport.MX{Preference: 10, Host: h})
	}
	return all
}

func TestNextHopsBehindTheSameExchangersAreOneDestination(t *testing.T) {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("mx%d.many.test", i))
	}
	zone := &zone{
		mx: map[string][]transport.MX{
			"a.test":       exchangers("mx2.host.test.", "MX1.host.test."),
			"b.test":       {{Preference: 20, Host: "mx1.host.test"}, {Preference: 10, Host: "mx2.host.test"}},
			"one.test":     exchangers("one-test.mail.protection.outlook.com."),
			"two.test":     exchangers("two-test.a-v1.mx.microsoft."),
			"live.test":    exchangers("live-test.olc.protection.outlook.com."),
			"g.test":       exchangers("aspmx.l.google.com", "alt1.aspmx.l.google.com", "aspmx2.googlemail.com"),
			"mixed.test":   exchangers("aspmx.l.google.com", "mx.mixed.test"),
			"forged.test":  exchangers("notgoogle.com", "google.com.forged.test"),
			"null.test":    exchangers("."),
			"literal.test": exchangers("192.0.2.1"),
			"many.test":    exchangers(many...),
		},
		err: map[string]error{"MX broken.test": servfail("broken.test")},
	}
	want := map[string]string{
		"a.test":          "mx1.host.test,mx2.host.test",
		"b.test":          "mx1.host.test,mx2.host.test",
		"A.TEST":          "mx1.host.test,mx2.host.test",
		"a.test:587":      "mx1.host.test,mx2.host.test:587",
		"one.test":        "*.mail.protection.outlook.com",
		"two.test":        "*.mail.protection.outlook.com",
		"live.test":       "*.olc.protection.outlook.com",
		"g.test":          "*.google.com",
		"mixed.test":      "*.google.com,mx.mixed.test",
		"forged.test":     "google.com.forged.test,notgoogle.com",
		"null.test":       "",
		"literal.test":    "",
		"many.test":       "",
		"none.test":       "",
		"broken.test":     "",
		"no host at all!": "",
		"":                "",
		"[a.test]":        "",
		"[a.test]:25":     "",
		"192.0.2.1":       "",
		"a.test, b.test":  "",
	}
	synctest.Test(t, func(t *testing.T) {
		d := &transport.Destinations{Resolver: zone}
		for nexthop := range want {
			if key := d.Key(nexthop); key != "" {
				t.Errorf("%s: %q is known from nowhere", nexthop, key)
			}
		}
		ctx, end := context.WithCancel(t.Context())
		go d.Run(ctx)
		synctest.Wait()
		got := map[string]string{}
		for nexthop := range want {
			got[nexthop] = d.Key(nexthop)
		}
		end()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// slowZone is a resolver that takes its time, and fails when it is told to.
type slowZone struct {
	takes time.Duration

	mu                sync.Mutex
	err               error
	host              string
	asked, busy, most int
}

func (z *slowZone) MX(ctx context.Context, domain string) ([]transport.MX, error) {
	z.mu.Lock()
	z.asked++
	z.busy++
	z.most = max(z.most, z.busy)
	z.mu.Unlock()
	select {
	case <-time.After(z.takes):
	case <-ctx.Done():
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.busy--
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return exchangers(z.host), z.err
}

func (z *slowZone) Addrs(context.Context, string) ([]netip.Addr, error) { panic("not asked") }

// counts is how many look-ups there were, and how many at once.
func (z *slowZone) counts() (asked, most int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked, z.most
}

func (z *slowZone) now(host string, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.host, z.err = host, err
}

func TestADestinationIsLookedUpAgainInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &slowZone{takes: time.Second, host: "old.test"}
		d := &transport.Destinations{Resolver: z}
		ctx, end := context.WithCancel(t.Context())
		go d.Run(ctx)
		defer end()
		steps := []struct {
			after time.Duration
			host  string
			err   error
			want  string
			asked int
		}{
			{0, "old.test", nil, "", 0},
			{time.Second, "new.test", nil, "old.test", 1},
			{59 * time.Minute, "new.test", nil, "old.test", 1},
			{time.Minute, "new.test", nil, "old.test", 1}, // an hour after the look-up; begins the next
			{2 * time.Second, "third.test", servfail("x.test"), "new.test", 2},
			{time.Hour, "third.test", servfail("x.test"), "new.test", 2},
			{2 * time.Second, "third.test", servfail("x.test"), "new.test", 3}, // the look-up failed: it stays
			{4 * time.Minute, "third.test", nil, "new.test", 3},
			{time.Minute, "third.test", nil, "new.test", 3}, // 5 minutes: begins the next
			{2 * time.Second, ".", nil, "third.test", 4},
			{time.Hour, ".", nil, "third.test", 4},
			{2 * time.Second, ".", nil, "", 5}, // there is none any more
			{4 * time.Minute, "back.test", nil, "", 5},
			{time.Minute, "back.test", nil, "", 5},
			{2 * time.Second, "back.test", nil, "back.test", 6},
		}
		for i, step := range steps {
			time.Sleep(step.after)
			synctest.Wait()
			z.now(step.host, step.err)
			asked, _ := z.counts()
			if got := d.Key("x.test"); got != step.want || asked != step.asked {
				t.Errorf("step %d: %q after %d look-ups, want %q after %d", i, got, asked, step.want, step.asked)
			}
		}
	})
}

func TestLookUpsAreBoundedAndEndWithRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		z := &slowZone{takes: time.Hour, host: "mx.test"}
		d := &transport.Destinations{Resolver: z, Lookups: 3, Timeout: 10 * time.Second}
		ask := func() {
			for i := range 5000 {
				if key := d.Key(fmt.Sprintf("d%d.test", i)); key != "" {
					t.Fatalf("%q is known from nowhere", key)
				}
			}
		}
		begun := time.Now()
		ask() // while nobody looks anything up
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			d.Run(ctx)
		}()
		ask()
		synctest.Wait()
		if asked, most := z.counts(); most != 3 || asked != 3 || time.Since(begun) > 0 {
			t.Errorf("%d look-ups, %d at once, after %v", asked, most, time.Since(begun))
		}
		time.Sleep(10*time.Second + 1)
		synctest.Wait()
		if asked, most := z.counts(); asked != 6 || most != 3 {
			t.Errorf("%d look-ups when three had their time, %d at once, want 6 and 3", asked, most)
		}
		end()
		<-ended
		ask()
	})
}

func TestOneLookUpIsEnoughForAllWhoAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &slowZone{takes: time.Second, host: "mx.test"}
		d := &transport.Destinations{Resolver: z}
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go d.Run(ctx)
		for range 100 {
			go func() {
				for d.Key("a.test") == "" {
					time.Sleep(100 * time.Millisecond)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		if asked, _ := z.counts(); asked != 1 {
			t.Errorf("%d look-ups", asked)
		}
	})
}

// A delivery counts in the lane it began in, whatever is found out meanwhile.
func TestADestinationThatChangesLosesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys sync.Map
		proceed := make(chan struct{})
		x := &transport.Dispatcher{
			Planner: &transport.Planner{Limit: 2, Destination: func(nexthop string) string {
				key, _ := keys.Load(nexthop)
				name, _ := key.(string)
				return name
			}},
			Transports: smtp(transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
				<-proceed
				return d.All(delivered)
			})),
		}
		rooms := func() string {
			synctest.Wait()
			var all []string
			for _, label := range []string{"/a.test", "/b.test", "/c.test"} {
				all = append(all, fmt.Sprint(x.Room(label).Free))
			}
			return strings.Join(all, " ")
		}
		go send(x, "a.test")
		go send(x, "a.test")
		before := rooms()
		keys.Store("a.test", "provider")
		keys.Store("b.test", "provider")
		go send(x, "a.test")
		during := rooms()
		for range 3 {
			proceed <- struct{}{}
		}
		if got := []string{before, during, rooms()}; !cmp.Equal(got, []string{"0 2 2", "1 1 2", "2 2 2"}) {
			t.Errorf("room %q", got)
		}
	})
}
