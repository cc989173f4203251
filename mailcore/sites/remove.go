package sites

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A Receipt says what removing a site or a domain removed. The receipt of a site
// is kept: see [Sites.Receipts]. There is no address in it.
type Receipt struct {
	Site string
	By   string    // who had a site removed, in the words of whoever called
	Time time.Time // of a site: when that was complete

	// Rows are numbers by kind. Of settings: uids, domains, logins, mailboxes,
	// aliases, relay_recipients, routes, sender_routes, sources, smarthosts,
	// credentials, tls_policies, templates and others. Of mail, where a site is
	// removed: messages, recipients, octets, events, rules, keys, counts. What
	// there was none of is left out.
	Rows map[string]int

	// Oldest and Newest are when the first and the last of the messages had
	// arrived; zero if there were none.
	Oldest, Newest time.Time
}

// errRemoving refuses a change of a site that is on its way out.
func errRemoving(name string) error { return invalid("site", name, "it is being removed") }

// RemoveSite removes a site with all that belongs to it: uids, logins, domains with
// their mailboxes, aliases and recipients; the routes, sources, smart hosts,
// credentials and TLS policies for it and for its domains; and its mail, if the
// database keeps that: what is queued, about which nobody is told, its history and
// the rules about it. What is left is a receipt, with the name of who asked for it:
// up to 255 octets of text.
//
// Credentials and TLS policies of the panel for hosts within its domains go as well,
// or its name would stay; but not where a smart host, route, sender route or mailbox
// that stays, or the smart host of [Sites.KnowSmartHost], sends mail to that host.
//
// First the site is suspended and marked, so that nothing of it is taken any more.
// Then its mail is removed step by step, beside that of others; so a transaction
// takes milliseconds however much there is. The last one removes the settings and
// what is left of the mail together. A delivery under way goes to its end, from
// where it began; none begins after that transaction. After it the file is rewritten
// and its log cut, so that no trace is in there either, if the database can do that
// (see [Mail]): an error then comes with the receipt, and says that traces may be
// left.
//
// After any other error, or a crash, the site may be as it was, or marked
// ([Site.Removing]): call RemoveSite again.
func (s *Sites) RemoveSite(ctx context.Context, name, by string) (Receipt, error) {
	if len(by) > 255 || hasControls(by) {
		return Receipt{}, invalid("site", name, "who removes it has a name that is too long or has control characters")
	}
	var domains []string
	err := s.change(ctx, func(tx *sql.Tx) (err error) {
		res, err := tx.Exec(`
			UPDATE panelmail_site SET suspended = 1, removing = 1,
				removed_by = CASE removing WHEN 1 THEN removed_by ELSE ? END
			WHERE name = ?`, by, name)
		if err := affected(res, err, notFound("site", name)); err != nil {
			return err
		}
		if domains, err = siteDomains(tx, name); err != nil {
			return err
		}
		return s.mail.CloseSite(tx, name)
	})
	if err != nil {
		return Receipt{}, err
	}
	if err := s.mail.EmptySite(ctx, name, domains); err != nil {
		return Receipt{}, fmt.Errorf("sites: remove the mail of site %q: %w", name, err)
	}
	var r Receipt
	err = s.change(ctx, func(tx *sql.Tx) (err error) {
		r, err = s.removeSite(tx, name)
		return err
	})
	if err != nil {
		return Receipt{}, err
	}
	if err := s.mail.Scrub(ctx); err != nil {
		return r, fmt.Errorf("sites: site %q is removed, but traces of it may be left in the file: %w", name, err)
	}
	return r, nil
}

// RemoveSiteTx is [Sites.RemoveSite] within a transaction of the caller, which
// removes what else it knows of the site. It removes all of the mail at once, so
// the transaction is as long as there is mail. Nothing is seen until it commits;
// call [Sites.Reload] then.
func (s *Sites) RemoveSiteTx(tx *sql.Tx, name, by string) (Receipt, error) {
	_, err := tx.Exec(`UPDATE panelmail_site SET removed_by = ? WHERE name = ?`, by, name)
	if err != nil {
		return Receipt{}, ours(err)
	}
	if err := s.mail.CloseSite(tx, name); err != nil {
		return Receipt{}, ours(err)
	}
	r, err := s.removeSite(tx, name)
	if err != nil {
		return Receipt{}, ours(err)
	}
	_, err = bump(tx)
	return r, err
}

