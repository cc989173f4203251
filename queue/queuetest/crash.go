package queuetest

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// TestCrashes has a queue at work die after each of its commits, and examines what
// is left: all that was acknowledged, each recipient in one state, each failure
// with its report and no report without its failure; and that what is left goes on
// to its end, without trying again what had been told of as settled.
//
// Open is as in [Test], and returns beside the queue a function that opens, with
// other options, what a crash at this moment would leave of it. That is called while
// the queue works.
func TestCrashes(t *testing.T, open func(t testing.TB, o queue.Options) (q *queue.Queue, crashed func(queue.Options) *queue.Queue)) {
	synctest.Test(t, func(t *testing.T) {
		x := &crashes{books: books{fates: map[string]*fate{}}}
		l := newLab(t, func(t testing.TB, o queue.Options) *queue.Queue {
			q, crashed := open(t, o)
			x.crashed = crashed
			return q
		}, queue.Options{DelayWarning: -1})
		x.lab = l
		l.mu.Lock()
		l.onTell = x.told
		l.mu.Unlock()
		l.answer(x.deliver)
		l.run()
		x.work()
		l.stop()
		x.cut("the end")
		for _, r := range x.rests {
			r.run(x)
		}
		if x.points < 30 {
			t.Errorf("%d crash points: the work told too little", x.points)
		}
		t.Logf("crashes: points=%d messages=%d", x.points, len(x.books.fates))
	})
}

// A fate is what the world knows of a recipient. No address is used twice.
type fate struct {
	sender   string
	accepted bool
	final    bool // an event told so
	done     bool // the transport, or a person, has ended it: an event will tell
	reported bool // the report about it was delivered
}

// books are the fates, by address.
type books struct {
	mu    sync.Mutex
	fates map[string]*fate
}

// copy returns what is known now.
func (b *books) copy() map[string]fate {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]fate{}
	for address, f := range b.fates {
		all[address] = *f
	}
	return all
}

func (b *books) change(address string, f func(*fate)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fates[address] != nil {
		f(b.fates[address])
	}
}

// crashes is a queue at work that is cut again and again.
type crashes struct {
	*lab
	books   books
	crashed func(queue.Options) *queue.Queue
	cutting sync.Mutex
	points  int
	rests   []*rest
}

// restEvery is of how many crashes one is also lived on from.
const restEvery = 10

// work has something of everything happen: the local part of a recipient says
// what.
func (x *crashes) work() {
	for i := range 3 {
		x.hand("", fmt.Sprintf("ok%d@far.test", i), fmt.Sprintf("later%d@near.test", i))
		x.hand("", fmt.Sprintf("never%d@far.test", i), fmt.Sprintf("ok%d@near.test", i))
	}
	x.hand("for a reason", "ok-held@far.test", "never-held@near.test")
	x.sleep(time.Minute)
	x.count(1)(x.q.Release(x.Context(), queue.Match{Recipient: "ok-held@far.test"}))
	x.hand("", "later-requeued@far.test")
	x.sleep(time.Minute)
	x.count(1)(x.q.Requeue(x.Context(), queue.Match{Recipient: "later-requeued@far.test"}))
	x.hand("", "later-failed@far.test")
	x.sleep(time.Minute)
	x.books.change("later-failed@far.test", func(f *fate) { f.done = true })
	x.count(1)(x.q.Fail(x.Context(), queue.Match{Recipient: "later-failed@far.test"}, "enough"))
	x.hand("", "later-removed@far.test")
	x.sleep(time.Minute)
	x.books.change("later-removed@far.test", func(f *fate) { f.done, f.reported = true, true })
	x.count(1)(x.q.Remove(x.Context(), queue.Match{Recipient: "later-removed@far.test"}))
	_, err := x.q.Release(x.Context(), queue.Match{All: true})
	if err != nil {
		x.Error(err)
	}
	x.sleep(3 * time.Hour)
	x.empty()
	for address, f := range x.books.copy() {
		if !f.final {
			x.Errorf("nobody was told of an end of %s", address)
		}
	}
}

// hand enqueues a message whose sender names its first recipient.
func (x *crashes) hand(hold string, recipients ...string) {
	sender := strings.Replace(recipients[0], "@", "-", 1) + "@site.test"
	x.books.mu.Lock()
	for _, r := range recipients {
		x.books.fates[r] = &fate{sender: sender}
	}
	x.books.mu.Unlock()
	m := message(sender, recipients...)
	m.Hold = hold
	x.enqueue(m, "Subject: hello\r\n\r\nhello\r\n")
	for _, r := range recipients {
		x.books.change(r, func(f *fate) { f.accepted = true })
	}
	x.cut("Enqueue returned")
}

