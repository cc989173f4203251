package transport

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// An MTASTS finds the MTA-STS policies of domains (RFC 8461) and remembers them: for as
// long as they say, whatever happens to the domain's DNS and web server meanwhile. It is
// an [STSFinder].
//
// A policy that is known is given at once, and looked after in the background: whether
// the id in the DNS has changed, no more than once in five minutes; and the policy
// itself every day, or at half of its life if that is shorter, unless nobody asked for it
// in a month. What fails then changes nothing until the policy expires. A domain without
// a policy is asked again after five minutes, as is one whose policy cannot be had.
//
// All look-ups are made by Run. The fields must not change while the MTASTS is in use;
// its methods may be called from many goroutines at once.
type MTASTS struct {
	// Network connects to policy hosts, on port 443; if nil, [System].
	Network Network

	// Resolver finds the records that announce policies, and the policy hosts; if
	// nil, a [DNS] with the servers of the system.
	Resolver TextResolver

	// Store keeps the policies; if nil, memory does.
	Store STSStore

	// Roots, if not nil, returns the authorities for policy hosts. If there are none,
	// those of the system are.
	Roots func() *x509.CertPool

	// AllowPrivate, if not nil, reports whether policy hosts may be at loopback and
	// private addresses.
	AllowPrivate func() bool

	// Wait is how long STS waits for what is not known yet; if zero, 5 seconds.
	Wait time.Duration

	// Log gets trouble with policies; if nil, nobody does.
	Log *slog.Logger

	mu       sync.Mutex
	wanted   chan string
	known    generations[string, *stsKnown]
	fallback DNS
}

// A TextResolver is a [Resolver] that knows TXT records. Its errors are those of a
// Resolver.
type TextResolver interface {
	Resolver

	// Text returns the TXT records of a name, the strings of each joined.
	Text(ctx context.Context, name string) ([]string, error)
}

// An STSStore keeps MTA-STS policies, one of a domain. It is called from many goroutines.
type STSStore interface {
	// LoadSTS returns what is kept of a domain.
	LoadSTS(ctx context.Context, domain string) (e STSEntry, ok bool, err error)

	// SaveSTS keeps an entry in the place of the one of the same domain.
	SaveSTS(ctx context.Context, e STSEntry) error

	// DeleteSTS forgets what is kept of a domain, which may be nothing.
	DeleteSTS(ctx context.Context, domain string) error

	// ListSTS returns the entries behind a domain in alphabetical order, no more
	// than limit of them.
	ListSTS(ctx context.Context, after string, limit int) ([]STSEntry, error)
}

// An STSEntry is a policy as it is kept.
type STSEntry struct {
	Domain  string    // in A-labels and lower case
	ID      string    // of the record that announced it
	Policy  STSPolicy // as fetched
	Fetched time.Time
	Used    time.Time // when it was last asked for, roughly
}

// Expires is when the policy counts no more.
func (e STSEntry) Expires() time.Time { return e.Fetched.Add(e.Policy.MaxAge) }

const (
	maxSTSKnown  = 8192            // domains in a generation of them
	stsRecheck   = 5 * time.Minute // between look-ups of a domain
	stsRefresh   = 24 * time.Hour  // between downloads of a policy
	stsUnused    = 30 * 24 * time.Hour
	stsRound     = time.Hour // between searches for what is due
	stsPage      = 100
	stsWait      = 5 * time.Second
	stsLookups   = 8 // at once
	stsDNSPrefix = "_mta-sts."
)

// An stsKnown is what is known of a domain. The lock of the MTASTS guards it.
type stsKnown struct {
	entry   STSEntry // with a zero Fetched: none
	trouble *stsTrouble
	checked time.Time     // when it was last looked up; zero: not yet
	used    time.Time     // when it was last asked for
	done    chan struct{} // closed when the look-up that is wanted has ended; nil: none is
}

// STS implements [STSFinder]. If what is not known cannot be found out within Wait, the
// facts are pending.
func (m *MTASTS) STS(ctx context.Context, domain string) STSFacts {
	domain = strings.ToLower(plainName(domain))
	facts, done := m.ask(domain, time.Now())
	if done == nil {
		return facts
	}
	patience := time.NewTimer(firstOf(m.Wait, stsWait))
	defer patience.Stop()
	select {
	case <-done:
		m.mu.Lock()
		defer m.mu.Unlock()
		if k, ok := m.known.get(domain); ok && !k.checked.IsZero() {
			return k.facts(time.Now())
		}
	case <-patience.C:
	case <-ctx.Done():
	}
	return STSFacts{Pending: true}
}

// ask returns what is known of a domain, or a channel that is closed when it is looked
// up. It wants what is not known, or not checked lately, to be looked up.
func (m *MTASTS) ask(domain string, now time.Time) (STSFacts, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ready()
	k, ok := m.known.get(domain)
	if !ok {
		k = new(stsKnown)
		m.known.put(domain, k)
	}
	k.used = now
	if now.Sub(k.checked) >= stsRecheck && k.done == nil {
		select {
		case m.wanted <- domain:
			k.done = make(chan struct{})
		default: // and the next who asks tries again
		}
	}
	switch {
	case k.valid(now), now.Sub(k.checked) < stsRecheck:
		return k.facts(now), nil
	case k.done == nil:
		return STSFacts{Pending: true}, nil
	}
	return STSFacts{}, k.done
}

// valid reports whether there is a policy that counts.
func (k *stsKnown) valid(now time.Time) bool {
	return !k.entry.Fetched.IsZero() && now.Before(k.entry.Expires())
}

