package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

const (
	// Messages of site ?1, and what the panel itself sends from the domains ?2,
	// after a number. What came over SMTP from a stranger is not of whom it names.
	siteMessages = `
SELECT m.id FROM panelmail_message AS m
WHERE m.site = ?1 AND m.id > ?3
UNION
SELECT m.id FROM panelmail_message AS m
WHERE m.site = '' AND m.via <> 'smtp' AND m.id > ?3 AND ?1 <> ''
	AND EXISTS (SELECT 1 FROM json_each(?2) AS d WHERE m.reverse_path LIKE '%@' || d.value ESCAPE '\')
ORDER BY 1 LIMIT ?4`

	// Recipients of messages of no site who are at the domains ?1, or to whom mail for
	// there is sent on: the address that it came for is the original recipient, or the
	// domain is that of the reverse-path it got for this.
	siteInbound = `
SELECT r.message, r.position FROM panelmail_message AS m CROSS JOIN panelmail_recipient AS r ON r.message = m.id
WHERE m.site = '' AND m.id >= ?2 AND (r.message, r.position) > (?2, ?3)
	AND EXISTS (SELECT 1 FROM json_each(?1) AS d
		WHERE r.address LIKE '%@' || d.value ESCAPE '\' OR r.orcpt LIKE '%@' || d.value ESCAPE '\'
			OR r.reverse_path LIKE '%@' || d.value ESCAPE '\')
ORDER BY r.message, r.position LIMIT ?4`

	// Numbers of the events of site ?1, and of those of no site about addresses at
	// the domains ?2 or messages of the panel itself from there.
	siteEvents = `
SELECT seq FROM panelmail_event AS e
WHERE seq > ?3 AND seq <= ?4 AND (site = ?1 OR coalesce(site, '') = '' AND EXISTS (
	SELECT 1 FROM json_each(?2) AS d
	WHERE coalesce(recipient, '') LIKE '%@' || d.value ESCAPE '\' OR coalesce(reverse_path, '') LIKE '%@' || d.value ESCAPE '\'))`

	// What one message is to a tally; nothing if it is over.
	siteMessage = `
SELECT arrived, size, (SELECT count(*) FROM panelmail_recipient WHERE message = ?1 AND state < 3)
FROM panelmail_message WHERE id = ?1 AND id` + noLeftover

	// Lanes in which nobody is, parked or not, from a number on: what a label says
	// of a source must not outlast its site.
	emptyLanes = `
SELECT id FROM panelmail_lane AS l WHERE id > ?1 AND ` + nobodyIn + ` ORDER BY id LIMIT ?2`

	dropLanes = `
DELETE FROM panelmail_lane AS l WHERE id IN (SELECT value FROM json_each(?)) AND ` + nobodyIn
)

// Bounds of one step.
const (
	emptyMessages = 200
	emptyOctets   = batchOctets
	emptyMinutes  = 30
)

// A leaving is a site on its way out.
type leaving struct {
	engine  *engine
	site    string
	domains string // a list in JSON, of patterns for LIKE
}

func (e *engine) leaving(site string, domains []string) (*leaving, error) {
	patterns := make([]string, len(domains))
	for i, d := range domains {
		patterns[i] = escapeLike(d)
	}
	list, err := json.Marshal(patterns)
	return &leaving{e, site, string(list)}, err
}

func (e *engine) emptySite(ctx context.Context, site string, domains []string) error {
	l, err := e.leaving(site, domains)
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{l.dropMail, l.dropInbound, l.clear, l.dropEvents, l.dropKeys, l.dropCounts, l.dropLanes} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// clear removes what is over, whosever it was: who got it is not known any more.
func (l *leaving) clear(ctx context.Context) error {
	for more := true; more; {
		var err error
		if more, err = l.engine.clear(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step does one step in a transaction of its own, and adds what went to the tally
// of the site, in the same.
func (l *leaving) step(ctx context.Context, do func(t txn, went *siteTally) error) error {
	return l.engine.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		clear(t.lanes()) // what the batch has filed so far may name one that goes
		went, err := l.tally(t)
		if err != nil {
			return nil, err
		}
		if err := do(t, &went); err != nil {
			return nil, err
		}
		text, err := json.Marshal(went)
		if err != nil {
			return nil, err
		}
		_, err = t.exec(`UPDATE panelmail_shut SET tally = ?1 WHERE site = ?2 AND tally <> ?1`, string(text), l.site)
		return nil, err
	}})
}

// tally reads what went so far. It is an error if the site is not closed.
func (l *leaving) tally(t txn) (went siteTally, err error) {
	var text string
	err = t.row(`SELECT tally FROM panelmail_shut WHERE site = ? AND state = ?`, l.site, int(siteClosing)).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return went, &refusedError{fmt.Errorf("queue: site %q is not being removed", l.site)}
	}
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &went)
	}
	return went, err
}

// pick reads numbers outside of any transaction that writes, however long that
// takes.
func (l *leaving) pick(ctx context.Context, query string, args ...any) ([]int64, error) {
	return column[int64](l.engine.read.QueryContext(ctx, query, args...))
}

// dropMail removes the site's messages.
func (l *leaving) dropMail(ctx context.Context) error {
	for after := int64(0); ; {
		found, err := l.pick(ctx, siteMessages, l.site, l.domains, after, emptyMessages)
		if err != nil || len(found) == 0 {
			return err
		}
		after = found[len(found)-1]
		for len(found) > 0 {
			var done int
			err := l.step(ctx, func(t txn, went *siteTally) (err error) {
				done, err = l.dropMessages(t, found, went)
				return err
			})
			if err != nil {
				return err
			}
			found = found[done:]
		}
	}
}

