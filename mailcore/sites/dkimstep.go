package sites

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"
)

const (
	dueDKIM  = selectDKIM + ` WHERE next <= ? ORDER BY next, id LIMIT ?`
	nextDKIM = `SELECT coalesce(min(next), 0) FROM panelmail_dkim`
)

// DueDKIM lists the keys that are to be looked after, those that have waited longest
// first: see [Sites.AdvanceDKIM]. NextDKIM tells when there will be one; the zero time
// is never.
func (s *Sites) DueDKIM(ctx context.Context, limit int) (due []DKIMKey, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) (err error) {
		due, err = scanAllDKIM(tx.Query(dueDKIM, time.Now().UnixMicro(), limit))
		return err
	})
	if err != nil {
		return nil, ours(err)
	}
	return due, nil
}

// NextDKIM is explained at [Sites.DueDKIM].
func (s *Sites) NextDKIM(ctx context.Context) (time.Time, error) {
	var next int64
	err := s.db.View(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(nextDKIM).Scan(&next)
	})
	if err != nil {
		return time.Time{}, ours(err)
	}
	return instant(next), nil
}

// AdvanceDKIM takes a key on in its life by what was seen of it, and with it those that
// it succeeds. It returns what has become of the key; one that was removed meanwhile is
// [ErrNotFound], as is one that was retired so long ago that it is forgotten now.
//
// Nothing is signed with a key before all servers of its domain that give an answer with
// authority have had its record for as long as others may be remembered, three hours at
// least; but at once with the first key of a domain, under a name that had no record. A
// server that gives none holds it up for seven days. A record must be published until
// its key is retired, which is no sooner than seven days after the last message in the
// queue that was signed with it has left.
func (s *Sites) AdvanceDKIM(ctx context.Context, key DKIMKey, seen DKIMSighting) (k DKIMKey, err error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	// A look that changes nothing but the notes about it is no change of a setting.
	err = s.changeIf(ctx, func(tx *sql.Tx) (changed bool, err error) {
		if k, err = readDKIM(tx, key.id); errors.Is(err, sql.ErrNoRows) {
			return false, notFound("DKIM key", key.Name)
		} else if err != nil {
			return false, err
		}
		if k.State == DKIMRetired && !now.Before(k.Retired.Add(dkimForget)) {
			_, err = tx.Exec(`DELETE FROM panelmail_dkim WHERE id = ?`, k.id)
			return false, err
		}
		before := k.State
		k.advance(seen, now)
		if changed = k.State != before; changed && k.State == DKIMSigning {
			if err := stopPredecessors(tx, &k, now); err != nil {
				return false, err
			}
		}
		if err := k.write(tx); err != nil {
			return false, err
		}
		k, err = readDKIM(tx, k.id)
		return changed, err
	})
	if err != nil {
		return DKIMKey{}, err
	}
	return k, nil
}

// stopPredecessors stops the keys whose place k takes: those of its algorithm, and those
// of algorithms that the policy has no more.
func stopPredecessors(tx *sql.Tx, k *DKIMKey, now time.Time) error {
	p, err := readDKIMPolicy(tx, k.Domain)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	all, err := dkimOf(tx, k.Domain)
	if err != nil {
		return err
	}
	for i := range all {
		old := &all[i]
		if old.id == k.id || old.State != DKIMSigning || old.Algorithm != k.Algorithm && slices.Contains(p.Algorithms, old.Algorithm) {
			continue
		}
		old.stop(now)
		if err := old.write(tx); err != nil {
			return err
		}
	}
	return nil
}

// write stores what advance changes. The private key of one that is retired goes.
func (k *DKIMKey) write(tx *sql.Tx) error {
	_, err := tx.Exec(`
		UPDATE panelmail_dkim SET state = ?2, seen = ?3, signing = ?4, stopped = ?5, drained = ?6, retired = ?7,
			checked = ?8, trouble = ?9, good = ?10, wait = ?11, next = ?12, first = ?13,
			private = CASE ?2 WHEN 'retired' THEN '' ELSE private END
		WHERE id = ?1`,
		k.id, k.State, micros(k.Seen), micros(k.Signing), micros(k.Stopped), micros(k.Drained), micros(k.Retired),
		micros(k.Checked), k.Trouble, micros(k.good), k.wait.Microseconds(), micros(k.next), k.first)
	return err
}
