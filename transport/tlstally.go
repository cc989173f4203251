package transport

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of a [TLSTally].
const (
	tallyDays     = 3    // that are kept, today's included
	tallyPolicies = 5000 // a day; what is beyond counts for the domain ""
	tallyFailures = 20   // hosts and kinds of failure for each; beyond, kinds alone
)

// A TLSTally counts sessions as reports about SMTP TLS want them (RFC 8460 section 4):
// by day in UTC, policy and kind of failure. It keeps three days, in memory, and is
// bounded. The zero TLSTally is ready for use; its methods may be called from many
// goroutines.
type TLSTally struct {
	mu   sync.Mutex
	days map[string]map[tlsPolicyKey]*tlsCount
}

// A TLSCount is what became of the sessions of one day under one policy.
type TLSCount struct {
	Day      string        `json:"day"`    // 2026-01-31
	Domain   string        `json:"domain"` // the policy domain; empty: many, beyond the bound
	Kind     TLSPolicyKind `json:"policy"`
	Policy   []string      `json:"policy_text,omitempty"` // the records or lines of the policy
	Success  int64         `json:"success"`
	Failure  int64         `json:"failure"`
	Failures []TLSFailure  `json:"failures,omitempty"`
}

// A TLSFailure is a kind of failure at one host.
type TLSFailure struct {
	Kind     TLSFailureKind `json:"kind"`
	Host     string         `json:"host,omitempty"`    // name of the receiving host; empty: none, or many
	Addr     string         `json:"address,omitempty"` // its address
	Sessions int64          `json:"sessions"`
	Detail   string         `json:"detail,omitempty"` // of the last one, for people
}

type tlsPolicyKey struct {
	kind   TLSPolicyKind
	domain string
}

type tlsCount struct {
	text             string
	success, failure int64
	failures         map[tlsFailureKey]*tlsFailureCount
}

type tlsFailureKey struct {
	kind       TLSFailureKind
	host, addr string
}

type tlsFailureCount struct {
	sessions int64
	detail   string
}

// success counts a session that is what its policy demands.
func (t *TLSTally) success(id tlsPolicyID, now time.Time) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of(id, now).success++
}

// failure counts a session that is not, or that there was none.
func (t *TLSTally) failure(id tlsPolicyID, kind TLSFailureKind, host, addr, detail string, now time.Time) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.of(id, now)
	c.failure++
	key := tlsFailureKey{kind, host, addr}
	if c.failures[key] == nil && len(c.failures) >= tallyFailures {
		key.host, key.addr = "", ""
	}
	f := c.failures[key]
	if f == nil {
		f = &tlsFailureCount{}
		c.failures[key] = f
	}
	f.sessions++
	f.detail = detail
}

// of is the count of a policy today.
func (t *TLSTally) of(id tlsPolicyID, now time.Time) *tlsCount {
	day := now.UTC().Format(time.DateOnly)
	policies := t.days[day]
	if policies == nil {
		t.forget(now)
		policies = make(map[tlsPolicyKey]*tlsCount)
		t.days[day] = policies
	}
	key := tlsPolicyKey{id.kind, strings.ToLower(id.domain)}
	if policies[key] == nil && len(policies) >= tallyPolicies {
		key.domain, id.text = "", ""
	}
	c := policies[key]
	if c == nil {
		c = &tlsCount{failures: make(map[tlsFailureKey]*tlsFailureCount)}
		policies[key] = c
	}
	c.text = id.text
	return c
}

// forget drops the days that are over.
func (t *TLSTally) forget(now time.Time) {
	if t.days == nil {
		t.days = make(map[string]map[tlsPolicyKey]*tlsCount)
	}
	oldest := now.UTC().AddDate(0, 0, 1-tallyDays).Format(time.DateOnly)
	for day := range t.days {
		if day < oldest {
			delete(t.days, day)
		}
	}
}

// Counts returns what was counted, by day, domain and kind of policy.
func (t *TLSTally) Counts() []TLSCount {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []TLSCount
	for day, policies := range t.days {
		for key, c := range policies {
			one := TLSCount{Day: day, Domain: key.domain, Kind: key.kind, Success: c.success, Failure: c.failure}
			if c.text != "" {
				one.Policy = strings.Split(c.text, "\n")
			}
			for k, f := range c.failures {
				one.Failures = append(one.Failures, TLSFailure{Kind: k.kind, Host: k.host, Addr: k.addr, Sessions: f.sessions, Detail: f.detail})
			}
			slices.SortFunc(one.Failures, func(a, b TLSFailure) int {
				return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Addr, b.Addr))
			})
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b TLSCount) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}
