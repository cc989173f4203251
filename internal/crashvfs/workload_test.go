//go:build cgo && linux

package crashvfs_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/crashvfs"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

const (
	producers = 8
	backlog   = 60 // messages in the queue
)

// options are those of a queue that does in milliseconds what others do in hours.
func options(observe func([]queue.Event)) queue.Options {
	return queue.Options{
		Hostname:   "mx.panel.test",
		BackoffMin: 20 * time.Millisecond, BackoffMax: 100 * time.Millisecond,
		DelayWarning: -1,
		MinFree:      -1,
		LockWait:     10 * time.Minute, // a queue that stands still for its images is no reason to refuse mail
		Observe:      observe,
		Log:          slog.New(slog.DiscardHandler),
	}
}

// A sample is a message that tells its fate by its recipients' local parts.
type sample struct {
	id         string
	sender     string // of no other message
	recipients []string
	head, body string
}

// newSample makes message number n. One in fifty is stored in pieces.
func newSample(n int, r *rand.Rand) *sample {
	fates := []string{"ok", "ok", "ok", "later", "unsure", "held"}
	m := &sample{
		id:     queue.NewID(time.Now()),
		sender: fmt.Sprintf("sender%d@site.test", n),
		head:   fmt.Sprintf("Received: number %d\r\n", n),
	}
	for i := range 1 + r.IntN(3) {
		fate := fates[r.IntN(len(fates))]
		if i == 0 && r.IntN(6) == 0 {
			fate = "never"
		}
		m.recipients = append(m.recipients, fmt.Sprintf("%s%d@domain%d.test", fate, i, r.IntN(5)))
	}
	lines := r.IntN(40)
	if r.IntN(50) == 0 {
		lines = 4000
	}
	line := fmt.Sprintf("%d %s\r\n", n, strings.Repeat("x", 60))
	m.body = fmt.Sprintf("Subject: %d\r\n\r\n%s.end\r\n", n, strings.Repeat(line, lines))
	return m
}

// A workload keeps a queue busy and writes everything that it learns from it
// into the ledger.
type workload struct {
	*ledger
	q    *queue.Queue
	open openMessages
	held chan struct{} // something was put on hold
}

// newWorkload opens a queue on a disk as a guest in somebody's database, which
// takes the same way as a queue of one's own but for the creation of the file.
func newWorkload(t *testing.T, l *ledger, disk *crashvfs.Disk, dir string, pragmas ...string) *workload {
	t.Helper()
	db := on(t, disk, filepath.Join(dir, "queue.db"), pragmas...)
	run(t, db, `PRAGMA auto_vacuum = INCREMENTAL`, `PRAGMA journal_mode = WAL`)
	w := &workload{ledger: l, held: make(chan struct{}, 1)}
	w.open.slots = make(chan struct{}, backlog)
	w.open.left = map[string]int{}
	var err error
	if w.q, err = queue.New(t.Context(), db, options(w.observe)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.q.Close() })
	return w
}

// synchronous reads back with which care the queue commits.
func (w *workload) synchronous(ctx context.Context) (level int, err error) {
	err = w.q.Update(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`PRAGMA synchronous`).Scan(&level)
	})
	return level, err
}

