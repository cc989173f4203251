package sites

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/transport"
)

// A Route is a line of the transport map, in the syntax of Postfix's
// transport(5).
type Route struct {
	Pattern string `json:"pattern"` // address, domain, .parent or *
	Value   string `json:"value"`   // transport:nexthop
}

// foldPattern makes the key of a pattern, and the domain it is about. What it
// cannot fold stays as it is, for [transport.ValidateEntry] to judge.
func foldPattern(pattern string) (folded, domain string) {
	if strings.Contains(pattern, "@") {
		if folded, domain, err := foldAddress(pattern); err == nil {
			return folded, domain
		}
		return strings.ToLower(pattern), ""
	}
	name, dotted := strings.CutPrefix(pattern, ".")
	domain, err := address.ParseDomain(name)
	switch {
	case err != nil:
		return strings.ToLower(pattern), ""
	case dotted:
		return "." + domain, domain
	}
	return domain, domain
}

// SetRoute adds a route or replaces the one of the same pattern.
func (s *Sites) SetRoute(ctx context.Context, r Route) error {
	return s.SetRoutes(ctx, []Route{r})
}

// SetRoutes adds or replaces all of the routes, or on any error none. A transport
// that is not defined is [ErrInvalid].
func (s *Sites) SetRoutes(ctx context.Context, routes []Route) error {
	return s.Import(ctx, Import{Routes: routes})
}

// putRoute stores one row.
func (w *importer) putRoute(r Route) error {
	pattern, domain := foldPattern(r.Pattern)
	if err := transport.ValidateEntry(pattern, r.Value); err != nil {
		return invalid("route", r.Pattern, "%v", err)
	}
	route, err := transport.ParseRoute(r.Value)
	if err != nil {
		return invalid("route", r.Pattern, "%v", err)
	}
	if err := w.known("route", r.Pattern, route); err != nil {
		return err
	}
	if w.route == nil { // prepared, for there may be a million
		w.route, err = w.tx.Prepare(`
			INSERT INTO panelmail_route (pattern, domain, value) VALUES (?, ?, ?)
			ON CONFLICT (pattern) DO UPDATE SET value = excluded.value`)
		if err != nil {
			return err
		}
	}
	_, err = w.route.Exec(pattern, domain, r.Value)
	return err
}

// changeRoutes makes every process read the transport map again, and refuses one that
// could not be loaded. Whoever removes routes need not do that: a trigger does.
func (w *importer) changeRoutes() error {
	if _, err := w.tx.Exec(`UPDATE panelmail_sites_version SET routes = routes + 1`); err != nil {
		return err
	}
	var n int
	if err := w.tx.QueryRow(`SELECT count(*) FROM panelmail_route`).Scan(&n); err != nil {
		return err
	}
	if n > transport.MaxRows {
		return fmt.Errorf("sites: the transport map would be %w: %d rows, at most %d", ErrInvalid, n, transport.MaxRows)
	}
	return nil
}

// RemoveRoute removes the route of a pattern.
func (s *Sites) RemoveRoute(ctx context.Context, pattern string) error {
	folded, _ := foldPattern(pattern)
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_route WHERE pattern = ?`, folded)
		return affected(r, err, notFound("route", folded))
	})
}

// ListRoutes returns the routes in order of pattern.
func (s *Sites) ListRoutes(ctx context.Context) ([]Route, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(snap.routes.list), nil
}

// The rules of the transport map are named after it.
const (
	routeTableName = "route"
	routeRule      = routeTableName + ": "
)

// A routeTable is the transport map as looked up. It never changes.
type routeTable struct {
	revision int64 // of the routes alone
	list     []Route
	*transport.Table
}

func loadRoutes(tx *sql.Tx, revision int64) (routeTable, error) {
	rows, err := tx.Query(`SELECT pattern, value FROM panelmail_route ORDER BY pattern`)
	if err != nil {
		return routeTable{}, err
	}
	defer rows.Close()
	list := []Route{}
	for rows.Next() {
		var r Route
		if err := rows.Scan(&r.Pattern, &r.Value); err != nil {
			return routeTable{}, err
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return routeTable{}, err
	}
	table, err := transport.NewTable(routeTableName, func(yield func(string, string) bool) {
		for _, r := range list {
			if !yield(r.Pattern, r.Value) {
				return
			}
		}
	})
	return routeTable{revision, list, table}, err
}
