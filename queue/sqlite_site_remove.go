package queue

import (
	"database/sql"
	"math"
)

// dropAbout removes the history of recipient ?2 of message ?1.
const dropAbout = `
DELETE FROM panelmail_event WHERE queue_id = (SELECT queue_id FROM panelmail_message WHERE id = ?1)
	AND recipient = (SELECT address FROM panelmail_recipient WHERE message = ?1 AND position = ?2)`

// dropRecipients removes recipients with the history of each, and messages that
// nobody else is to get.
func dropRecipients(t txn, found []place, went *siteTally) error {
	for _, p := range found {
		if err := dropRows(t, went, "events", dropAbout, p.message, p.position); err != nil {
			return err
		}
		res, err := t.exec(`DELETE FROM panelmail_recipient WHERE message = ? AND position = ?`, p.message, p.position)
		if err != nil {
			return err
		}
		went.add("recipients", res.changed)
		var left int
		if err := t.row(`SELECT count(*) FROM panelmail_recipient WHERE message = ? AND state < 3`, p.message).Scan(&left); err != nil {
			return err
		}
		if left > 0 {
			continue
		}
		if _, _, err := dropMessage(t, p.message, went); err != nil {
			return err
		}
	}
	return nil
}

// removeSite ends what emptySite began. Whatever came in between goes too.
func (e *engine) removeSite(tx *sql.Tx, site string, domains []string) (went siteTally, err error) {
	l, err := e.leaving(site, domains)
	if err != nil {
		return went, err
	}
	t := &callerTx{tx: tx, known: map[string]filed{}}
	if went, err = l.tally(t); err != nil {
		return went, err
	}
	var left []int64
	if left, err = column[int64](t.query(siteMessages, site, l.domains, 0, -1)); err != nil {
		return went, err
	}
	for _, message := range left {
		if _, _, err := dropMessage(t, message, &went); err != nil {
			return went, err
		}
	}
	missed, err := scanPlaces(t.query(siteInbound, l.domains, went.Message, -1, -1))
	if err != nil {
		return went, err
	}
	if err := dropRecipients(t, missed, &went); err != nil {
		return went, err
	}
	for _, query := range []string{clearMessages, clearSettled} { // all of what is over, as [leaving.clear] does
		if _, err := t.exec(query, -1); err != nil {
			return went, err
		}
	}
	for _, d := range []struct {
		kind, query string
		args        []any
	}{
		{"events", `DELETE FROM panelmail_event WHERE seq IN (` + siteEvents + `)`, []any{site, l.domains, went.Seen, int64(math.MaxInt64)}},
		{"rules", `DELETE FROM panelmail_rule WHERE site = ?`, []any{site}},
		{"keys", `DELETE FROM panelmail_key WHERE site = ?`, []any{site}},
		{"counts", deleteCounts, []any{site, l.domains, went.Minute, int64(math.MaxInt64)}},
	} {
		if err := dropRows(t, &went, d.kind, d.query, d.args...); err != nil {
			return went, err
		}
	}
	return went, e.mark(tx, site, siteGone)
}
