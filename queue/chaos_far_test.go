package queue_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// books are kept of what was accepted from producers and by the far end. Each
// recipient has an address of its own, but for those of reports.
type books struct {
	mu       sync.Mutex
	serial   int
	accepted map[string]bool // recipients
	taken    map[string]bool // recipients whose mail the far end took
	busy     map[string]bool // recipients being tried
	undone   []string        // queue IDs in transactions that were rolled back
	keyed    []keyed
}

// keyed is a message that was stored under a key.
type keyed struct {
	message queue.Message
	content string
	id      string
}

func newBooks() *books {
	return &books{accepted: map[string]bool{}, taken: map[string]bool{}, busy: map[string]bool{}}
}

// begin notes that recipients are tried, and complains if that must not be.
func (b *books) begin(t *testing.T, d *transport.Delivery) (end func(transport.Report)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := make([]string, len(d.Envelope.Recipients))
	for i, r := range d.Envelope.Recipients {
		names[i] = r.Address
		if d.Envelope.ReversePath == "" {
			names[i] += d.ID
		}
		if b.busy[names[i]] {
			t.Errorf("%s of %s is tried twice at once", r.Address, d.ID)
		}
		if b.taken[names[i]] {
			t.Errorf("%s of %s is tried again, though it was delivered", r.Address, d.ID)
		}
		b.busy[names[i]] = true
	}
	return func(report transport.Report) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for i, name := range names {
			delete(b.busy, name)
			if o := report.At(i); o.Delivered() && !o.Uncertain {
				b.taken[name] = true
			}
		}
	}
}

// A weather is how destinations are: bad at first.
type weather struct {
	t      *testing.T
	dice   *dice
	books  *books
	shapes bool // says what room there is

	mu      sync.Mutex
	lanes   map[string]*climate
	fine    bool
	tarpits int // deliveries that take long though it is fine
}

// A climate is that of one lane.
type climate struct {
	busy, window int
	every        time.Duration // between two deliveries that begin; 0: no rule
	ready        time.Time     // for the next
	dead         time.Time     // until then
}

// shaping is a weather that is asked for room.
type shaping struct{ *weather }

func (w *weather) transport() transport.Transport {
	if w.shapes {
		return shaping{w}
	}
	return transport.Func(w.Deliver)
}

// clear has everything be delivered at once from now on, but for one message that
// may take its time.
func (w *weather) clear(tarpit bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fine = true; tarpit {
		w.tarpits = 1
	}
}

func (w *weather) lane(label string) *climate {
	l := w.lanes[label]
	if l == nil {
		l = &climate{window: 1 + w.dice.n(5)}
		if w.dice.n(4) == 0 {
			l.every = time.Duration(1+w.dice.n(4000)) * time.Millisecond
		}
		w.lanes[label] = l
	}
	return l
}

// change turns the weather in one lane.
func (w *weather) change(label string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lane(label).window = w.dice.n(6)
}

func (w shaping) Room(label string) transport.Room {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lane(label).room(w.fine)
}

func (w shaping) Revive(label string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lane(label).dead = time.Time{}
}

func (l *climate) room(fine bool) transport.Room {
	switch now := time.Now(); {
	case l.dead.After(now):
		return transport.Room{Until: l.dead, Reply: transport.Replyf(451, "4.4.1", "nobody is there")}
	case fine:
		return transport.Room{Free: 20 - l.busy}
	case l.busy >= l.window:
		return transport.Room{}
	case l.ready.After(now):
		return transport.Room{Until: l.ready}
	case l.every > 0:
		return transport.Room{Free: 1}
	}
	return transport.Room{Free: l.window - l.busy}
}

func (w *weather) Deliver(ctx context.Context, d *transport.Delivery) (report transport.Report) {
	end := w.books.begin(w.t, d)
	defer func() { end(report) }()
	w.mu.Lock()
	l, fine := w.lane(d.Label), w.fine
	if w.shapes && l.room(fine).Free < 1 {
		w.mu.Unlock()
		return d.All(transport.Outcome{RetryAfter: w.dice.upTo(10 * time.Minute)})
	}
	l.busy++
	l.ready = time.Now().Add(l.every)
	long := fine && w.tarpits > 0 && w.dice.n(5) == 0
	if long {
		w.tarpits--
	}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		l.busy--
		w.mu.Unlock()
	}()
	switch {
	case long:
		select {
		case <-ctx.Done():
		case <-time.After(80 * time.Minute):
		}
		return d.All(delivered)
	case fine:
		time.Sleep(w.dice.upTo(2 * time.Second))
		return d.All(delivered)
	}
	return w.storm(ctx, d, l)
}

// storm is an attempt in bad weather.
func (w *weather) storm(ctx context.Context, d *transport.Delivery, l *climate) transport.Report {
	took := w.dice.upTo(oneOf(w.dice, time.Second, time.Minute, 25*time.Minute))
	select {
	case <-ctx.Done():
		if w.dice.n(2) == 0 {
			return nil
		}
	case <-time.After(took):
	}
	switch n := w.dice.n(100); {
	case n == 0:
		panic("a defect in the transport")
	case n < 8:
		w.mu.Lock()
		l.dead = time.Now().Add(w.dice.upTo(30 * time.Minute))
		w.mu.Unlock()
		return d.All(transport.Outcome{Host: "mx.test", Destination: true, Reply: transport.Replyf(451, "4.4.1", "connection refused")})
	case n < 12:
		return nil
	}
	report := make(transport.Report, len(d.Envelope.Recipients))
	same := w.outcome()
	for i := range report {
		if report[i] = same; w.dice.n(5) == 0 {
			report[i] = w.outcome()
		}
	}
	return report
}

func (w *weather) outcome() transport.Outcome {
	o := transport.Outcome{Host: "mx.test"}
	switch n := w.dice.n(100); {
	case n < 55:
		return delivered
	case n < 75:
		o.Reply, o.RetryAfter = transport.Replyf(451, "4.7.1", "%s", oneOf(w.dice, "greylisted", "busy", "mailbox full")), oneOf(w.dice, 0, 0, w.dice.upTo(time.Hour))
	case n < 85:
		o.Reply = transport.Replyf(550, "5.1.1", "no such user")
	case n < 92:
		return transport.Outcome{RetryAfter: w.dice.upTo(30 * time.Minute)}
	case n < 97:
		o.Uncertain = true
	default:
		o.Hold, o.Reply.Text = true, "somebody must look at this"
	}
	return o
}
