package sites

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/panelmail/panelmail/transport"
)

var _ transport.STSStore = (*Sites)(nil)

// LoadSTS implements [transport.STSStore]. What is kept is no setting: no snapshot has
// it, and no revision counts it.
func (s *Sites) LoadSTS(ctx context.Context, domain string) (e transport.STSEntry, ok bool, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		e, err = scanSTS(tx.QueryRow(`
			SELECT domain, id, policy, fetched, used FROM panelmail_sts WHERE domain = ?`, domain))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		ok = err == nil
		return err
	})
	if err != nil {
		return transport.STSEntry{}, false, fmt.Errorf("sites: MTA-STS policy of %s: %w", domain, err)
	}
	return e, ok, nil
}

// SaveSTS implements [transport.STSStore].
func (s *Sites) SaveSTS(ctx context.Context, e transport.STSEntry) error {
	err := s.db.Update(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`
			INSERT INTO panelmail_sts (domain, id, policy, fetched, used) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (domain) DO UPDATE
			SET id = excluded.id, policy = excluded.policy, fetched = excluded.fetched, used = excluded.used`,
			e.Domain, e.ID, e.Policy.String(), e.Fetched.UnixMicro(), e.Used.UnixMicro())
		return err
	})
	if err != nil {
		return fmt.Errorf("sites: MTA-STS policy of %s: %w", e.Domain, err)
	}
	return nil
}

// DeleteSTS implements [transport.STSStore].
func (s *Sites) DeleteSTS(ctx context.Context, domain string) error {
	err := s.db.Update(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM panelmail_sts WHERE domain = ?`, domain)
		return err
	})
	if err != nil {
		return fmt.Errorf("sites: MTA-STS policy of %s: %w", domain, err)
	}
	return nil
}

// ListSTS implements [transport.STSStore].
func (s *Sites) ListSTS(ctx context.Context, after string, limit int) (list []transport.STSEntry, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		list = nil
		rows, err := tx.Query(`
			SELECT domain, id, policy, fetched, used FROM panelmail_sts
			WHERE domain > ? ORDER BY domain LIMIT ?`, after, limit)
		return eachRow(rows, err, func() error {
			e, err := scanSTS(rows)
			if err != nil {
				return err
			}
			list = append(list, e)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("sites: MTA-STS policies: %w", err)
	}
	return list, nil
}

// scanSTS reads a row.
func scanSTS(row interface{ Scan(...any) error }) (e transport.STSEntry, err error) {
	var (
		policy        string
		fetched, used int64
	)
	if err := row.Scan(&e.Domain, &e.ID, &policy, &fetched, &used); err != nil {
		return transport.STSEntry{}, err
	}
	if e.Policy, err = transport.ParseSTSPolicy(policy); err != nil {
		return transport.STSEntry{}, err
	}
	e.Fetched, e.Used = time.UnixMicro(fetched), time.UnixMicro(used)
	return e, nil
}
