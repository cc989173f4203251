package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// maxTranscript is how many octets of a transcript are kept.
const maxTranscript = 4 << 10

const (
	eventColumns = `at, kind, queue_id, previous, site, reverse_path, recipient, label,
	attempt, code, status, text, host, addr, tls, flags, delay, due, size, recipients, report, transcript`

	insertEvents = `INSERT INTO panelmail_event (` + eventColumns + `) VALUES `
	eventRow     = `(?, ?, ?, ?, ?, ?, ?, ?,  ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	eventRows4   = eventRow + `,` + eventRow + `,` + eventRow + `,` + eventRow
	eventRows16  = eventRows4 + `,` + eventRows4 + `,` + eventRows4 + `,` + eventRows4

	// Every message has one of these, and most columns would be NULL.
	insertQueued = `INSERT INTO panelmail_event (kind, at, queue_id, site, reverse_path, size, recipients) VALUES `
	queuedRow    = `('queued', ?, ?, ?, ?, ?, ?)`
	queuedRows4  = queuedRow + `,` + queuedRow + `,` + queuedRow + `,` + queuedRow
	queuedRows16 = queuedRows4 + `,` + queuedRows4 + `,` + queuedRows4 + `,` + queuedRows4

	selectEvent = `
SELECT seq, at, kind, queue_id, coalesce(previous, ''), coalesce(site, ''), coalesce(reverse_path, ''),
	coalesce(recipient, ''), coalesce(label, ''), coalesce(attempt, 0), coalesce(code, 0), coalesce(status, ''),
	coalesce(text, ''), coalesce(host, ''), coalesce(addr, ''), coalesce(tls, ''), coalesce(flags, 0), coalesce(delay, 0), due,
	coalesce(size, 0), coalesce(recipients, 0), coalesce(report, ''), coalesce(transcript, '')
FROM panelmail_event WHERE `

	// The first number that is kept, and the last one given. With none kept the
	// first is that of the next event.
	selectKept = `
SELECT coalesce((SELECT min(seq) FROM panelmail_event), last + 1), last FROM (
	SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'panelmail_event'), 0) AS last)`

	// All names that a message has had.
	selectNames = `
WITH RECURSIVE name(id) AS (
	VALUES (?)
	UNION
	SELECT e.previous FROM name JOIN panelmail_event AS e ON e.queue_id = name.id WHERE e.previous IS NOT NULL
	UNION
	SELECT e.queue_id FROM name JOIN panelmail_event AS e ON e.previous = name.id)
