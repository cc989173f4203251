package queue

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/panelmail/panelmail/transport"
)

const (
	ruleRevision = `SELECT rules FROM panelmail_revision`
	selectRules  = `SELECT id, site, sender, domain, via, reason, created FROM panelmail_rule ORDER BY id`
)

// ruleCache keeps the rules of one revision.
type ruleCache struct {
	mu       sync.Mutex
	revision int64
	set      *ruleSet // nil: none yet
}

// rulesIn returns the rules as they are in a transaction that has begun to write.
// They are read when their revision is another one; that is looked at once in a
// transaction.
func (e *engine) rulesIn(t txn) (*ruleSet, error) {
	known := t.rules()
	if *known != nil {
		return *known, nil
	}
	var revision int64
	if err := t.row(ruleRevision).Scan(&revision); err != nil {
		return nil, err
	}
	e.cache.mu.Lock()
	if e.cache.set != nil && e.cache.revision == revision {
		*known = e.cache.set
	}
	e.cache.mu.Unlock()
	if *known != nil {
		return *known, nil
	}
	rows, err := t.query(selectRules)
	if err != nil {
		return nil, err
	}
	all, err := scanRules(rows)
	if err != nil {
		return nil, err
	}
	shut, err := shutSites(t)
	if err != nil {
		return nil, err
	}
	*known = newRuleSet(all)
	(*known).shut = shut
	e.cache.mu.Lock()
	e.cache.revision, e.cache.set = revision, *known
	e.cache.mu.Unlock()
	return *known, nil
}

// revise gives the rules a new revision. It is made by chance, so that what was
// read in a transaction that is rolled back is never taken for another.
func revise(t txn) error {
	*t.rules() = nil
	_, err := t.exec(`UPDATE panelmail_revision SET rules = ?`, rand.Int64())
	return err
}

func (e *engine) addRule(ctx context.Context, r Rule) (id int64, err error) {
	err = e.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		var n int
		if err := t.row(`SELECT count(*) FROM panelmail_rule`).Scan(&n); err != nil {
			return nil, err
		}
		if n >= maxRules {
			return nil, &refusedError{fmt.Errorf("queue: there are %d rules, and can be no more", n)}
		}
		res, err := t.exec(`INSERT INTO panelmail_rule (site, sender, domain, via, reason, created) VALUES (?, ?, ?, ?, ?, ?)`,
			r.Site, r.Sender, r.Domain, string(r.Via), r.Reason, micros(r.Created))
		if err != nil {
			return nil, err
		}
		id = res.id
		return nil, revise(t)
	}})
	return id, err
}

func (e *engine) deleteRule(ctx context.Context, id int64) error {
	return e.writer.do(ctx, &op{class: classOther, apply: func(t txn) ([]Event, error) {
		res, err := t.exec(`DELETE FROM panelmail_rule WHERE id = ?`, id)
		if err != nil {
			return nil, err
		}
		if res.changed == 0 {
			return nil, &refusedError{fmt.Errorf("%w: %d", ErrNoRule, id)}
		}
		return nil, revise(t)
	}})
}

func (e *engine) rules(ctx context.Context) ([]Rule, error) {
	rows, err := e.read.QueryContext(ctx, selectRules)
	if err != nil {
		return nil, err
	}
	return scanRules(rows)
}

func scanRules(rows *sql.Rows) (all []Rule, err error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r Rule
		var created int64
		if err := rows.Scan(&r.ID, &r.Site, &r.Sender, &r.Domain, &r.Via, &r.Reason, &created); err != nil {
			return nil, err
		}
		r.Created = instant(created)
		all = append(all, r)
	}
	return all, rows.Err()
}

// holds returns for each recipient of r why it is stored on hold, "" if it is
// not; nil if none is. Nothing of a site that is gone is stored.
func (e *engine) holds(t txn, r *record) ([]string, error) {
	rules, err := e.rulesIn(t)
	if err != nil || rules.empty() && r.hold == "" {
		return nil, err
	}
	state := rules.stateOf(r.origin.Site)
	if state.over() {
		return nil, &refusedError{fmt.Errorf("%w: %q", ErrSiteGone, r.origin.Site)}
	}
	reasons := make([]string, len(r.envelope.Recipients))
	for i := range reasons {
		reasons[i] = r.hold
		if r.hold != "" || rules.empty() {
			continue
		}
		if rule := rules.find(r.origin.Site, r.envelope.ReversePath, r.origin.Via, r.envelope.Recipients[i].Address); rule != nil {
			reasons[i] = rule.hold()
		} else if state == siteSuspended {
			reasons[i] = suspendedReason
		}
	}
	return reasons, nil
}

// holdRequeued puts on hold what the rules say of a message that is requeued.
func (e *engine) holdRequeued(t txn, c *change, s *target) ([]Event, error) {
	rules, err := e.rulesIn(t)
	if err != nil || rules.empty() {
		return nil, err
	}
	recipients, err := openRecipients(t, s)
	if err != nil {
		return nil, err
	}
	var events []Event
	for i := range recipients {
		p := &recipients[i]
		var reason string
		switch rule := rules.find(s.site, s.reversePath, s.via, p.recipient); {
		case rule != nil:
			reason = rule.hold()
		case rules.stateOf(s.site) == siteSuspended:
			reason = suspendedReason
		default:
			continue
		}
		if err := holdRow(t, p, reason); err != nil {
			return nil, err
		}
		events = append(events, p.heldEvent(c.now, reason))
	}
	return events, nil
}

// openRecipients lists the recipients of the message of s that are not final.
func openRecipients(t txn, s *target) (all []target, err error) {
	rows, err := t.query(`SELECT position, address, attempts FROM panelmail_recipient WHERE message = ? AND state < 3`, s.message)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		p := *s
		if err := rows.Scan(&p.position, &p.recipient, &p.attempts); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

func (s *target) heldEvent(now int64, reason string) Event {
	e := s.event(Held, now)
	e.Outcome = transport.Outcome{Hold: true, Reply: transport.Reply{Text: reason}}
	return e
}
