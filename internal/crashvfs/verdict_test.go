//go:build cgo && linux

package crashvfs_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// A verdict is what an image has broken, one line each.
type verdict struct {
	corrupt   []string // unreadable, contradictory, or not what was handed in
	lost      []string // accepted, and neither there nor settled
	undone    []string // told of as settled, and open again
	forgotten []string // attempts that were made and are not counted
	repeats   int      // outcomes that died with the process, as they may
}

func (v *verdict) clean() bool {
	return len(v.corrupt)+len(v.lost)+len(v.undone)+len(v.forgotten) == 0
}

// judge opens the image in dir as a server would after the power cut, and
// compares it with what the world knew by then. With drain it also runs the
// queue until it is empty.
func judge(ctx context.Context, dir string, facts []fact, drain bool) *verdict {
	v := &verdict{}
	outcomes := &drainage{done: make(chan struct{})}
	q, err := queue.Open(ctx, filepath.Join(dir, "queue.db"), options(outcomes.observe))
	if err != nil {
		v.corrupt = append(v.corrupt, err.Error())
		return v
	}
	defer q.Close()
	if err := q.View(ctx, sound); err != nil {
		v.corrupt = append(v.corrupt, err.Error())
		return v
	}
	i := &inquiry{verdict: v, records: records(facts), entries: map[string]queue.Entry{}, reports: map[string]int{}}
	if err := i.read(ctx, q); err != nil {
		v.corrupt = append(v.corrupt, err.Error())
		return v
	}
	i.judge()
	if drain && v.clean() {
		if err := outcomes.drain(ctx, q, i.entries); err != nil {
			v.corrupt = append(v.corrupt, err.Error())
		}
	}
	return v
}

// sound checks what must hold in any database of the queue.
func sound(tx *sql.Tx) error {
	for _, c := range []struct{ query, problem string }{
		{`SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'`, "integrity"},
		{`SELECT "table" FROM pragma_foreign_key_check`, "a row refers to nothing in table"},
		{`SELECT m.queue_id FROM panelmail_message AS m WHERE NOT EXISTS (
			SELECT 1 FROM panelmail_recipient WHERE message = m.id AND state < 3)
			AND m.id NOT IN (SELECT message FROM panelmail_settled)`, "nobody is open, and there is message"},
		{`SELECT s.message FROM panelmail_settled AS s
			WHERE s.message IN (SELECT message FROM panelmail_recipient) OR s.message NOT IN (SELECT id FROM panelmail_message)`,
			"it is over, and recipients or nothing are left of message"},
		{`SELECT m.queue_id FROM panelmail_message AS m WHERE NOT EXISTS (
			SELECT 1 FROM panelmail_content WHERE message = m.id)`, "no content for"},
		{`SELECT m.queue_id FROM panelmail_message AS m JOIN panelmail_recipient AS r ON r.message = m.id
			LEFT JOIN panelmail_lane AS l ON l.id = r.lane
			WHERE l.id IS NULL OR r.state = 0 AND (l.due IS NULL OR l.due > r.due)`, "its lane will not wake for"},
		{`SELECT c.message FROM panelmail_content AS c LEFT JOIN panelmail_upload AS u ON u.id = c.upload
			WHERE c.upload IS NOT NULL AND u.owner IS NOT -1`, "a body that will be swept belongs to"},
	} {
		var found string
		err := tx.QueryRow(c.query + ` LIMIT 1`).Scan(&found)
		if err == nil {
			return fmt.Errorf("%s: %s", c.problem, found)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%s: %w", c.problem, err)
		}
	}
	return nil
}

// An inquiry compares the entries of a queue with the records of the world.
type inquiry struct {
	*verdict
	records map[string]*record
	entries map[string]queue.Entry
	reports map[string]int // reports in the queue, by whom they tell
}

func (i *inquiry) read(ctx context.Context, q *queue.Queue) error {
	for e, err := range q.Entries(ctx, queue.Match{All: true}) {
		if err != nil {
			return err
		}
		i.entries[e.ID] = e
		content, err := readAll(ctx, q, e.ID)
		if err != nil {
			return fmt.Errorf("%s: %w", e.ID, err)
		}
		if problem := i.whole(e, content); problem != "" {
			i.corrupt = append(i.corrupt, fmt.Sprintf("%s: %s", e.ID, problem))
		}
	}
	return nil
}

