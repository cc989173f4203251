package mailcore

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

const (
	// maxFamiliarLogins bounds the logins whose clients are remembered.
	maxFamiliarLogins = 1 << 15

	// maxFamiliarClients bounds the clients remembered of one login, so that
	// whoever has one password cannot drive out what is known of the others.
	maxFamiliarClients = 8

	// familiarFor is how long a client is remembered after it last logged in: an
	// address does not belong to one person for ever.
	familiarFor = 30 * 24 * time.Hour
)

// familiar remembers from where logins logged in. It is not safe for concurrent
// use.
type familiar map[loginKey][]acquaintance

// An acquaintance is a client that logged in.
type acquaintance struct {
	client netip.Addr
	last   time.Time
}

// knows reports whether a client logged in under this name.
func (f familiar) knows(login loginKey, client netip.Addr, now time.Time) bool {
	return slices.ContainsFunc(f[login], func(a acquaintance) bool {
		return a.client == client && now.Sub(a.last) < familiarFor
	})
}

// remember notes that a client has logged in.
func (f familiar) remember(login loginKey, client netip.Addr, now time.Time) {
	have, known := f[login]
	if !known && len(f) >= maxFamiliarLogins {
		f.shrink()
	}
	have = slices.DeleteFunc(have, func(a acquaintance) bool {
		return a.client == client || now.Sub(a.last) >= familiarFor
	})
	if len(have) == maxFamiliarClients {
		have = slices.Delete(have, 0, 1) // the one that was not seen for longest
	}
	f[login] = append(have, acquaintance{client, now})
}

// shrink drops the quarter of the logins that were not used for longest.
func (f familiar) shrink() {
	last := func(clients []acquaintance) time.Time { return clients[len(clients)-1].last }
	var times []time.Time
	for clients := range maps.Values(f) {
		times = append(times, last(clients))
	}
	slices.SortFunc(times, time.Time.Compare)
	limit, excess := times[len(times)/4], len(times)/4
	maps.DeleteFunc(f, func(_ loginKey, clients []acquaintance) bool {
		drop := excess > 0 && !last(clients).After(limit)
		if drop {
			excess--
		}
		return drop
	})
}
