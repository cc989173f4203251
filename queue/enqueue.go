package queue

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io"
	"time"

	"github.com/panelmail/panelmail/internal/rfc5322"
	"github.com/panelmail/panelmail/internal/sqlitedb"
	"github.com/panelmail/panelmail/transport"
)

const (
	chunkSize = 128 << 10 // a body above this is stored in pieces of this
	maxTxSize = 1 << 20   // EnqueueTx: content is written under the caller's lock
)

// Enqueue stores a message and returns its queue ID. When it returns without an
// error the message is on the disk: content, envelope and recipients.
//
// Content is read to its end, once, and stored with CRLF line ends and without
// NULs; of a large message only a part is in memory at any time. If reading
// fails, the reader's error is returned and nothing is stored.
//
// A message whose [Message.Key] was used before is compared with the first, and not
// stored again.
//
// Errors: [ErrInvalid] if the message cannot be one, [ErrKeyReused] if the key belongs to another message, [ErrFull] if there is no room on the disk, [ErrLocked] if somebody
// else held the file's write lock until the context's deadline or too long,
// [ErrDuplicate] if the queue ID is taken, the context's. After any other error
// the message may be stored or not: a sender that tries again may send it twice.
func (q *Queue) Enqueue(ctx context.Context, m Message, content io.Reader) (id string, err error) {
	r, err := q.record(ctx, &m)
	if err != nil {
		return "", err
	}
	if err := q.space.check(q.o.Load().MinFree); err != nil {
		return "", err
	}
	buffer := q.buffers.Get().(*bytes.Buffer)
	defer q.buffers.Put(buffer)
	sum := newKeyed(&m)
	rest, err := readBody(buffer, content, sum)
	if err != nil {
		return "", err
	}
	if rest == nil {
		r.body, r.size = buffer.Bytes(), int64(buffer.Len())
	}
	if rest != nil {
		if err := q.upload(ctx, r, rest); err != nil {
			return "", err
		}
	}
	sum.seal(r, m.Key)
	err = q.finish(ctx, &m, r)
	if r.upload != 0 && (err != nil || r.twin != "") {
		q.drop(ctx, r.upload)
	}
	switch {
	case err != nil:
		return "", err
	case r.twin != "":
		return r.twin, nil
	}
	return r.id, nil
}

// finish puts the head on top and stores the record.
func (q *Queue) finish(ctx context.Context, m *Message, r *record) (err error) {
	if m.Head != nil {
		if r.head, err = m.Head(); err != nil {
			return err
		}
		r.size += int64(len(r.head))
	}
	r.signed = signed(m.Signed)
	return q.storeRecord(ctx, r)
}

// EnqueueTx stores a message in the caller's own transaction, on the database
// that was given to [New] or another connection to the same file. It becomes
// visible, and as durable as the caller's commit, with that; if the transaction
// is rolled back there was no message. Call [Queue.Wake] after the commit.
//
// SQLite fails a transaction that has read before it first writes, if somebody
// else wrote in between: EnqueueTx must be the transaction's first statement, or
// the transaction have begun immediate. It returns [ErrLocked] when SQLite says
// so. Content may have up to a mebibyte, because it is written under the lock.
//
// The message is not passed through any policy: see mailcore for that. Its [Queued]
// event is part of the transaction; [Options.Observe] is not told, because the queue
// does not see the commit.
func (q *Queue) EnqueueTx(ctx context.Context, tx *sql.Tx, m Message, content io.Reader) (id string, err error) {
	r, err := q.record(ctx, &m)
	if err != nil {
		return "", err
	}
	if err := q.space.check(q.o.Load().MinFree); err != nil {
		return "", err
	}
	sum := newKeyed(&m)
	body, err := io.ReadAll(io.LimitReader(sum.of(rfc5322.NewCleaner(content, rfc5322.Lenient)), maxTxSize+1))
	if err != nil {
		return "", err
	}
	if len(body) > maxTxSize {
		return "", fmt.Errorf("queue: content has more than %d octets, the limit inside a transaction", maxTxSize)
	}
	r.body, r.size = body, int64(len(body))
	if m.Head != nil {
		if r.head, err = m.Head(); err != nil {
			return "", err
		}
		r.size += int64(len(r.head))
	}
	r.signed = signed(m.Signed)
	sum.seal(r, m.Key)
	signal(q.outside)
	err = q.store.enqueueTx(tx, r)
	switch {
	case sqlitedb.IsBusy(err):
		return "", fmt.Errorf("%w: %w", ErrLocked, err)
	case sqlitedb.IsFull(err):
		return "", fmt.Errorf("%w: %w", ErrFull, err)
	case err != nil:
		return "", err
	}
	if s := q.scheduler.Load(); s != nil && r.twin == "" {
		s.expect(r)
	}
	return cmp.Or(r.twin, r.id), nil
}

// record makes a record of a message without its content.
func (q *Queue) record(ctx context.Context, m *Message) (*record, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := time.Now()
	r := &record{
		id:       m.ID,
		envelope: m.Envelope,
		labels:   make([]string, len(m.Envelope.Recipients)),
		origin:   m.Origin,
		priority: m.Priority,
		arrived:  micros(now),
		due:      micros(now),
		lifetime: lifetimeOf(m.Lifetime),
		hold:     m.Hold,
	}
	if r.id == "" {
		r.id = NewID(now)
	}
	if m.NotBefore.After(now) {
		r.notBefore = micros(m.NotBefore)
		r.due = r.notBefore
	}
	c := q.clock(m.Envelope.ReversePath, r.lifetime, r.due)
	r.expires, r.warn = c.expires, c.warn
	for i, p := range m.Envelope.Recipients {
		r.labels[i] = q.o.Load().Label(ctx, transport.QueryFor(r.id, &m.Envelope, &p, m.Origin))
	}
	return r, nil
}

// readBody reads a body into b if it is small enough to be stored whole. Of a
// larger one it returns the rest, with what was read at its front. What is read is
// summed.
func readBody(b *bytes.Buffer, content io.Reader, sum *keyed) (rest *upload, err error) {
	clean := sum.of(rfc5322.NewCleaner(content, rfc5322.Lenient))
	b.Reset()
	if _, err := b.ReadFrom(io.LimitReader(clean, chunkSize+1)); err != nil {
		return nil, err
	}
	if b.Len() <= chunkSize {
		return nil, nil
	}
	return newUpload(b, clean), nil
}

// events tells that the record was stored.
func (r *record) events() []Event {
	e := Event{Kind: Queued, Time: instant(r.arrived), ID: r.id, Site: r.origin.Site,
		ReversePath: r.envelope.ReversePath, Size: r.size, Recipients: len(r.envelope.Recipients)}
	events := []Event{e}
	for i, reason := range r.held {
		if reason == "" {
			continue
		}
		e.Kind, e.Outcome = Held, transport.Outcome{Hold: true, Reply: transport.Reply{Text: reason}}
		e.Recipient = r.envelope.Recipients[i].Address
		events = append(events, e)
	}
	return events
}
