package sites

import (
	"context"
	"database/sql"
	"slices"
	"strings"

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
	domain, err := foldDomain(name)
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

// SetRoutes adds or replaces all of the routes, or on any error none.
func (s *Sites) SetRoutes(ctx context.Context, routes []Route) error {
	type row struct{ pattern, domain, value string }
	list := make([]row, 0, len(routes))
	for _, r := range routes {
		pattern, domain := foldPattern(r.Pattern)
		if err := transport.ValidateEntry(pattern, r.Value); err != nil {
			return invalid("route", r.Pattern, "%v", err)
		}
		list = append(list, row{pattern, domain, r.Value})
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		for _, r := range list {
			_, err := tx.Exec(`
				INSERT INTO panelmail_route (pattern, domain, value) VALUES (?, ?, ?)
				ON CONFLICT (pattern) DO UPDATE SET value = excluded.value`, r.pattern, r.domain, r.value)
			if err != nil {
				return err
			}
		}
		return nil
	})
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

// A routeTable is the transport map as looked up.
type routeTable struct {
	list []Route
	*transport.Table
}

func loadRoutes(tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.Query(`SELECT pattern, value FROM panelmail_route ORDER BY pattern`)
	if err != nil {
		return err
	}
	defer rows.Close()
	list := []Route{}
	for rows.Next() {
		var r Route
		if err := rows.Scan(&r.Pattern, &r.Value); err != nil {
			return err
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	table, err := transport.NewTable(routeTableName, func(yield func(string, string) bool) {
		for _, r := range list {
			if !yield(r.Pattern, r.Value) {
				return
			}
		}
	})
	snap.routes = routeTable{list, table}
	return err
}
