package transport

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Destinations knows which next hops are the same destination, so that a thousand
// domains behind one set of exchangers share their limits and their fate. Its Key is
// made for [Planner.Destination].
//
// Names are looked up in the background, by Run. A next hop whose exchangers are not
// known, or cannot be found out, is a destination by itself: the DNS delays no mail
// here. What was found is remembered for the TTL and, while it is looked up again,
// beyond it. Some ten thousand next hops are remembered; those not asked for in a
// long time are forgotten.
//
// The fields must not change while the Destinations is in use. The zero value is
// ready for use. Its methods may be called from many goroutines at once.
type Destinations struct {
	// Resolver finds the exchangers; if nil, a [DNS] with the servers of the
	// system.
	Resolver Resolver

	// TTL is how long the key of a next hop holds; if zero, an hour. That there is
	// none, or that the look-up failed, holds for 5 minutes at most.
	TTL time.Duration

	// Timeout bounds one look-up; if zero, 30 seconds.
	Timeout time.Duration

	// Lookups is how many are made at once; if zero, 8.
	Lookups int

	mu       sync.Mutex
	wanted   chan string
	known    generations[string, destination]
	fallback DNS
}

const (
	maxDestinations  = 8192 // in a generation of them
	maxWanted        = 1024 // waiting for a look-up; the others ask again
	destinationTTL   = time.Hour
	noDestinationTTL = 5 * time.Minute
	lookupTimeout    = 30 * time.Second
	lookupsAtOnce    = 8
)

// A destination is what is known of a next hop.
type destination struct {
	key    string    // empty: the next hop is a destination by itself
	until  time.Time // when it is to be looked up again
	wanted bool      // it is going to be
}

// Key is the key of the destination that a next hop leads to, or "" if the next hop
// is a destination by itself as far as is known: a list, or what is in brackets, always
// is. It never blocks.
func (d *Destinations) Key(nexthop string) string {
	if strings.ContainsAny(nexthop, separators+"[") {
		return ""
	}
	nexthop = strings.ToLower(nexthop)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ready()
	x, _ := d.known.get(nexthop)
	if x.wanted || time.Now().Before(x.until) {
		return x.key
	}
	select {
	case d.wanted <- nexthop:
		x.wanted = true
		d.known.put(nexthop, x)
	default:
	}
	return x.key
}

// Run makes the look-ups that Key finds wanting until ctx is done. It returns when
// the last of them has ended. Before and after it Key tells what is known.
func (d *Destinations) Run(ctx context.Context) {
	d.mu.Lock()
	d.ready()
	d.mu.Unlock()
	lookups := d.Lookups
	if lookups <= 0 {
		lookups = lookupsAtOnce
	}
	var workers sync.WaitGroup
	for range lookups {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case nexthop := <-d.wanted:
					d.lookUp(ctx, nexthop)
				}
			}
		})
	}
	workers.Wait()
}

// lookUp finds the key of a next hop and remembers it. When the look-up fails the old
// key stays.
func (d *Destinations) lookUp(ctx context.Context, nexthop string) {
	ctx, cancel := context.WithTimeout(ctx, firstOf(d.Timeout, lookupTimeout))
	defer cancel()
	key, err := d.find(ctx, nexthop)
	ttl := firstOf(d.TTL, destinationTTL)
	if key == "" || err != nil {
		ttl = min(ttl, noDestinationTTL)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	x, _ := d.known.get(nexthop)
	if err == nil {
		x.key = key
	}
	x.until, x.wanted = time.Now().Add(ttl), false
	d.known.put(nexthop, x)
}

// find returns the key of a next hop. An error is trouble that may pass.
func (d *Destinations) find(ctx context.Context, nexthop string) (string, error) {
	h, err := parseNexthop(nexthop, 0)
	if err != nil || h.fixed {
		return "", nil
	}
	resolver := d.Resolver
	if resolver == nil {
		resolver = &d.fallback
	}
	records, err := resolver.MX(ctx, h.name)
	if err != nil && !notFound(err) {
		return "", err
	}
	records, err = usable(h.name, records)
	if err != nil || len(records) == 0 {
		return "", nil // nothing to share
	}
	key := destinationKey(records)
	if key != "" && h.port != 0 {
		key += ":" + strconv.Itoa(int(h.port))
	}
	return key, nil
}

// ready makes what a zero Destinations lacks. The lock is held.
func (d *Destinations) ready() {
	if d.wanted == nil {
		d.wanted = make(chan string, maxWanted)
		d.known.size = maxDestinations
	}
}