SELECT id FROM name`
)

// Flags of an event's outcome.
const (
	flagFinal = 1 << iota
	flagHold
	flagUncertain
	flagLocal
	flagDestination
	flagPassedOn
	flagMailbox
)

// writeEvents writes events in the transaction that makes them true, and numbers
// them: several to a statement, because each costs as much as a row.
func writeEvents(t txn, events []Event) error {
	args := make([]any, 0, 16*22)
	for len(events) > 0 {
		n, statement := insertFor(events)
		args = args[:0]
		for i := range n {
			args = events[i].columns(args)
		}
		res, err := t.exec(statement, args...)
		if err != nil {
			return err
		}
		for i := range n {
			events[i].Seq = res.id - int64(n-1-i)
		}
		events = events[n:]
	}
	return nil
}

// insertFor returns a statement for the first n of events.
func insertFor(events []Event) (n int, statement string) {
	queued := events[0].Kind == Queued
	for n < min(16, len(events)) && (events[n].Kind == Queued) == queued {
		n++
	}
	switch {
	case n == 16 && queued:
		return 16, insertQueued + queuedRows16
	case n == 16:
		return 16, insertEvents + eventRows16
	case n >= 4 && queued:
		return 4, insertQueued + queuedRows4
	case n >= 4:
		return 4, insertEvents + eventRows4
	case queued:
		return 1, insertQueued + queuedRow
	}
	return 1, insertEvents + eventRow
}

// columns appends the values of a row.
func (e *Event) columns(args []any) []any {
	if e.Kind == Queued {
		return append(args, micros(e.Time), e.ID, orNone(e.Site), orNone(e.ReversePath), orNull(e.Size), orNull(int64(e.Recipients)))
	}
	o := &e.Outcome
	var due any
	if !e.Due.IsZero() {
		due = micros(e.Due)
	}
	return append(args, micros(e.Time), string(e.Kind), e.ID, orNone(e.Previous), orNone(e.Site), orNone(e.ReversePath),
		orNone(e.Recipient), orNone(e.Label), orNull(int64(e.Attempt)), orNull(int64(o.Reply.Code)), orNone(statusOf(o.Reply)),
		orNone(o.Reply.Text), orNone(o.Host), orNone(o.Addr), orNone(tlsText(o.TLS)), orNull(flagsOf(o)), orNull(e.Delay.Microseconds()), due,
		orNull(e.Size), orNull(int64(e.Recipients)), orNone(e.Report), orNone(e.transcript()))
}

// statusOf is the enhanced status code, "" for none.
func statusOf(r transport.Reply) string {
	if r.Enhanced == [3]int{} {
		return ""
	}
	return r.Status()
}

// tlsText is how a connection was protected, in three words; "" in clear.
func tlsText(t transport.TLSSession) string {
	if t == (transport.TLSSession{}) {
		return ""
	}
	return t.Version + " " + t.Cipher + " " + string(t.Trust)
}

func parseTLS(s string) (t transport.TLSSession) {
	if words := strings.Split(s, " "); len(words) == 3 {
		t = transport.TLSSession{Version: words[0], Cipher: words[1], Trust: transport.Trust(words[2])}
	}
	return t
}

// transcript is what is kept of it: its end, and nothing of a success.
func (e *Event) transcript() string {
	s := e.Outcome.Transcript
	if e.Kind == Delivered {
		return ""
	}
	return s[max(0, len(s)-maxTranscript):]
}

func flagsOf(o *transport.Outcome) (flags int64) {
	for _, f := range []struct {
		set  bool
		flag int64
	}{{o.Final, flagFinal}, {o.Hold, flagHold}, {o.Uncertain, flagUncertain}, {o.Local, flagLocal}, {o.Destination, flagDestination},
		{o.PassedOn, flagPassedOn}, {o.Mailbox, flagMailbox}} {
		if f.set {
			flags |= f.flag
		}
	}
	return flags
}

func scanEvent(rows *sql.Rows) (e Event, err error) {
	var (
		at, flags, delay int64
		due              *int64
		status, tls      string
		o                = &e.Outcome
	)
	err = rows.Scan(&e.Seq, &at, &e.Kind, &e.ID, &e.Previous, &e.Site, &e.ReversePath,
		&e.Recipient, &e.Label, &e.Attempt, &o.Reply.Code, &status,
		&o.Reply.Text, &o.Host, &o.Addr, &tls, &flags, &delay, &due,
		&e.Size, &e.Recipients, &e.Report, &o.Transcript)
	e.Time, e.Delay, o.Reply.Enhanced = instant(at), time.Duration(delay)*time.Microsecond, parseStatus(status)
	if due != nil {
		e.Due = instant(*due)
	}
	o.TLS = parseTLS(tls)
	o.Final, o.Hold, o.Uncertain = flags&flagFinal != 0, flags&flagHold != 0, flags&flagUncertain != 0
	o.Local, o.Destination = flags&flagLocal != 0, flags&flagDestination != 0
	o.PassedOn, o.Mailbox = flags&flagPassedOn != 0, flags&flagMailbox != 0
	return e, err
}

const (
	eventPage = 200    // events that one query reads
	eventScan = 10_000 // events that one query looks at
)

func (e *engine) cursor(ctx context.Context, after int64) (int64, error) {
	var first, last int64
	if err := e.read.QueryRowContext(ctx, selectKept).Scan(&first, &last); err != nil {
		return 0, err
	}
	switch {
	case after == 0:
		return first - 1, nil
	case after < 0:
		return last, nil
	}
	return after, nil
}

func (e *engine) events(ctx context.Context, t Trail, after int64) (page []Event, next int64, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, after, false, err
	}
	err = e.view(ctx, func(tx *sql.Tx) error {
		var first, last int64
		if err := tx.QueryRow(selectKept).Scan(&first, &last); err != nil {
			return err
		}
		if after < first-1 || after > last {
			return fmt.Errorf("%w: asked for what came after %d, and %d to %d are kept", ErrPruned, after, first, last)
		}
		next = last
		if len(t.IDs) == 0 {
			next = min(last, after+eventScan)
		}
		if page, err = eventsIn(tx, t, after, next); err != nil {
			return err
		}
		if len(page) == eventPage {
			next = page[len(page)-1].Seq
		}
		more = next < last
		return nil
	})
	return page, next, more, err
}

// eventsIn reads the first page of the events of a trail after one number and
// up to another.
func eventsIn(tx *sql.Tx, t Trail, after, until int64) (page []Event, err error) {
	w, err := t.condition()
	if err != nil {
		return nil, err
	}
	w.and(`seq > ? AND seq <= ?`, after, until)
	rows, err := tx.Query(selectEvent+w.String()+` ORDER BY seq LIMIT ?`, append(w.args, eventPage)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		e, err := scanEvent(rows)
		if err != nil {
			return nil, err
		}
		page = append(page, e)
	}
	return page, rows.Err()
}

// condition writes a trail's filters in SQL.
func (t Trail) condition() (w where, err error) {
	in := func(column string, values any) error {
		list, err := json.Marshal(values)
		w.and(column+` IN (SELECT value FROM json_each(?))`, string(list))
		return err
	}
	if len(t.IDs) > 0 {
		err = in(`queue_id`, t.IDs)
	}
	if len(t.Kinds) > 0 {
		err = errors.Join(err, in(`+kind`, t.Kinds))
	}
	if t.Site != "" {
		w.and(`site = ?`, t.Site)
	}
	if t.Recipient != "" {
		w.and(`lower(recipient) = lower(?)`, t.Recipient)
	}
	return w, err
}

func (e *engine) names(ctx context.Context, id string) ([]string, error) {
	return column[string](e.read.QueryContext(ctx, selectNames, id))
}