// run submits and delivers until ctx is done.
func (w *workload) run(ctx context.Context, seed uint64) error {
	var all sync.WaitGroup
	var errs [producers + 2]error
	all.Go(func() { errs[producers] = w.q.Run(ctx, transport.Func(w.deliver)) })
	all.Go(func() { errs[producers+1] = w.release(ctx) })
	var number atomic.Int64
	for p := range producers {
		r := rand.New(rand.NewPCG(seed, uint64(p)))
		all.Go(func() {
			for errs[p] == nil && w.open.enter(ctx) {
				n := int(number.Add(1))
				if errs[p] = w.submit(newSample(n, r)); errs[p] == nil && n%10 == 0 {
					errs[p] = age(w.q)
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs[:]...)
}

func (w *workload) submit(m *sample) error {
	w.open.add(m.id, len(m.recipients))
	w.add(fact{kind: offered, id: m.id, message: m})
	if _, err := w.q.Enqueue(context.Background(), m.queued(), strings.NewReader(m.body)); err != nil {
		return err
	}
	w.add(fact{kind: accepted, id: m.id})
	return nil
}

// age has the messages that are in a queue be among the latest no more, and the next
// one tell of it.
func age(q *queue.Queue) error {
	return q.Update(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE sqlite_sequence SET seq = seq + 5000 WHERE name = 'panelmail_message'`)
		return err
	})
}

// queued is the message as a queue takes it.
func (m *sample) queued() queue.Message {
	q := queue.Message{
		ID:       m.id,
		Envelope: transport.Envelope{ReversePath: m.sender},
		Origin:   transport.Origin{Site: "site" + m.id[len(m.id)-1:], UID: -1},
		Head:     func() ([]byte, error) { return []byte(m.head), nil },
	}
	for _, address := range m.recipients {
		q.Envelope.Recipients = append(q.Envelope.Recipients, transport.Recipient{Address: address})
	}
	return q
}

// release lets go what was put on hold.
func (w *workload) release(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.held:
		}
		if _, err := w.q.Release(ctx, queue.Match{All: true}); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// deliver is the world: it reads each message and does to each recipient what
// the address asks for.
func (w *workload) deliver(ctx context.Context, d *transport.Delivery) transport.Report {
	for _, p := range d.Envelope.Recipients {
		w.add(fact{kind: begun, id: d.ID, recipient: p.Address, attempt: d.Attempt})
	}
	if content, err := d.Open(ctx); err == nil {
		_, _ = io.Copy(io.Discard, content)
		_ = content.Close()
	}
	report := make(transport.Report, len(d.Envelope.Recipients))
	for i, p := range d.Envelope.Recipients {
		report[i] = fate(p.Address, d.Attempt)
		f := fact{kind: reported, id: d.ID, recipient: p.Address}
		switch {
		case report[i].Delivered():
			f.outcome = queue.Delivered
		case report[i].Failed():
			f.outcome = queue.Failed
		}
		w.add(f)
	}
	return report
}

func fate(address string, attempt int) transport.Outcome {
	ok := transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "Ok"), Host: "mx.far.test"}
	switch strings.TrimRight(address[:strings.IndexByte(address, '@')], "0123456789") {
	case "never":
		return transport.Outcome{Reply: transport.Replyf(550, "5.1.1", "no such user here"), Host: "mx.far.test"}
	case "later":
		if attempt < 3 {
			return transport.Outcome{Reply: transport.Replyf(451, "4.7.1", "come back later"), Host: "mx.far.test"}
		}
	case "unsure":
		if attempt < 2 {
			return transport.Outcome{Uncertain: true}
		}
	case "held":
		if attempt < 2 {
			return transport.Outcome{Hold: true, Reply: transport.Reply{Text: "to be looked at"}}
		}
	}
	return ok
}

// observe learns what was committed.
func (w *workload) observe(events []queue.Event) {
	for _, e := range events {
		if e.Recipient != "" {
			w.add(fact{kind: told, id: e.ID, recipient: e.Recipient, outcome: e.Kind})
		}
		if e.Kind.Final() {
			w.open.settle(e.ID)
		}
		if e.Kind == queue.Held {
			select {
			case w.held <- struct{}{}:
			default:
			}
		}
	}
}

// openMessages bounds how many messages wait for an end.
type openMessages struct {
	slots chan struct{}
	mu    sync.Mutex
	left  map[string]int // recipients without an end, by message
}

func (o *openMessages) enter(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case o.slots <- struct{}{}:
		return ctx.Err() == nil
	}
}

func (o *openMessages) add(id string, recipients int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left[id] = recipients
}

func (o *openMessages) settle(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, ours := o.left[id]
	if !ours {
		return
	}
	if o.left[id] = n - 1; n == 1 {
		delete(o.left, id)
		<-o.slots
	}
}
