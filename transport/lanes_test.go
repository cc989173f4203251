package transport

import (
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// ward checks lanes from outside: it knows who is under way by what it was told
// alone.
type ward struct {
	lanes  lanes
	busy   []place
	counts map[string]int
}

func (w *ward) keys(b *bounds) map[string]int {
	limits := map[string]int{}
	if b.windowed() {
		limits["lane "+b.lane.transport+" "+b.lane.key] = b.limit
	}
	if b.each > 0 {
		limits["destination "+b.quota.transport+" "+b.quota.key] = b.each
	}
	if b.processes > 0 {
		limits["transport "+b.quota.transport] = b.processes
	}
	return limits
}

// Whatever happens in whatever order, no limit is ever exceeded, room is told as it
// is, and when all is over every place is free again.
func TestNoLimitIsExceededAndNoPlaceIsLost(t *testing.T) {
	definitions := []Definition{
		{Name: "smtp"}, {Name: "one", Limit: 1}, {Name: "three", Limit: 3, InitialConcurrency: 7}, {Name: "serial", Processes: 2},
		{Name: "slow", RateDelay: time.Second}, {Name: "rated", Rate: 300, Limit: 4}, {Name: "open"},
	}
	rapid.Check(t, func(t *rapid.T) {
		w := ward{counts: map[string]int{}}
		now := time.Unix(1e9, 0)
		plan := func() (string, bounds) {
			d := rapid.SampledFrom(definitions).Draw(t, "transport")
			destination := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "destination")
			p := Plan{
				Transport: d.Name, Definition: d, Limit: 6, Initial: 3, Destination: destination,
				Lane: rapid.SampledFrom([]string{"x/", "y/"}).Draw(t, "source") + destination,
			}
			if own := d.limit(); own > 0 {
				p.Limit, p.Initial = own, min(3, own)
			}
			if d.Name == "open" {
				p.Limit, p.Initial = 0, 0
			}
			return p.Lane + d.Name, p.bounds(10 * time.Second)
		}
		guess := func(label string) bounds { return bounds{lane: load{key: label}, limit: 6, initial: 3, cohorts: 1} }
		t.Repeat(map[string]func(*rapid.T){
			"admit": func(t *rapid.T) {
				label, b := plan()
				p, room := w.lanes.admit(label, b, now)
				if after := w.lanes.room(label, guess, now); room.Free > 0 && room.Free < everything && after.Free > room.Free-1 {
					t.Fatalf("room for %d after one of %d", after.Free, room.Free)
				}
				if room.Free < 1 {
					return
				}
				w.busy = append(w.busy, p)
				for key, limit := range w.keys(&b) {
					if w.counts[key]++; w.counts[key] > limit {
						t.Fatalf("%s: %d under way, limit %d", key, w.counts[key], limit)
					}
				}
			},
			"release": func(t *rapid.T) {
				if len(w.busy) == 0 {
					t.Skip("nothing under way")
				}
				i := rapid.IntRange(0, len(w.busy)-1).Draw(t, "which")
				found := rapid.SampledFrom([]finding{nothing, reached, unreachable, unreachable}).Draw(t, "found")
				w.release(i, found, now)
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 15_000).Draw(t, "milliseconds")) * time.Millisecond)
			},
			"revive": func(t *rapid.T) {
				label, _ := plan()
				w.lanes.revive(label, guess)
			},
			"": func(t *rapid.T) {
				for key, x := range w.lanes.windows.young {
					if x.busy != w.counts["lane "+key.transport+" "+key.key] || !x.dead && (x.size < 1 || x.size > 6) {
						t.Fatalf("%v: %+v", key, *x)
					}
				}
			},
		})
		for len(w.busy) > 0 {
			w.release(0, nothing, now)
		}
		now = now.Add(time.Minute)
		for range 20 {
			label, b := plan()
			w.lanes.labels.put(label, b)
			want := everything
			for _, limit := range w.keys(&b) {
				want = min(want, limit)
			}
			if b.windowed() {
				want = min(want, b.initial)
			}
			if b.spacing > 0 {
				want = min(want, b.burst)
			}
			if got := w.lanes.room(label, guess, now); got.Free != want {
				t.Fatalf("%s: room for %d when all is over, want %d", label, got.Free, want)
			}
		}
	})
}