func (k *stsKnown) facts(now time.Time) STSFacts {
	var f STSFacts
	if k.valid(now) {
		f.Mode, f.MX, f.ID = k.entry.Policy.Mode, k.entry.Policy.MX, k.entry.ID
	}
	if k.trouble != nil {
		f.Trouble, f.Detail = k.trouble.kind, k.trouble.Error()
	}
	return f
}

// Run makes the look-ups that are wanted, and those that are due, until ctx is done. It
// returns when the last of them has ended. Before and after it STS knows what it knows,
// and the rest is pending.
func (m *MTASTS) Run(ctx context.Context) {
	m.mu.Lock()
	m.ready()
	m.mu.Unlock()
	var workers sync.WaitGroup
	defer workers.Wait()
	for range stsLookups {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case domain := <-m.wanted:
					m.lookUp(ctx, domain)
				}
			}
		})
	}
	round := time.NewTicker(stsRound)
	defer round.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-round.C:
			m.refresh(ctx)
		}
	}
}

// lookUp finds out about a domain what can be, and tells who waits for it.
func (m *MTASTS) lookUp(ctx context.Context, domain string) {
	m.mu.Lock()
	k, ok := m.known.get(domain)
	if !ok { // forgotten meanwhile
		k = new(stsKnown)
		m.known.put(domain, k)
	}
	was := *k
	m.mu.Unlock()
	entry, trouble, err := m.update(ctx, domain, was)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		k.entry, k.trouble, k.checked = entry, trouble, time.Now()
	}
	if k.done != nil {
		close(k.done)
		k.done = nil
	}
}

// update returns the policy of a domain and what is wrong with it. The error is trouble
// of ours, and nothing was found out.
func (m *MTASTS) update(ctx context.Context, domain string, was stsKnown) (STSEntry, *stsTrouble, error) {
	entry := was.entry
	if was.checked.IsZero() && m.Store != nil {
		kept, ok, err := m.Store.LoadSTS(ctx, domain)
		if err != nil {
			m.log().LogAttrs(ctx, slog.LevelError, "MTA-STS policy not read", slog.String("domain", domain), slog.Any("error", err))
			return STSEntry{}, nil, err
		}
		if ok {
			entry = kept
		}
	}
	texts, err := m.resolver().Text(ctx, stsDNSPrefix+domain)
	if ctx.Err() != nil {
		return STSEntry{}, nil, ctx.Err()
	}
	id, announced := ParseSTSRecord(texts)
	if err != nil || !announced || id == entry.ID && !entry.due(time.Now()) {
		return entry, nil, nil // what is kept counts until it expires
	}
	policy, err := m.fetch(ctx, domain)
	if ctx.Err() != nil {
		return STSEntry{}, nil, ctx.Err()
	}
	if trouble, ok := errors.AsType[*stsTrouble](err); ok {
		m.log().LogAttrs(ctx, slog.LevelWarn, "MTA-STS policy not fetched",
			slog.String("domain", domain), slog.String("kind", string(trouble.kind)), slog.Any("error", trouble.err))
		return entry, trouble, nil
	}
	used := was.used
	if used.Before(entry.Used) {
		used = entry.Used
	}
	entry = STSEntry{Domain: domain, ID: id, Policy: policy, Fetched: time.Now(), Used: used}
	m.save(ctx, entry)
	return entry, nil, nil
}

// due reports whether the policy itself is to be fetched again.
func (e STSEntry) due(now time.Time) bool {
	return now.Sub(e.Fetched) >= min(e.Policy.MaxAge/2, stsRefresh)
}

func (m *MTASTS) save(ctx context.Context, e STSEntry) {
	if m.Store == nil {
		return
	}
	if err := m.Store.SaveSTS(ctx, e); err != nil {
		m.log().LogAttrs(ctx, slog.LevelError, "MTA-STS policy not kept", slog.String("domain", e.Domain), slog.Any("error", err))
	}
}

// refresh fetches the policies that are due and drops those that have expired.
func (m *MTASTS) refresh(ctx context.Context) {
	if m.Store == nil {
		return
	}
	var work sync.WaitGroup
	defer work.Wait()
	slots := make(chan struct{}, stsLookups/2)
	for after := ""; ctx.Err() == nil; {
		entries, err := m.Store.ListSTS(ctx, after, stsPage)
		if err != nil || len(entries) == 0 {
			if err != nil && ctx.Err() == nil {
				m.log().LogAttrs(ctx, slog.LevelError, "MTA-STS policies not read", slog.Any("error", err))
			}
			return
		}
		for _, e := range entries {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			work.Go(func() {
				defer func() { <-slots }()
				m.tend(ctx, e)
			})
		}
		after = entries[len(entries)-1].Domain
	}
}

// tend does what is due for a policy that is kept.
func (m *MTASTS) tend(ctx context.Context, e STSEntry) {
	now := time.Now()
	m.mu.Lock()
	if k, ok := m.known.get(e.Domain); ok && k.used.After(e.Used) {
		e.Used = k.used
	}
	m.mu.Unlock()
	switch {
	case !now.Before(e.Expires()):
		if err := m.Store.DeleteSTS(ctx, e.Domain); err != nil && ctx.Err() == nil {
			m.log().LogAttrs(ctx, slog.LevelError, "MTA-STS policy not dropped", slog.String("domain", e.Domain), slog.Any("error", err))
		}
	case e.due(now) && now.Sub(e.Used) < stsUnused:
		m.lookUp(ctx, e.Domain)
	}
}

// ready makes what a zero MTASTS lacks. The lock is held.
func (m *MTASTS) ready() {
	if m.wanted == nil {
		m.wanted = make(chan string, maxWanted)
		m.known.size = maxSTSKnown
	}
}

func (m *MTASTS) resolver() TextResolver { return cmp.Or[TextResolver](m.Resolver, &m.fallback) }

func (m *MTASTS) log() *slog.Logger {
	if m.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return m.Log
}
