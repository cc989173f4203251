package sites

import (
	"time"
)

const (
	// dkimMute is how long a server that gives no answer with authority may keep a
	// key from signing that all others have. Resolvers pass over such a server, but
	// one that is down may come back with what it last knew.
	dkimMute = 7 * 24 * time.Hour

	// dkimLeast and dkimMost bound how long a key that was seen on all servers waits
	// for caches. Resolvers remember for up to three hours that there was nothing
	// (RFC 2308 section 5), and nothing for longer than a week (RFC 1035, MINIMUM).
	dkimLeast = 3 * time.Hour
	dkimMost  = 7 * 24 * time.Hour

	// dkimKeep is how long the record stays when the last message with a signature
	// has left: for the queues of the hosts that took it.
	dkimKeep = 7 * 24 * time.Hour

	// dkimForget is when there is no trace of a key that was retired.
	dkimForget = 90 * 24 * time.Hour
)

// A DKIMSighting is what became of looking for the record of a key.
type DKIMSighting struct {
	// How many authoritative servers have the record as it should be, have another
	// or none, and give no answer that counts.
	Good, Bad, Mute int

	// Wait is the longest that anybody may remember one of the answers, also that there
	// was nothing; Other the same of another record.
	Wait, Other time.Duration

	// Trouble says, for people, what is wrong; "": nothing.
	Trouble string

	// InUse says that a message in the queue is signed with the key.
	InUse bool
}

// advance takes the key on in its life. It is a function of the key, what was seen, and
// the instant.
func (k *DKIMKey) advance(g DKIMSighting, now time.Time) {
	switch k.State {
	case DKIMPending:
		k.await(g, now)
	case DKIMSeen:
		k.confirm(g, now)
	case DKIMSigning:
		if g.Bad > 0 && g.Good == 0 {
			k.back(g) // the signature would be worth nothing
		}
	case DKIMStopped:
		k.drain(g, now)
	}
	if k.State != DKIMStopped && k.State != DKIMRetired {
		k.Checked, k.Trouble = now, g.Trouble
	}
	k.next = k.nextLook(now)
}

// await looks whether a record that is to be published is on all servers.
func (k *DKIMKey) await(g DKIMSighting, now time.Time) {
	k.remember(g)
	switch {
	case g.Good == 0 || g.Bad > 0:
		k.good = time.Time{}
		return
	case k.good.IsZero():
		k.good = now
	}
	if g.Mute == 0 || now.Sub(k.good) >= dkimMute {
		k.State, k.Seen = DKIMSeen, now
		k.confirm(g, now)
	}
}

// confirm looks whether the caches of the world can have it as well.
func (k *DKIMKey) confirm(g DKIMSighting, now time.Time) {
	k.remember(g)
	switch {
	case g.Bad > 0:
		k.back(g)
	case g.Good > 0 && !now.Before(k.Seen.Add(k.settle())):
		k.State, k.Signing = DKIMSigning, now
	}
}

// back begins anew with a key whose record is gone. Its name has been asked for by then,
// and that there was nothing is remembered.
func (k *DKIMKey) back(g DKIMSighting) {
	k.State, k.Seen, k.Signing, k.good = DKIMPending, time.Time{}, time.Time{}, time.Time{}
	k.first = false
	k.remember(g)
}

// remember notes for how long caches may have something else.
func (k *DKIMKey) remember(g DKIMSighting) {
	if k.first {
		k.wait = max(k.wait, g.Other)
	} else {
		k.wait = max(k.wait, g.Other, g.Wait)
	}
}

// settle is how long caches are waited for. The first key of a domain need not wait for
// those that remember that there was nothing: nobody has asked for its name, and until
// it signs there is no signature at all.
func (k *DKIMKey) settle() time.Duration {
	if k.first {
		return min(k.wait, dkimMost)
	}
	return min(max(k.wait, dkimLeast), dkimMost)
}

// stop is for a key whose successor begins to sign.
func (k *DKIMKey) stop(now time.Time) {
	k.State, k.Stopped, k.Drained, k.Trouble = DKIMStopped, now, time.Time{}, ""
	k.next = k.nextLook(now)
}

// drain looks whether mail that was signed is still under way. What was being taken
// when the key stopped counts: it is stored long before the key is retired.
func (k *DKIMKey) drain(g DKIMSighting, now time.Time) {
	switch {
	case g.InUse:
		k.Drained = time.Time{}
	case k.Drained.IsZero():
		k.Drained = now
	case now.Sub(k.Drained) >= dkimKeep:
		k.State, k.Retired = DKIMRetired, now
	}
}

// nextLook is when there may be something to do.
func (k *DKIMKey) nextLook(now time.Time) time.Time {
	switch k.State {
	case DKIMPending: // often at first; it may never be published
		return now.Add(min(max(now.Sub(k.Created)/8, 5*time.Minute), 6*time.Hour))
	case DKIMSeen:
		if at := k.Seen.Add(k.settle()); at.After(now) {
			return at
		}
		return now.Add(15 * time.Minute)
	case DKIMSigning:
		next := now.Add(24 * time.Hour)
		if !k.Rotate.IsZero() && k.Rotate.After(now) && k.Rotate.Before(next) {
			next = k.Rotate
		}
		return next
	case DKIMStopped: // often at first; mail may be on hold for long
		return now.Add(min(max(now.Sub(k.Stopped)/8, time.Hour), 24*time.Hour))
	}
	return k.Retired.Add(dkimForget)
}