func (w *ward) release(i int, found finding, now time.Time) {
	p := w.busy[i]
	w.busy = append(w.busy[:i], w.busy[i+1:]...)
	p.release(found, Reply{Code: 451}, now)
	for key := range w.keys(&p.bounds) {
		w.counts[key]--
	}
}

// Neither mail that never comes back to a lane nor an outage of many destinations takes
// more memory than is allowed. Who is under way is never forgotten, and in ordinary
// times what lasts is not either.
func TestTheMemoryForLanesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lanes
		now := time.Now()
		at := func(lane string, delay time.Duration) bounds {
			return bounds{lane: load{key: lane}, limit: 20, initial: 1, cohorts: 1, rest: time.Hour,
				quota: load{"slow", lane}, each: 20, delay: delay}
		}
		deliver := func(lane string, delay time.Duration, found finding) {
			p, r := l.admit(lane, at(lane, delay), now)
			if r.Free < 1 {
				t.Fatalf("%s has no room", lane)
			}
			p.release(found, Reply{Code: 451}, now)
		}
		busy, _ := l.admit("busy", at("busy", 0), now)
		deliver("dead", 0, unreachable)
		deliver("paused", time.Minute, reached)
		for i := range 3 * maxLanes {
			deliver(strconv.Itoa(i), 0, reached)
		}
		for _, lane := range []string{"dead", "paused"} {
			guess := func(label string) bounds { return at(label, time.Minute) }
			if r := l.room(lane, guess, now); r.Until.IsZero() {
				t.Errorf("that a destination is %s is forgotten", lane)
			}
		}
		for i := range 6 * maxLanes {
			deliver(fmt.Sprint("out", i), time.Minute, unreachable)
		}
		for name, n := range map[string]int{
			"windows": len(l.windows.young) + len(l.windows.old),
			"quotas":  len(l.quotas.young) + len(l.quotas.old),
			"labels":  len(l.labels.young) + len(l.labels.old),
		} {
			if n > 4*maxLanes+1 {
				t.Errorf("%d %s are remembered", n, name)
			}
		}
		if w, _ := l.windows.get(load{key: "busy"}); w != busy.window {
			t.Error("a delivery under way is forgotten")
		}
		busy.release(reached, Reply{}, now)
	})
}

func BenchmarkLanes(b *testing.B) {
	plans := map[string]Plan{
		"smtp":   {Transport: "smtp", Definition: Definition{Name: "smtp"}, Limit: 20, Initial: 5},
		"shaped": {Transport: "slow", Definition: Definition{Name: "slow", Limit: 5, Processes: 50, Rate: 1 << 30}, Limit: 5, Initial: 5},
	}
	for name, plan := range plans {
		b.Run(name, func(b *testing.B) {
			const lanesAtOnce = 1000
			var l lanes
			var labels [lanesAtOnce]string
			var all [lanesAtOnce]Plan
			for i := range all {
				all[i] = plan
				all[i].Destination = fmt.Sprintf("mx%d.provider.example", i)
				all[i].Lane = "192.0.2.1,,mail.example/" + all[i].Destination
				labels[i] = "192.0.2.1,,mail.example/" + fmt.Sprintf("d%d.example", i)
			}
			guess := func(string) bounds { return bounds{} }
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				n := i % lanesAtOnce
				now := time.Now()
				l.room(labels[n], guess, now)
				p, _ := l.admit(labels[n], all[n].bounds(defaultRest), now)
				p.release(reached, Reply{}, now)
			}
		})
	}
}
