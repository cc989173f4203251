package sites

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/transport"
)

// keepDefault is what Postfix has in tables about senders for "as if this row were
// not there, and no other either".
const keepDefault = "DUNNO"

// A SenderRoute says by which transport the mail of a sender goes to other hosts
// when no route decides that, as Postfix's sender_dependent_default_transport_maps
// does. It says nothing of where from: that is a [Source].
type SenderRoute struct {
	// Key is "default" for every sender, or a key as in [Source].
	Key string `json:"key"`

	// Value is transport: or transport:nexthop. Without a next hop the smart host
	// stays in force, unlike in a [Route]. DUNNO is what holds without any
	// SenderRoute.
	Value string `json:"value"`
}

// parse is the route of the row; zero for DUNNO.
func (r SenderRoute) parse() (transport.Route, error) {
	if strings.EqualFold(r.Value, keepDefault) {
		return transport.Route{}, nil
	}
	if len(r.Value) > maxMapRow {
		return transport.Route{}, invalid("sender route", r.Key, "it is longer than %d octets", maxMapRow)
	}
	route, err := transport.ParseRoute(r.Value)
	switch {
	case err != nil:
		return route, invalid("sender route", r.Key, "%v", err)
	case route.Transport == "":
		return route, invalid("sender route", r.Key, "it names no transport; a next hop alone is a smart host")
	}
	return route, nil
}

// SetSenderRoute adds a sender route or replaces the one of the same key. A
// transport that is not defined is [ErrInvalid].
func (s *Sites) SetSenderRoute(ctx context.Context, r SenderRoute) error {
	return s.Import(ctx, Import{SenderRoutes: []SenderRoute{r}})
}

// putSenderRoute stores one row.
func (w *importer) putSenderRoute(r SenderRoute) error {
	key, err := parseSenderKey("sender route", r.Key)
	if err != nil {
		return err
	}
	route, err := r.parse()
	if err != nil {
		return err
	}
	if err := w.known("sender route", r.Key, route); err != nil {
		return err
	}
	if err := mustHaveKeySite(w.tx, key); err != nil {
		return err
	}
	_, err = w.tx.Exec(`
		INSERT INTO panelmail_sender_route (key, domain, site, value) VALUES (?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key.key, key.domain, key.site, r.Value)
	return err
}

// RemoveSenderRoute removes the sender route of a key.
func (s *Sites) RemoveSenderRoute(ctx context.Context, key string) error {
	return s.removeKey(ctx, "sender route", key, `DELETE FROM panelmail_sender_route WHERE key = ?`)
}

// ListSenderRoutes returns the sender routes in order of key.
func (s *Sites) ListSenderRoutes(ctx context.Context) ([]SenderRoute, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]SenderRoute, 0, len(snap.senderRoutes))
	for key, row := range snap.senderRoutes {
		list = append(list, SenderRoute{Key: key, Value: row.value})
	}
	slices.SortFunc(list, func(a, b SenderRoute) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// A senderRouteRow is a sender route as looked up.
type senderRouteRow struct {
	domain string // that the key is about; "" for none
	value  string
	route  transport.Route
}

func loadSenderRoutes(tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.Query(`SELECT key, domain, value FROM panelmail_sender_route`)
	return eachRow(rows, err, func() error {
		var key string
		var row senderRouteRow
		if err := rows.Scan(&key, &row.domain, &row.value); err != nil {
			return err
		}
		if row.route, err = (SenderRoute{Key: key, Value: row.value}).parse(); err != nil {
			return err
		}
		snap.senderRoutes[key] = row
		return nil
	})
}

// SenderRoute is what a planner's Defaults asks: by which transport the mail of the
// sender goes when no route says.
func (s *Snapshot) SenderRoute(_ context.Context, q transport.Query) (r transport.Route, rule string, ok bool, err error) {
	l := lookupSender(q.Sender)
	site := s.responsible(q, l)
	for _, key := range l.keys(site) {
		if row, found := s.senderRoutes[key]; found && s.visible(row.domain, site) {
			return row.route, "sender route: " + key, row.route.Transport != "", nil
		}
	}
	return r, "", false, nil
}
