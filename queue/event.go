package queue

import (
	"sync"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// A Kind says what happened to a message or a recipient.
type Kind string

// The kinds of [Event]. Queued and Requeued are about messages, the others
// about one recipient each.
const (
	Queued    Kind = "queued"    // stored; the submitter can be told
	Delivered Kind = "delivered" // the next hop took responsibility; final
	Deferred  Kind = "deferred"  // tried, and will be again
	Uncertain Kind = "uncertain" // tried; the outcome is not known; will be tried again
	Failed    Kind = "failed"    // refused for good, or given up by a person; final
	Expired   Kind = "expired"   // deferred for too long; final
	Held      Kind = "held"      // stopped until released
	Released  Kind = "released"  // no longer held
	Requeued  Kind = "requeued"  // under a new queue ID, with a fresh clock
	Removed   Kind = "removed"   // taken out by a person; final, and no report was sent
)

// Final reports whether nothing more will happen to the recipient.
func (k Kind) Final() bool {
	return k == Delivered || k == Failed || k == Expired || k == Removed
}

// An Event tells that something was committed. The history keeps all of it but
// ORcpt, the outcome's RetryAfter and Schedule, the transcript of what was delivered, and of
// other transcripts more than the last 4 KiB.
type Event struct {
	Seq         int64 // 1, 2, 3 in the order of commits, without a gap but for sites that were removed; a cursor for [Trail]
	Kind        Kind
	Time        time.Time
	ID          string // queue ID
	Previous    string // Requeued: the queue ID until now
	Site        string
	ReversePath string
	Recipient   string            // "" where the event is about the whole message
	ORcpt       string            // of an attempt's recipient: see [transport.Recipient]
	Label       string            // what the recipient was filed under, if it was tried or given up
	Outcome     transport.Outcome // of the attempt, or of the person who acted
	Attempt     int               // how many there were
	Delay       time.Duration     // since arrival
	Due         time.Time         // Deferred, Uncertain: when the next attempt is due
	Size        int64             // octets
	Recipients  int               // Queued: how many
	Report      string            // queue ID of the report about it, if one was stored
}

// A pump hands events to a function of the user's, in order, on a goroutine of
// its own: nothing of ours waits for it.
type pump struct {
	f      func([]Event)
	mu     sync.Mutex
	events []Event
	signal chan struct{}
	stop   chan struct{}
	done   chan struct{}
}

// newPump starts a pump; f may be nil, which drops everything.
func newPump(f func([]Event)) *pump {
	p := &pump{f: f, signal: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	if f == nil {
		close(p.done)
		return p
	}
	go p.run()
	return p
}

func (p *pump) emit(events []Event) {
	if p.f == nil || len(events) == 0 {
		return
	}
	p.mu.Lock()
	p.events = append(p.events, events...)
	p.mu.Unlock()
	signal(p.signal)
}

func (p *pump) run() {
	defer close(p.done)
	for {
		select {
		case <-p.signal:
			p.drain()
		case <-p.stop:
			p.drain()
			return
		}
	}
}

func (p *pump) drain() {
	for {
		p.mu.Lock()
		events := p.events
		p.events = nil
		p.mu.Unlock()
		if len(events) == 0 {
			return
		}
		p.f(events)
	}
}

// close returns when everything emitted so far was handed over.
func (p *pump) close() {
	close(p.stop)
	<-p.done
}