// removeSite is the last step: it removes the settings, and what is left of the
// mail, and writes the receipt.
func (s *Sites) removeSite(tx *sql.Tx, name string) (r Receipt, err error) {
	r = Receipt{Site: name, Time: time.Now().UTC().Truncate(time.Microsecond)}
	err = tx.QueryRow(`DELETE FROM panelmail_site WHERE name = ? RETURNING removed_by`, name).Scan(&r.By)
	if errors.Is(err, sql.ErrNoRows) {
		return Receipt{}, notFound("site", name)
	}
	if err != nil {
		return Receipt{}, err
	}
	domains, err := siteDomains(tx, name)
	if err != nil {
		return Receipt{}, err
	}
	if r.Rows, r.Oldest, r.Newest, err = s.mail.RemoveSite(tx, name, domains); err != nil {
		return Receipt{}, err
	}
	n := tally{}
	for kind, count := range r.Rows {
		n.add(kind, count)
	}
	if err := removeOfSite(tx, name, s.configuredSmartHost(), n); err != nil {
		return Receipt{}, err
	}
	r.Rows = n
	return r, r.write(tx)
}

func (r *Receipt) write(tx *sql.Tx) error {
	rows, err := json.Marshal(r.Rows)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`
		INSERT INTO panelmail_receipt (name, removed_by, at, removed, oldest, newest) VALUES (?, ?, ?, ?, ?, ?)`,
		r.Site, r.By, r.Time.UnixMicro(), string(rows), micros(r.Oldest), micros(r.Newest))
	return err
}

// micros is an instant in microseconds UTC; 0 for the zero one.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// instant is what micros was made of.
func instant(us int64) (t time.Time) {
	if us != 0 {
		t = time.UnixMicro(us).UTC()
	}
	return t
}

// CountSite tells what removing a site would remove, as a receipt, and removes
// nothing.
func (s *Sites) CountSite(ctx context.Context, name string) (Receipt, error) {
	r := Receipt{Site: name}
	n := tally{}
	var domains []string
	err := s.db.View(ctx, func(tx *sql.Tx) (err error) {
		if err := mustHaveSite(tx, name); err != nil {
			return err
		}
		if domains, err = siteDomains(tx, name); err != nil {
			return err
		}
		return countOfSite(tx, name, s.configuredSmartHost(), n)
	})
	if err != nil {
		return Receipt{}, ours(err)
	}
	rows, oldest, newest, err := s.mail.CountSite(ctx, name, domains)
	if err != nil {
		return Receipt{}, fmt.Errorf("sites: count the mail of site %q: %w", name, err)
	}
	for kind, count := range rows {
		n.add(kind, count)
	}
	r.Rows, r.Oldest, r.Newest = n, oldest, newest
	return r, nil
}

// Receipts lists the receipts of removed sites, oldest first; those of one name, or
// all if name is "".
func (s *Sites) Receipts(ctx context.Context, name string) (all []Receipt, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		all = nil
		rows, err := tx.Query(`
			SELECT name, removed_by, at, removed, oldest, newest FROM panelmail_receipt
			WHERE ?1 IN ('', name) ORDER BY id`, name)
		return eachRow(rows, err, func() error {
			var r Receipt
			var at, oldest, newest int64
			var removed string
			if err := rows.Scan(&r.Site, &r.By, &at, &removed, &oldest, &newest); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(removed), &r.Rows); err != nil {
				return err
			}
			r.Time, r.Oldest, r.Newest = instant(at), instant(oldest), instant(newest)
			all = append(all, r)
			return nil
		})
	})
	if err != nil {
		return nil, ours(err)
	}
	return all, nil
}
