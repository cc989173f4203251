package transport

import (
	"context"
	"sync"
	"time"
)

// How long there is no login after a refused one: so long after the first, twice as
// long after each further, and no longer than that.
const (
	loginPause    = time.Minute
	maxLoginPause = 30 * time.Minute
	maxStandings  = 1000 // credentials remembered
)

// logins remembers how the logins with each credential went, so that no server is
// hammered with a wrong password until it locks us out. A credential that has not been
// seen to work yet is tried by one delivery while others wait for its result; after a
// refusal nobody tries for a while, and then again one. What other credentials do is
// nothing to it. All this is in memory alone. The zero logins is ready for use.
type logins struct {
	mu    sync.Mutex
	known map[loginKey]*standing
}

// A loginKey is a credential and where it is used: at the hosts of a next hop, or at
// one of them, which was out of order.
type loginKey struct {
	credential concealed
	nexthop    string
	host       string
}

// A standing is what is known of a credential.
type standing struct {
	proven bool          // its last login was accepted
	trial  chan struct{} // closed at the end of the one login that is under way; nil: there is none
	pause  time.Duration // after the last refusal; zero: there was none
	until  time.Time     // there is no login before
	said   Outcome       // the last refusal
}

// enter asks to log in. An outcome with a reply says why not; else accepted, refused
// or leave must follow.
func (l *logins) enter(ctx context.Context, key loginKey) Outcome {
	for {
		under, out := l.try(key, time.Now())
		if under == nil {
			return out
		}
		select {
		case <-under:
		case <-ctx.Done():
			return deferral("4.7.0", "SASL authentication failed: no time was left for it")
		}
	}
}

// try is enter without waiting: it returns what to wait for.
func (l *logins) try(key loginKey, now time.Time) (under chan struct{}, out Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.standing(key, now)
	switch {
	case s.proven:
	case s.pause > 0 && (s.trial != nil || now.Before(s.until)):
		return nil, s.said
	case s.trial != nil:
		return s.trial, Outcome{}
	default:
		s.trial = make(chan struct{})
	}
	return nil, Outcome{}
}

// barred is the last refusal if there is to be no login now.
func (l *logins) barred(key loginKey) Outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.known[key]
	if s == nil || s.pause == 0 || s.trial == nil && !time.Now().Before(s.until) {
		return Outcome{}
	}
	return s.said
}

// accepted notes that a login went well.
func (l *logins) accepted(key loginKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(key, standing{proven: true})
}

// refused notes that a login was refused.
func (l *logins) refused(key loginKey, said Outcome) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.standing(key, now)
	if was.pause > 0 && now.Before(was.until) {
		l.end(key, *was) // one that had begun before the last
		return
	}
	pause := min(max(loginPause, 2*was.pause), maxLoginPause)
	until := now.Add(pause)
	said.TLS = TLSSession{} // nobody will have connected
	said.Reply.Text += "; no login before " + until.UTC().Format("15:04:05 MST")
	l.end(key, standing{pause: pause, until: until, said: said})
}

// leave notes that a login came to nothing, which tells nothing of the credential.
func (l *logins) leave(key loginKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(key, *l.standing(key, time.Now()))
}

// end ends a login and puts down the standing after it. The lock is held.
func (l *logins) end(key loginKey, after standing) {
	if s := l.known[key]; s != nil && s.trial != nil {
		close(s.trial)
	}
	after.trial = nil
	l.known[key] = &after
}

// standing finds what is known of a credential. The lock is held.
func (l *logins) standing(key loginKey, now time.Time) *standing {
	if s := l.known[key]; s != nil {
		return s
	}
	if l.known == nil {
		l.known = map[loginKey]*standing{}
	}
	if len(l.known) >= maxStandings {
		for k, s := range l.known {
			if s.trial == nil && now.After(s.until.Add(s.pause)) {
				delete(l.known, k)
			}
		}
	}
	s := &standing{}
	l.known[key] = s
	return s
}
