package transport

import (
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	maxFresh  = 5 * time.Minute // an exchanger that moved is found soon, whatever its TTL said
	maxCached = 10_000          // questions
	maxAnswer = 4096            // octets of the records of one, for strangers choose whom we ask
)

// A dnsQuestion is a canonical name and a record type.
type dnsQuestion struct {
	name string
	kind uint16
}

// A dnsCache remembers records. When it is full it forgets everything. The zero cache is
// ready for use.
type dnsCache struct {
	mu      sync.Mutex
	answers map[dnsQuestion]dnsAnswer
}

// A dnsAnswer is what became of a question. Without records it says that there are none.
type dnsAnswer struct {
	records []dns.RR // not to be changed
	owner   string   // where the aliases of the name end
	secure  bool     // all of it was validated, by a server whose word we take
	server  string   // that gave it
	until   time.Time
}

func (c *dnsCache) get(q dnsQuestion, now time.Time) (dnsAnswer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.answers[q]
	if !ok || !now.Before(a.until) {
		return dnsAnswer{}, false
	}
	return a, true
}

func (c *dnsCache) put(q dnsQuestion, a dnsAnswer, fresh time.Duration, now time.Time) {
	size := 0
	for _, rr := range a.records {
		size += dns.Len(rr)
	}
	if size > maxAnswer {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil || len(c.answers) >= maxCached {
		c.answers = make(map[dnsQuestion]dnsAnswer)
	}
	a.until = now.Add(fresh)
	c.answers[q] = a
}

// freshness is how long an answer may be remembered: as long as the first of its records,
// aliases among them.
func freshness(answer []dns.RR) time.Duration {
	fresh := maxFresh
	for _, rr := range answer {
		fresh = min(fresh, time.Duration(rr.Header().Ttl)*time.Second)
	}
	return fresh
}

// absence is how long it may be remembered that there are no records (RFC 2308 section
// 5).
func absence(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(maxFresh, time.Duration(min(soa.Hdr.Ttl, soa.Minttl))*time.Second)
		}
	}
	return 0
}