func readAll(ctx context.Context, q *queue.Queue, id string) (string, error) {
	r, err := q.Content(ctx, id)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

// whole compares an entry with the message that was handed in, acknowledged or
// not: half a message must never be there.
func (i *inquiry) whole(e queue.Entry, content string) string {
	if int64(len(content)) != e.Size {
		return fmt.Sprintf("has %d octets and should have %d", len(content), e.Size)
	}
	r := i.records[e.ID]
	if r == nil || r.message == nil {
		if e.Envelope.ReversePath != "" || len(e.Recipients) != 1 {
			return "nobody has handed it in"
		}
		i.reports[e.Recipients[0].Address]++
		if !strings.HasSuffix(strings.TrimRight(content, "\r\n"), "--") || !strings.Contains(content, "never0@") {
			return "a report that is not whole"
		}
		return ""
	}
	m := r.message
	if e.Envelope.ReversePath != m.sender || len(e.Recipients) != len(m.recipients) {
		return "the envelope is not the one that was handed in"
	}
	for k, p := range e.Recipients {
		if p.Address != m.recipients[k] {
			return fmt.Sprintf("recipient %d is not the one that was handed in", k)
		}
	}
	if content != m.head+m.body {
		return "the content is not the one that was handed in"
	}
	return ""
}

func (i *inquiry) judge() {
	reported := map[string]bool{} // by sender: a report about the message has left the queue
	for _, r := range i.records {
		if r.message != nil {
			continue
		}
		for sender, p := range r.recipients {
			reported[sender] = reported[sender] || p.reported == queue.Delivered
		}
	}
	for id, r := range i.records {
		e, there := i.entries[id]
		if !there && r.accepted && !r.over() {
			i.lost = append(i.lost, id+" was accepted and is not there")
			continue
		}
		settled := i.recipients(id, r, e, there)
		if r.message == nil {
			continue
		}
		failed := there && settled || !there && r.failed()
		switch n := i.reports[r.message.sender]; {
		case failed && n == 0 && !reported[r.message.sender]:
			i.lost = append(i.lost, id+" has failed and there is no report")
		case there && !settled && n > 0:
			i.corrupt = append(i.corrupt, id+" has not failed and there is a report")
		case n > 1:
			i.corrupt = append(i.corrupt, id+" is reported on twice")
		}
	}
}

// over reports whether the transport has seen all recipients to their ends.
func (r *record) over() bool {
	for _, p := range r.recipients {
		if p.reported == "" {
			return false
		}
	}
	return true
}

func (r *record) failed() bool {
	for _, p := range r.recipients {
		if p.reported == queue.Failed {
			return true
		}
	}
	return false
}

// recipients compares each recipient of a message with what the transport and
// the events said, and reports whether one of them is settled as failed.
func (i *inquiry) recipients(id string, r *record, e queue.Entry, there bool) (failed bool) {
	if !there {
		return false
	}
	for _, x := range e.Recipients {
		p := r.recipients[x.Address]
		if p == nil {
			p = &progress{}
		}
		name := id + " to " + x.Address
		final := map[queue.State]queue.Kind{queue.Done: queue.Delivered, queue.Dead: queue.Failed}[x.State]
		switch {
		case final != "" && final != p.reported:
			i.corrupt = append(i.corrupt, fmt.Sprintf("%s is %v, and the transport said %q", name, x.State, p.reported))
		case final == "" && p.told != "":
			i.undone = append(i.undone, fmt.Sprintf("%s is %v after it was told of as %s", name, x.State, p.told))
		case final == "" && p.reported != "":
			i.repeats++
		}
		if x.Attempts < p.begun {
			i.forgotten = append(i.forgotten, fmt.Sprintf("%s had %d attempts, and %d are counted", name, p.begun, x.Attempts))
		}
		failed = failed || final == queue.Failed
	}
	return failed
}

// A drainage runs a queue until every recipient in it has come to an end.
type drainage struct {
	mu   sync.Mutex
	left map[string]bool // message and recipient
	done chan struct{}
}

func (x *drainage) drain(ctx context.Context, q *queue.Queue, entries map[string]queue.Entry) error {
	left := map[string]bool{}
	for id, e := range entries {
		for _, p := range e.Recipients {
			if !p.State.Final() {
				left[id+" to "+p.Address] = true
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	x.mu.Lock()
	x.left = left
	x.mu.Unlock()
	if _, err := q.Release(ctx, queue.Match{All: true}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- q.Run(ctx, transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
			return d.All(transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "Ok")})
		}))
	}()
	var late error
	select {
	case <-x.done:
	case <-time.After(20 * time.Second):
		x.mu.Lock()
		late = fmt.Errorf("does not come to an end after the restart: %v", x.left)
		x.mu.Unlock()
	}
	cancel()
	return errors.Join(late, <-ended)
}

func (x *drainage) observe(events []queue.Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range events {
		if key := e.ID + " to " + e.Recipient; e.Kind.Final() && x.left[key] {
			if delete(x.left, key); len(x.left) == 0 {
				close(x.done)
			}
		}
	}
}
