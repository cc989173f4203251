package sites

import (
	"testing"
	"time"
)

// TestAKeySignsNoSoonerThanAllHaveItsRecord takes one key
// through its life, by what is seen at each instant.
func TestAKeySignsNoSoonerThanAllHaveItsRecord(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	all, none := DKIMSighting{Good: 3}, DKIMSighting{Bad: 3}
	type look struct {
		after time.Duration // since the start
		seen  DKIMSighting
		want  DKIMState
	}
	for name, looks := range map[string][]look{
		"published at once": {
			{0, all, DKIMSeen},
			{3*time.Hour - time.Second, all, DKIMSeen},
			{3 * time.Hour, all, DKIMSigning},
		},
		"one server is late": {
			{0, none, DKIMPending},
			{time.Hour, DKIMSighting{Good: 2, Bad: 1}, DKIMPending},
			{30 * 24 * time.Hour, DKIMSighting{Good: 2, Bad: 1}, DKIMPending},
			{31 * 24 * time.Hour, all, DKIMSeen},
		},
		"what was there before is remembered for a day": {
			{0, DKIMSighting{Bad: 3, Wait: 24 * time.Hour}, DKIMPending},
			{time.Hour, DKIMSighting{Good: 3, Wait: time.Minute}, DKIMSeen},
			{24 * time.Hour, all, DKIMSeen},
			{25 * time.Hour, all, DKIMSigning},
		},
		"nothing is waited for longer than a week": {
			{0, DKIMSighting{Good: 3, Wait: 1000 * time.Hour}, DKIMSeen},
			{7*24*time.Hour - 1, all, DKIMSeen},
			{7 * 24 * time.Hour, all, DKIMSigning},
		},
		"a lame server holds it up for a week": {
			{0, DKIMSighting{Good: 2, Mute: 1}, DKIMPending},
			{7*24*time.Hour - 1, DKIMSighting{Good: 2, Mute: 1}, DKIMPending},
			{7 * 24 * time.Hour, DKIMSighting{Good: 2, Mute: 1}, DKIMSeen},
			{7*24*time.Hour + 3*time.Hour, DKIMSighting{Good: 2, Mute: 1}, DKIMSigning},
		},
		"the week begins when all others have it": {
			{0, DKIMSighting{Good: 1, Bad: 1, Mute: 1}, DKIMPending},
			{6 * 24 * time.Hour, DKIMSighting{Good: 2, Mute: 1}, DKIMPending},
			{8 * 24 * time.Hour, DKIMSighting{Good: 1, Bad: 1, Mute: 1}, DKIMPending},
			{9 * 24 * time.Hour, DKIMSighting{Good: 2, Mute: 1}, DKIMPending},
			{15 * 24 * time.Hour, DKIMSighting{Good: 2, Mute: 1}, DKIMPending},
			{16 * 24 * time.Hour, DKIMSighting{Good: 2, Mute: 1}, DKIMSeen},
		},
		"servers that say nothing are no sign": {
			{0, DKIMSighting{Mute: 3}, DKIMPending},
			{30 * 24 * time.Hour, DKIMSighting{Mute: 3}, DKIMPending},
			{30 * 24 * time.Hour, all, DKIMSeen},
			{31 * 24 * time.Hour, DKIMSighting{Mute: 3}, DKIMSeen},
			{31 * 24 * time.Hour, all, DKIMSigning},
			{32 * 24 * time.Hour, DKIMSighting{Mute: 3}, DKIMSigning},
		},
		"it went before anything was signed": {
			{0, all, DKIMSeen},
			{time.Hour, DKIMSighting{Good: 2, Bad: 1}, DKIMPending},
			{2 * time.Hour, all, DKIMSeen},
			{4 * time.Hour, all, DKIMSeen},
			{5 * time.Hour, all, DKIMSigning},
		},
		"it went while it signed": {
			{0, all, DKIMSeen},
			{3 * time.Hour, all, DKIMSigning},
			{4 * time.Hour, DKIMSighting{Good: 2, Bad: 1}, DKIMSigning},
			{5 * time.Hour, none, DKIMPending},
			{6 * time.Hour, all, DKIMSeen},
			{9 * time.Hour, all, DKIMSigning},
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := DKIMKey{State: DKIMPending, Created: start}
			for i, l := range looks {
				now := start.Add(l.after)
				if k.advance(l.seen, now); k.State != l.want {
					t.Fatalf("look %d: %s, want %s", i, k.State, l.want)
				}
				if !k.next.After(now) || k.next.After(now.Add(8*24*time.Hour)) {
					t.Errorf("look %d: the next one is at %v, now is %v", i, k.next, now)
				}
			}
		})
	}
}

func TestTheFirstKeyOfADomainWaitsOnlyForAnotherRecord(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	k := DKIMKey{State: DKIMPending, Created: start, first: true}
	k.advance(DKIMSighting{Bad: 2, Wait: 24 * time.Hour}, start)
	if k.advance(DKIMSighting{Good: 2, Wait: 24 * time.Hour}, start.Add(time.Minute)); k.State != DKIMSigning {
		t.Errorf("after nothing: %s", k.State)
	}
	k = DKIMKey{State: DKIMPending, Created: start, first: true}
	k.advance(DKIMSighting{Bad: 2, Wait: time.Hour, Other: time.Hour}, start)
	k.advance(DKIMSighting{Good: 2, Wait: time.Hour}, start.Add(time.Minute))
	if k.State != DKIMSeen || !k.next.Equal(start.Add(61*time.Minute)) {
		t.Errorf("after another record: %s until %v", k.State, k.next)
	}
}

func TestAKeyIsRetiredAWeekAfterItsLastMessage(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	k := DKIMKey{State: DKIMSigning, Created: start}
	k.stop(start)
	day := 24 * time.Hour
	for i, l := range []struct {
		after time.Duration
		inUse bool
		want  DKIMState
	}{
		{time.Hour, true, DKIMStopped},
		{300 * day, true, DKIMStopped}, // held, or for next year
		{301 * day, false, DKIMStopped},
		{307 * day, false, DKIMStopped},
		{307*day + time.Hour, true, DKIMStopped}, // put back into the queue
		{308 * day, false, DKIMStopped},
		{315*day - 1, false, DKIMStopped},
		{315 * day, false, DKIMRetired},
	} {
		if k.advance(DKIMSighting{InUse: l.inUse}, start.Add(l.after)); k.State != l.want {
			t.Fatalf("look %d: %s, want %s", i, k.State, l.want)
		}
	}
	if want := k.Retired.Add(dkimForget); !k.next.Equal(want) {
		t.Errorf("the next look is at %v, want %v", k.next, want)
	}
}
