package mailcore

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestATallyForgetsOneEventAfterAnother(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tally := tally[string]{}
	for range 3 {
		tally.add("a", time.Minute, now)
	}
	for after, want := range map[time.Duration]int{
		0: 3, time.Second: 3, time.Minute - 1: 3, time.Minute: 2, 2 * time.Minute: 1, 3*time.Minute - 1: 1, 3 * time.Minute: 0, time.Hour: 0,
	} {
		if got := tally.count("a", time.Minute, now.Add(after)); got != want {
			t.Errorf("after %v: %d, want %d", after, got, want)
		}
	}
	if got := tally.count("b", time.Minute, now); got != 0 {
		t.Errorf("of another key: %d", got)
	}
}

func TestAFullTallyKeepsTheWorstOffenders(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tally := tally[int]{}
	for range 10 {
		tally.add(-1, time.Minute, now)
	}
	for i := range 3 * maxTallied {
		tally.add(i, time.Minute, now.Add(time.Duration(i)*time.Millisecond))
		if len(tally) > maxTallied {
			t.Fatalf("%d keys", len(tally))
		}
	}
	if got := tally.count(-1, time.Minute, now.Add(time.Minute)); got != 9 {
		t.Errorf("the offender has %d failures, want 9", got)
	}
}

func TestATallyOfOneInstantIsBoundedToo(t *testing.T) {
	tally := tally[int]{}
	for i := range 2 * maxTallied {
		tally.add(i, time.Minute, time.Unix(0, 0))
	}
	if n := len(tally); n > maxTallied || n < maxTallied/2 {
		t.Errorf("%d keys", n)
	}
}

func TestWhatIsFamiliarIsBoundedAndGrowsOld(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := familiar{}
	home, login := netip.MustParseAddr("192.0.2.1"), keyOfLogin("Me@Shop.example", "")
	f.remember(login, home, now)
	if !f.knows(keyOfLogin("me@shop.example", ""), home, now.Add(familiarFor-1)) || f.knows(login, home, now.Add(familiarFor)) {
		t.Error("not forgotten after its time")
	}
	addr := netip.MustParseAddr("198.51.100.0")
	for range maxFamiliarClients - 1 {
		addr = addr.Next()
		f.remember(login, addr, now)
	}
	f.remember(login, home, now) // seen again: not the oldest any more
	f.remember(login, addr.Next(), now)
	if !f.knows(login, home, now) || f.knows(login, netip.MustParseAddr("198.51.100.1"), now) || len(f[login]) != maxFamiliarClients {
		t.Errorf("remembered: %v", f[login])
	}
	for i := range 2 * maxFamiliarLogins {
		key := loginKey{byte(i), byte(i >> 8), byte(i >> 16), 1}
		f.remember(key, home, now.Add(time.Duration(i)))
		if len(f) > maxFamiliarLogins {
			t.Fatalf("%d logins", len(f))
		}
	}
	last := 2*maxFamiliarLogins - 1
	if !f.knows(loginKey{byte(last), byte(last >> 8), byte(last >> 16), 1}, home, now) {
		t.Error("the newest was forgotten")
	}
}

func TestAnIPv6NetworkIsOneClient(t *testing.T) {
	for a, b := range map[string]string{
		"2001:db8::1":      "2001:db8::ffff:2",
		"::ffff:192.0.2.1": "192.0.2.1",
		"fe80::1%eth0":     "fe80::2",
	} {
		if got, want := guarded(netip.MustParseAddr(a)), guarded(netip.MustParseAddr(b)); got != want {
			t.Errorf("%s counts as %v, %s as %v", a, got, b, want)
		}
	}
	if guarded(netip.MustParseAddr("192.0.2.1")) == guarded(netip.MustParseAddr("192.0.2.2")) {
		t.Error("two IPv4 addresses count as one")
	}
	if guarded(netip.Addr{}).IsValid() {
		t.Error("no address became one")
	}
}

// TestTurnsGoRoundByClient fills the line of one client and sees that another
// comes to its turn after those of the first that stand before it, and a familiar
// one at once.
func TestTurnsGoRoundByClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, turns := newWatch(), make(chan struct{}, 1)
		flood, honest := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		const work = time.Second
		for range 100 {
			go func() {
				if leave, err := w.enter(t.Context(), turns, false, flood); err == nil {
					time.Sleep(work)
					leave()
				}
			}()
		}
		synctest.Wait()
		began := time.Now()
		leave, err := w.enter(t.Context(), turns, true, honest)
		if waited := time.Since(began); err != nil || waited != 0 {
			t.Errorf("a familiar client waited %v: %v", waited, err)
		}
		leave()
		leave, err = w.enter(t.Context(), turns, false, honest)
		if waited := time.Since(began); err != nil || waited > perClient*work {
			t.Errorf("an honest client waited %v: %v", waited, err)
		}
		leave()
		time.Sleep(2 * patience)
		synctest.Wait()
		if len(w.doors) != 0 || len(turns) != 0 {
			t.Errorf("left: %d doors, %d turns", len(w.doors), len(turns))
		}
	})
}

func TestNobodyWaitsForATurnForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, turns := newWatch(), make(chan struct{}, 1)
		leave, err := w.enter(t.Context(), turns, false, netip.MustParseAddr("192.0.2.1"))
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
		began := time.Now()
		if _, err := w.enter(t.Context(), turns, false, netip.MustParseAddr("192.0.2.2")); err != errBusy || time.Since(began) != patience {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestAMessageIsTakenWhenThereIsRoomForAllOfItsCopies(t *testing.T) {
	a, b := authorKey{1}, authorKey{2}
	w := newRewrittenWatch()
	for i, tt := range []struct {
		authors []authorKey
		want    bool
	}{
		{[]authorKey{a, a}, true},
		{[]authorKey{b, a, a}, false}, // a has room for one, and b is not counted
		{[]authorKey{b, b, b}, true},
		{[]authorKey{a}, true},
		{[]authorKey{a}, false},
	} {
		if got := w.take(3, tt.authors); got != tt.want {
			t.Errorf("message %d: %t, want %t", i, got, tt.want)
		}
	}
	if !w.take(-1, []authorKey{a, a}) {
		t.Error("there is a limit where none is wanted")
	}
}
