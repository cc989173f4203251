// Package queuetest checks that a queue keeps its promises, whatever it is
// stored in. The suite sees only what a user of package queue sees; time in it
// is that of testing/synctest, so days pass at once.
package queuetest

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// Test runs the suite. Open must return an empty queue of its own for each call,
// with the given options; the suite closes it. It is called inside a
// synctest bubble.
func Test(t *testing.T, open func(t testing.TB, o queue.Options) *queue.Queue) {
	for _, c := range slices.Concat(deliveryCases, retryCases, reportCases, roomCases, fairCases, turnCases, lifeCases, keyCases, ruleCases, changeCases, failCases, contentCases, signedCases, historyCases, retentionCases) {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.run(newLab(t, open, c.options))
			})
		})
	}
}

// A testCase is one promise.
type testCase struct {
	name    string
	options queue.Options
	run     func(l *lab)
}

// A lab is a queue with a transport that does as it is told and remembers.
type lab struct {
	*testing.T
	q     *queue.Queue
	start time.Time

	mu     sync.Mutex
	tries  []try
	events []queue.Event
	script func(d *transport.Delivery) transport.Report
	onTell func(queue.Event)
	busy   map[string]bool

	cancel context.CancelFunc
	ended  chan error
}

// A try is an attempt that the transport saw.
type try struct {
	After      time.Duration // since the lab began
	ID         string
	Attempt    int
	Recipients []string
}

func newLab(t *testing.T, open func(testing.TB, queue.Options) *queue.Queue, o queue.Options) *lab {
	l := &lab{T: t, start: time.Now(), busy: map[string]bool{}, script: always(ok)}
	o.Hostname = "mx.panel.test"
	o.Poll, o.CommitDelay = -1, -1
	o.Observe = l.observe
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	l.q = open(t, o)
	t.Cleanup(func() {
		l.stop()
		if err := l.q.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

func (l *lab) observe(events []queue.Event) {
	l.mu.Lock()
	tell := l.onTell
	l.events = append(l.events, events...)
	l.mu.Unlock()
	for _, e := range events {
		if tell != nil {
			tell(e)
		}
	}
}

// run starts delivering.
func (l *lab) run() {
	l.Helper()
	ctx, cancel := context.WithCancel(l.Context())
	l.cancel, l.ended = cancel, make(chan error, 1)
	go func() { l.ended <- l.q.Run(ctx, transport.Func(l.deliver)) }()
}

// stop ends delivering.
func (l *lab) stop() {
	l.Helper()
	if l.cancel == nil {
		return
	}
	l.cancel()
	if err := <-l.ended; err != nil {
		l.Errorf("run: %v", err)
	}
	l.cancel = nil
}

// deliver is the transport.
func (l *lab) deliver(_ context.Context, d *transport.Delivery) transport.Report {
	l.mu.Lock()
	n := try{After: time.Since(l.start), ID: d.ID, Attempt: d.Attempt}
	for _, r := range d.Envelope.Recipients {
		n.Recipients = append(n.Recipients, r.Address)
		if l.busy[d.ID+r.Address] {
			l.Errorf("%s to %s is tried twice at once", d.ID, r.Address)
		}
		l.busy[d.ID+r.Address] = true
	}
	l.tries = append(l.tries, n)
	script := l.script
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, r := range d.Envelope.Recipients {
			delete(l.busy, d.ID+r.Address)
		}
	}()
	return script(d)
}

// answer says what the transport does from now on.
func (l *lab) answer(script func(*transport.Delivery) transport.Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.script = script
}

// sleep lets time pass, and everything happen that is due by then.
func (l *lab) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// seen returns what the transport saw.
func (l *lab) seen() []try {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.tries)
}

// kinds returns what was told about a recipient, in order; "" is all messages'.
func (l *lab) kinds(recipient string) []queue.Kind {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	var kinds []queue.Kind
	for _, e := range l.events {
		if e.Recipient == recipient {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

// told returns the only event of a kind.
func (l *lab) told(kind queue.Kind) queue.Event {
	l.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []queue.Event
	for _, e := range l.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		l.Fatalf("%d events of kind %s, want one; all: %+v", len(found), kind, l.events)
	}
	return found[0]
}

// send enqueues a message from alice to the recipients given.
func (l *lab) send(recipients ...string) string {
	l.Helper()
	return l.enqueue(message("alice@site.test", recipients...), "Subject: hello\r\n\r\nhello\r\n")
}

func (l *lab) enqueue(m queue.Message, content string) string {
	l.Helper()
	id, err := l.q.Enqueue(l.Context(), m, strings.NewReader(content))
	if err != nil {
		l.Fatalf("enqueue: %v", err)
	}
	return id
}

func message(reversePath string, recipients ...string) queue.Message {
	m := queue.Message{Envelope: transport.Envelope{ReversePath: reversePath}, Origin: transport.Origin{Site: "one", UID: -1}}
	for _, r := range recipients {
		m.Envelope.Recipients = append(m.Envelope.Recipients, transport.Recipient{Address: r})
	}
	return m
}

// entries lists the queue.
func (l *lab) entries(m queue.Match) []queue.Entry {
	l.Helper()
	var all []queue.Entry
	for e, err := range l.q.Entries(l.Context(), m) {
		if err != nil {
			l.Fatalf("entries: %v", err)
		}
		all = append(all, e)
	}
	return all
}

// only returns the one message in the queue.
func (l *lab) only() queue.Entry {
	l.Helper()
	all := l.entries(queue.Match{All: true})
	if len(all) != 1 {
		l.Fatalf("%d messages in the queue, want one: %+v", len(all), all)
	}
	return all[0]
}

// empty checks that nothing is left.
func (l *lab) empty() {
	l.Helper()
	synctest.Wait()
	if all := l.entries(queue.Match{All: true}); len(all) != 0 {
		l.Errorf("left in the queue: %+v", all)
	}
}

// content reads a message.
func (l *lab) content(id string) string {
	l.Helper()
	r, err := l.q.Content(l.Context(), id)
	if err != nil {
		l.Fatalf("content of %s: %v", id, err)
	}
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(r)
	if err != nil {
		l.Fatalf("content of %s: %v", id, err)
	}
	return string(b)
}

// count checks what a change says that it touched.
func (l *lab) count(want int) func(int, error) {
	l.Helper()
	return func(n int, err error) {
		l.Helper()
		if n != want || err != nil {
			l.Errorf("touched %d messages with error %v, want %d", n, err, want)
		}
	}
}

// Outcomes that the transport gives.
var (
	ok       = transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "Ok"), Host: "mx.far.test"}
	greylist = transport.Outcome{Reply: transport.Replyf(451, "4.7.1", "come back later"), Host: "mx.far.test"}
	loaded   = transport.Outcome{Reply: transport.Replyf(451, "4.3.2", "not now"), Host: "mx.far.test"}
	refused  = transport.Outcome{Reply: transport.Replyf(550, "5.1.1", "no such user here"), Host: "mx.far.test"}
)

// always gives everybody the same outcome.
func always(o transport.Outcome) func(*transport.Delivery) transport.Report {
	return func(d *transport.Delivery) transport.Report { return d.All(o) }
}

// inTurn gives the outcomes one attempt after the other, and the last one from
// then on.
func inTurn(outcomes ...transport.Outcome) func(*transport.Delivery) transport.Report {
	var mu sync.Mutex
	return func(d *transport.Delivery) transport.Report {
		mu.Lock()
		defer mu.Unlock()
		o := outcomes[0]
		if len(outcomes) > 1 {
			outcomes = outcomes[1:]
		}
		return d.All(o)
	}
}
