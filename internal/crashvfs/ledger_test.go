//go:build cgo && linux

package crashvfs_test

import (
	"slices"
	"sync"

	"github.com/panelmail/panelmail/queue"
)

// A ledger is what the world outside of the queue knows, in the order in which
// it learned it. A power cut finds a part of it, from the beginning.
type ledger struct {
	mu    sync.Mutex
	facts []fact
}

// A fact is one thing learned about a message or one of its recipients.
type fact struct {
	kind      factKind
	id        string
	recipient string
	attempt   int
	outcome   queue.Kind
	message   *sample // offered
}

type factKind int

const (
	offered  factKind = iota // Enqueue was called; nothing is promised yet
	accepted                 // Enqueue has returned
	begun                    // the transport was called
	reported                 // the transport has returned
	told                     // an event says that the outcome was committed
)

func (l *ledger) add(facts ...fact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.facts = append(l.facts, facts...)
}

// soFar returns the facts until now. They do not change any more.
func (l *ledger) soFar() []fact {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clip(l.facts)
}

// A record is what some facts say about one message.
type record struct {
	message    *sample // nil: a report by the queue
	accepted   bool
	recipients map[string]*progress
}

type progress struct {
	begun    int        // attempts that the transport saw
	reported queue.Kind // the final outcome that the transport gave, or ""
	told     queue.Kind // the final outcome that an event told of, or ""
}

// records sorts facts by queue ID.
func records(facts []fact) map[string]*record {
	all := map[string]*record{}
	for i := range facts {
		f := &facts[i]
		r := all[f.id]
		if r == nil {
			r = &record{recipients: map[string]*progress{}}
			all[f.id] = r
		}
		switch f.kind {
		case offered:
			r.message = f.message
			for _, address := range f.message.recipients {
				r.recipients[address] = &progress{}
			}
			continue
		case accepted:
			r.accepted = true
			continue
		}
		p := r.recipients[f.recipient]
		if p == nil { // of a report by the queue
			p = &progress{}
			r.recipients[f.recipient] = p
		}
		switch {
		case f.kind == begun:
			p.begun = max(p.begun, f.attempt)
		case f.kind == reported && f.outcome.Final():
			p.reported = f.outcome
		case f.kind == told && f.outcome.Final():
			p.told = f.outcome
		}
	}
	return all
}

// tried reports whether the transport saw a recipient of the message.
func (r *record) tried() bool {
	for _, p := range r.recipients {
		if p.begun > 0 {
			return true
		}
	}
	return false
}