// dropMessages removes messages until they were much, and returns how many.
func (l *leaving) dropMessages(t txn, found []int64, went *siteTally) (done int, err error) {
	for octets, recipients := int64(0), int64(0); done < len(found) && octets < emptyOctets && recipients < changeStep; done++ {
		size, n, err := dropMessage(t, found[done], went)
		if err != nil {
			return done, err
		}
		octets, recipients = octets+min(size, chunkSize), recipients+n
	}
	return done, nil
}

func dropMessage(t txn, message int64, went *siteTally) (size, recipients int64, err error) {
	var arrived int64
	err = t.row(siteMessage, message).Scan(&arrived, &size, &recipients)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, nil // it came to its end meanwhile
	}
	if err != nil {
		return 0, 0, err
	}
	if _, err := t.exec(`UPDATE panelmail_upload SET owner = 0 WHERE id = (SELECT upload FROM panelmail_content WHERE message = ?)`, message); err != nil {
		return 0, 0, err
	}
	if _, err := t.exec(`DELETE FROM panelmail_message WHERE id = ?`, message); err != nil {
		return 0, 0, err
	}
	went.message(arrived, size, recipients)
	return size, recipients, nil
}

// dropInbound removes recipients at the domains from the messages of strangers, and
// those to whom their mail is sent on.
func (l *leaving) dropInbound(ctx context.Context) error {
	if l.domains == "[]" {
		return nil
	}
	var newest int64
	if err := l.engine.read.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM panelmail_message`).Scan(&newest); err != nil {
		return err
	}
	for last := (place{position: -1}); ; {
		found, err := l.inbound(ctx, last)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			break
		}
		last = found[len(found)-1]
		err = l.step(ctx, func(t txn, went *siteTally) error { return dropRecipients(t, found, went) })
		if err != nil {
			return err
		}
	}
	return l.step(ctx, func(_ txn, went *siteTally) error {
		went.Message = newest
		return nil
	})
}

func (l *leaving) inbound(ctx context.Context, after place) ([]place, error) {
	return scanPlaces(l.engine.read.QueryContext(ctx, siteInbound, l.domains, after.message, after.position, changeStep))
}

func scanPlaces(rows *sql.Rows, err error) (found []place, _ error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var p place
		if err := rows.Scan(&p.message, &p.position); err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	return found, rows.Err()
}

// dropEvents removes the site's part of the history, a window of it at a time.
func (l *leaving) dropEvents(ctx context.Context) error {
	var first, last int64
	if err := l.engine.read.QueryRowContext(ctx, selectKept).Scan(&first, &last); err != nil {
		return err
	}
	for after := first - 1; after < last; after += eventScan {
		found, err := l.pick(ctx, siteEvents, l.site, l.domains, after, min(last, after+eventScan))
		if err != nil {
			return err
		}
		for part := range slices.Chunk(found, changeStep) {
			list, err := json.Marshal(part)
			if err != nil {
				return err
			}
			err = l.step(ctx, func(t txn, went *siteTally) error {
				return dropRows(t, went, "events", `DELETE FROM panelmail_event WHERE seq IN (SELECT value FROM json_each(?))`, string(list))
			})
			if err != nil {
				return err
			}
		}
	}
	return l.step(ctx, func(_ txn, went *siteTally) error {
		went.Seen = last
		return nil
	})
}

// dropRows counts what a statement deletes.
func dropRows(t txn, went *siteTally, kind, query string, args ...any) error {
	res, err := t.exec(query, args...)
	went.add(kind, res.changed)
	return err
}

func (l *leaving) dropKeys(ctx context.Context) error {
	for more := true; more; {
		err := l.step(ctx, func(t txn, went *siteTally) error {
			before := went.Rows["keys"]
			err := dropRows(t, went, "keys", `
DELETE FROM panelmail_key WHERE site = ?1 AND key IN (SELECT key FROM panelmail_key WHERE site = ?1 LIMIT ?2)`, l.site, forgetStep)
			more = went.Rows["keys"]-before == forgetStep
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dropCounts removes what was counted of the site, and of mail of nobody to its
// domains, some minutes at a time.
func (l *leaving) dropCounts(ctx context.Context) error {
	minutes, err := l.pick(ctx, `SELECT DISTINCT minute FROM panelmail_count ORDER BY minute`)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(minutes, emptyMinutes) {
		err := l.step(ctx, func(t txn, went *siteTally) error {
			went.Minute = part[len(part)-1]
			return dropRows(t, went, "counts", deleteCounts, l.site, l.domains, part[0], went.Minute)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dropLanes removes lanes in which nobody is.
func (l *leaving) dropLanes(ctx context.Context) error {
	for after := int64(0); ; {
		found, err := l.pick(ctx, emptyLanes, after, changeStep)
		if err != nil || len(found) == 0 {
			return err
		}
		after = found[len(found)-1]
		list, err := json.Marshal(found)
		if err != nil {
			return err
		}
		err = l.step(ctx, func(t txn, _ *siteTally) error {
			_, err := t.exec(dropLanes, string(list))
			return err
		})
		if err != nil {
			return err
		}
	}
}

const deleteCounts = `
DELETE FROM panelmail_count WHERE minute >= ?3 AND minute <= ?4 AND (site = ?1 OR site = '' AND EXISTS (
	SELECT 1 FROM json_each(?2) AS d WHERE label LIKE '%/' || d.value ESCAPE '\'))`
