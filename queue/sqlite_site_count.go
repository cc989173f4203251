package queue

import (
	"context"
	"database/sql"
	"errors"
)

// countSite counts in the same way as emptySite removes, but for lanes.
func (e *engine) countSite(ctx context.Context, site string, domains []string) (found siteTally, err error) {
	l, err := e.leaving(site, domains)
	if err != nil {
		return found, err
	}
	for _, part := range []func(context.Context, *siteTally) error{l.countMail, l.countEvents, l.countRows} {
		if err := part(ctx, &found); err != nil {
			return found, err
		}
	}
	return found, nil
}

func (l *leaving) countMail(ctx context.Context, found *siteTally) error {
	for after := int64(0); ; {
		page, err := l.pick(ctx, siteMessages, l.site, l.domains, after, emptyMessages)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1]
		for _, message := range page {
			var arrived, size, recipients int64
			err := l.engine.read.QueryRowContext(ctx, siteMessage, message).Scan(&arrived, &size, &recipients)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			found.message(arrived, size, recipients)
		}
	}
	for last := (place{position: -1}); l.domains != "[]"; {
		page, err := l.inbound(ctx, last)
		if err != nil || len(page) == 0 {
			return err
		}
		last = page[len(page)-1]
		found.add("recipients", int64(len(page)))
	}
	return nil
}

func (l *leaving) countEvents(ctx context.Context, found *siteTally) error {
	var first, last int64
	if err := l.engine.read.QueryRowContext(ctx, selectKept).Scan(&first, &last); err != nil {
		return err
	}
	for after := first - 1; after < last; after += eventScan {
		page, err := l.pick(ctx, siteEvents, l.site, l.domains, after, min(last, after+eventScan))
		if err != nil {
			return err
		}
		found.add("events", int64(len(page)))
	}
	return nil
}

func (l *leaving) countRows(ctx context.Context, found *siteTally) error {
	for kind, query := range map[string]string{
		"rules":  `SELECT count(*) FROM panelmail_rule WHERE site = ?1`,
		"keys":   `SELECT count(*) FROM panelmail_key WHERE site = ?1`,
		"counts": `SELECT count(*) FROM panelmail_count WHERE site = ?1`,
	} {
		var n int64
		if err := l.engine.read.QueryRowContext(ctx, query, l.site).Scan(&n); err != nil {
			return err
		}
		found.add(kind, n)
	}
	return nil
}
