package transport

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"github.com/panelmail/panelmail/internal/smtpclient"
)

// Limits of the pool. A connection that is idle costs the other side too.
const (
	maxIdle     = 1000            // connections kept in all; the oldest goes first
	idleShare   = 8               // of the descriptors this process may have they are one in so many
	idleTimeout = 5 * time.Second // how long one is kept
	maxUses     = 100             // transactions over one connection
	maxAge      = 5 * time.Minute // of a connection, when the last message over it begins
)

// A sessionKey says which deliveries may share a connection: those that look alike
// to the peer, and trust it alike.
type sessionKey struct {
	source     Source
	host       string
	addr       netip.AddrPort
	tls        demandKey
	credential concealed
	helo       string
	socket     string
}

// A session is a connection that is ready for a message.
type session struct {
	key     sessionKey
	client  *smtpclient.Client
	tls     TLSSession
	limits  smtpclient.Limits
	opened  time.Time
	uses    int      // transactions so far
	most    int      // recipients that the peer took at once when it was offered more; zero: not known
	domains []string // of recipients so far, if the peer counts them
	once    bool     // not to be kept: it is in clear for this message only, or has had all it takes
	expiry  time.Time
}

// A pool keeps sessions between messages. One timer closes those that nobody came
// for; there is no goroutine. The zero pool is ready for use.
type pool struct {
	mu     sync.Mutex
	closed bool
	most   int       // connections kept; zero: not known yet
	idle   list.List // of *session, the one that expires first in front
	byKey  map[sessionKey][]*list.Element
	timer  *time.Timer
	reaper sync.WaitGroup
}

// take returns the session that came last, nil if there is none.
func (p *pool) take(key sessionKey) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.byKey[key]
	if len(kept) == 0 {
		return nil
	}
	return p.remove(kept[len(kept)-1])
}

// has reports whether take would return a session.
func (p *pool) has(key sessionKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.byKey[key]) > 0
}

// put keeps a session, or ends it if it is worn out.
func (p *pool) put(x *session) {
	for _, old := range p.keep(x) {
		old.client.Quit()
	}
}

// keep returns the sessions to end.
func (p *pool) keep(x *session) []*session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || x.once || x.spent() {
		return []*session{x}
	}
	var old []*session
	if p.most == 0 {
		p.most = min(maxIdle, max(1, descriptors()/idleShare))
	}
	if p.idle.Len() >= p.most {
		old = append(old, p.remove(p.idle.Front()))
	}
	if p.byKey == nil {
		p.byKey = make(map[sessionKey][]*list.Element)
	}
	x.expiry = time.Now().Add(idleTimeout)
	p.byKey[x.key] = append(p.byKey[x.key], p.idle.PushBack(x))
	if p.timer == nil {
		p.reaper.Add(1)
		p.timer = time.AfterFunc(idleTimeout, p.expire)
	}
	return old
}

// leave ends the sessions with a host.
func (p *pool) leave(h host) {
	p.mu.Lock()
	var old []*session
	for e := p.idle.Front(); e != nil; {
		next := e.Next()
		if key := e.Value.(*session).key; key.addr == h.addr && key.socket == h.socket {
			old = append(old, p.remove(e))
		}
		e = next
	}
	p.mu.Unlock()
	for _, x := range old {
		x.client.Quit()
	}
}

// remove takes a session out.
func (p *pool) remove(e *list.Element) *session {
	x := p.idle.Remove(e).(*session)
	kept := p.byKey[x.key]
	for i, other := range kept {
		if other == e {
			kept = append(kept[:i], kept[i+1:]...)
			break
		}
	}
	if len(kept) == 0 {
		delete(p.byKey, x.key)
	} else {
		p.byKey[x.key] = kept
	}
	return x
}

// expire is the timer's call: it ends the sessions whose time has come, and sets the
// timer for the next.
func (p *pool) expire() {
	defer p.reaper.Done()
	p.mu.Lock()
	p.timer = nil
	var old []*session
	now := time.Now()
	for e := p.idle.Front(); e != nil; e = p.idle.Front() {
		if wait := e.Value.(*session).expiry.Sub(now); wait > 0 {
			p.reaper.Add(1)
			p.timer = time.AfterFunc(wait, p.expire)
			break
		}
		old = append(old, p.remove(e))
	}
	p.mu.Unlock()
	for _, x := range old {
		x.client.Quit()
	}
}

// close ends all sessions, now and later, and waits until that is done.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil && p.timer.Stop() {
		p.reaper.Done()
	}
	p.timer = nil
	var old []*session
	for e := p.idle.Front(); e != nil; e = p.idle.Front() {
		old = append(old, p.remove(e))
	}
	p.mu.Unlock()
	for _, x := range old {
		x.client.Quit()
	}
	p.reaper.Wait()
}