// deliver does what the address says, and to a report whatever its recipient is.
func (x *crashes) deliver(d *transport.Delivery) transport.Report {
	x.cut("a delivery began")
	report := make(transport.Report, len(d.Envelope.Recipients))
	for i, r := range d.Envelope.Recipients {
		switch {
		case d.Envelope.ReversePath == "":
			report[i] = ok
			x.reported(r.Address)
			continue
		case strings.HasPrefix(r.Address, "never"):
			report[i] = refused
		case strings.HasPrefix(r.Address, "later") && d.Attempt < 3:
			report[i] = greylist
			continue
		default:
			report[i] = ok
		}
		x.books.change(r.Address, func(f *fate) { f.done = true })
	}
	return report
}

// reported notes that a sender has the report about one of its recipients.
func (x *crashes) reported(sender string) {
	x.books.mu.Lock()
	defer x.books.mu.Unlock()
	for _, f := range x.books.fates {
		f.reported = f.reported || f.sender == sender
	}
}

// told hears of a commit.
func (x *crashes) told(e queue.Event) {
	if e.Kind.Final() {
		x.books.change(e.Recipient, func(f *fate) { f.final = true })
	}
	x.cut("told of " + string(e.Kind))
}

// cut examines what a crash now would leave.
func (x *crashes) cut(when string) {
	x.cutting.Lock()
	defer x.cutting.Unlock()
	x.points++
	before := x.books.copy()
	q := x.crashed(queue.Options{Hostname: "mx.panel.test", Poll: -1, DelayWarning: -1})
	if x.points%restEvery == 0 {
		x.rests = append(x.rests, &rest{when, q, before})
	} else {
		defer func() { _ = q.Close() }()
	}
	after := x.books.copy()
	open, reports := x.left(q)
	for address, f := range before {
		now := after[address]
		switch state, there := open[address]; {
		case there && !state.Final() && f.final:
			x.Errorf("%s: %s is %v, and had been told of as settled", when, address, state)
		case there && state == queue.Dead && reports[f.sender] == 0 && !now.reported:
			x.Errorf("%s: %s has failed, and there is no report", when, address)
		case !there && f.accepted && !now.done:
			x.Errorf("%s: %s was accepted and is not there", when, address)
		case !there && now.done && !now.final && strings.HasPrefix(address, "never") && reports[f.sender] == 0 && !now.reported:
			x.Errorf("%s: %s is gone, and there is no report", when, address)
		}
	}
	for sender := range maps.Keys(reports) {
		if x.noneFailed(sender, open, after) {
			x.Errorf("%s: a report to %s, and nobody has failed", when, sender)
		}
	}
}

// left reads states by address, and counts reports by whom they are for.
func (x *crashes) left(q *queue.Queue) (states map[string]queue.State, reports map[string]int) {
	states, reports = map[string]queue.State{}, map[string]int{}
	for e, err := range q.Entries(x.Context(), queue.Match{All: true}) {
		if err != nil {
			x.Errorf("entries: %v", err)
			break
		}
		for _, r := range e.Recipients {
			if e.Envelope.ReversePath == "" {
				reports[r.Address]++
				continue
			}
			if _, twice := states[r.Address]; twice {
				x.Errorf("%s is there twice", r.Address)
			}
			states[r.Address] = r.State
		}
	}
	return states, reports
}

// noneFailed reports whether all of a sender's recipients are there and open.
func (x *crashes) noneFailed(sender string, states map[string]queue.State, fates map[string]fate) bool {
	for address, f := range fates {
		if state, there := states[address]; f.sender == sender && (!there || state.Final()) {
			return false
		}
	}
	return true
}

// A rest is what a crash left, to be run later.
type rest struct {
	when  string
	q     *queue.Queue
	fates map[string]fate
}

// run delivers all that is left, and nothing that had been settled.
func (r *rest) run(x *crashes) {
	defer func() { _ = r.q.Close() }()
	if _, err := r.q.Release(x.Context(), queue.Match{All: true}); err != nil {
		x.Errorf("%s: %v", r.when, err)
	}
	ctx, end := context.WithCancel(x.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- r.q.Run(ctx, transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
			for _, p := range d.Envelope.Recipients {
				if d.Envelope.ReversePath != "" && r.fates[p.Address].final {
					x.Errorf("%s: %s had been told of as settled, and is tried again", r.when, p.Address)
				}
			}
			return d.All(ok)
		}))
	}()
	x.sleep(day)
	if open, reports := x.left(r.q); len(open)+len(reports) > 0 {
		x.Errorf("%s: a day later there are still %v, and reports to %v", r.when, open, reports)
	}
	end()
	if err := <-ended; err != nil {
		x.Errorf("%s: run: %v", r.when, err)
	}
}
