package sites

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// Sites knows the transports that are kept here, for a planner.
var _ transport.Definer = (*Sites)(nil)

// SetTransport adds a transport for all sites, or replaces the one of the same name.
// Deliveries that begin after it has returned go by it. The base must be one of those
// built in. A row with the name of a transport that the program brings stands for it
// until it is removed, and must have the same base.
func (s *Sites) SetTransport(ctx context.Context, d transport.Definition) error {
	if err := d.Check(); err != nil {
		return invalid("transport", d.Name, "%v", err)
	}
	if transport.Builtin()[d.Base].Base != d.Base {
		return invalid("transport", d.Name, "%q is not one of the transports that others are made of", d.Base)
	}
	if was, ok := s.brought()[d.Name]; ok && was.Base != d.Base {
		return invalid("transport", d.Name, "its base is %s, and cannot be %s", was.Base, d.Base)
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		var base string
		err := tx.QueryRow(`SELECT base FROM panelmail_transport WHERE name = ?`, d.Name).Scan(&base)
		if err == nil && base != d.Base {
			users, err := usersOf(tx, d.Name)
			if err != nil || len(users) > 0 {
				return inUse("the base of transport", d.Name, users, err)
			}
		}
		_, err = tx.Exec(`
			INSERT OR REPLACE INTO panelmail_transport (
				name, base, attempts, concurrency, initial, processes, recipients, cohorts, rate, rate_interval,
				rate_delay, retry_min, retry_max, lifetime, connect_timeout, helo_timeout, tls)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			d.Name, d.Base, d.Attempts, d.Limit, d.InitialConcurrency, d.Processes, d.RecipientLimit, d.FailedCohortLimit,
			d.Rate, d.RateInterval.Microseconds(), d.RateDelay.Microseconds(), d.Schedule.Min.Microseconds(),
			d.Schedule.Max.Microseconds(), d.Schedule.Lifetime.Microseconds(), d.ConnectTimeout.Microseconds(),
			d.HELOTimeout.Microseconds(), d.TLS)
		return err
	})
}

// RemoveTransport removes a transport. One that routes or mailboxes name is [ErrInUse],
// unless the program brings one of that name.
func (s *Sites) RemoveTransport(ctx context.Context, name string) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_transport WHERE name = ?`, name)
		if err := affected(r, err, notFound("transport", name)); err != nil {
			return err
		}
		if _, ok := s.brought()[name]; ok {
			return nil
		}
		users, err := usersOf(tx, name)
		if err != nil || len(users) > 0 {
			return inUse("transport", name, users, err)
		}
		return nil
	})
}

func inUse(kind, name string, users []string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("sites: %s %q %w by %s", kind, name, ErrInUse, strings.Join(users, ", "))
}

// maxUsers is how many rows an error names.
const maxUsers = 20

// usersOf names the rows that name a transport, the first of them at least.
func usersOf(tx *sql.Tx, name string) ([]string, error) {
	users, err := texts(tx.Query(`
		SELECT 'route ' || pattern FROM panelmail_route
		WHERE trim(substr(value, 1, instr(value || ':', ':') - 1)) = ?1
		UNION ALL
		SELECT 'sender route ' || key FROM panelmail_sender_route
		WHERE trim(substr(value, 1, instr(value || ':', ':') - 1)) = ?1
		UNION ALL
		SELECT 'mailbox ' || key FROM panelmail_mailbox
		WHERE trim(substr(deliver, 1, instr(deliver || ':', ':') - 1)) = ?1
		LIMIT ?2`, name, maxUsers+1))
	if len(users) > maxUsers {
		users[maxUsers] = "others"
	}
	return users, err
}

// ListTransports returns the transports kept here in order of name.
func (s *Sites) ListTransports(ctx context.Context) ([]transport.Definition, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(snap.transports), func(a, b transport.Definition) int {
		return strings.Compare(a.Name, b.Name)
	}), nil
}

// Definition implements [transport.Definer] with the transports kept here.
func (s *Sites) Definition(ctx context.Context, name string) (d transport.Definition, ok bool, err error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return d, false, err
	}
	d, ok = snap.transports[name]
	return d, ok, nil
}

func loadTransports(tx *sql.Tx, snap *Snapshot) (err error) {
	snap.transports, err = readTransports(tx)
	return err
}

func readTransports(tx *sql.Tx) (transport.Definitions, error) {
	rows, err := tx.Query(`
		SELECT name, base, attempts, concurrency, initial, processes, recipients, cohorts, rate, rate_interval,
			rate_delay, retry_min, retry_max, lifetime, connect_timeout, helo_timeout, tls
		FROM panelmail_transport`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := transport.Definitions{}
	for rows.Next() {
		var d transport.Definition
		durations := []*time.Duration{
			&d.RateInterval, &d.RateDelay, &d.Schedule.Min, &d.Schedule.Max, &d.Schedule.Lifetime, &d.ConnectTimeout, &d.HELOTimeout,
		}
		into := []any{
			&d.Name, &d.Base, &d.Attempts, &d.Limit, &d.InitialConcurrency, &d.Processes, &d.RecipientLimit,
			&d.FailedCohortLimit, &d.Rate,
		}
		for _, p := range durations {
			into = append(into, (*int64)(p))
		}
		if err := rows.Scan(append(into, &d.TLS)...); err != nil {
			return nil, err
		}
		for _, p := range durations {
			*p *= time.Microsecond
		}
		all[d.Name] = d
	}
	return all, rows.Err()
}
