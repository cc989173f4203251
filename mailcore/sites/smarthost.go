package sites

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/transport"
)

// A SmartHost is a next hop for all mail of a sender that no route and no
// class of domain sends elsewhere.
type SmartHost struct {
	// Key is "default" for every sender, or a key as in [Source].
	Key string `json:"key"`

	// Nexthop is domain, [host], either with :port, or a list of them;
	// without brackets the exchangers of the domain are looked up. DUNNO makes
	// the key an exception: its mail goes where the default says.
	Nexthop string `json:"nexthop"`

	// Credential authenticates there; zero: the one of [Sites.SetCredential],
	// or none. It prints without its password. In lists the password is
	// empty.
	Credential transport.Credential `json:"credential,omitzero"`
}

// Check reports what is wrong with a smart host, as [Sites.SetSmartHost] does,
// but for whether the site of its key exists.
func (h SmartHost) Check() error {
	if _, err := parseSenderKey("smart host", h.Key); err != nil {
		return err
	}
	if h.keepsDefault() {
		if h.Key == keyDefault || h.Credential != (transport.Credential{}) {
			return invalid("smart host", h.Key, "%s is for senders, and takes no credential", keepDefault)
		}
		return nil
	}
	if _, err := foldNexthops("smart host", h.Nexthop); err != nil {
		return err
	}
	for _, hop := range splitNexthops(h.Nexthop) {
		if err := checkNexthop(hop); err != nil {
			return invalid("smart host", h.Key, "next hop %s: %v", hop, err)
		}
	}
	if h.Credential == (transport.Credential{}) {
		return nil
	}
	if h.Credential.OAuth {
		return invalid("smart host", h.Key, "a token is a credential of the next hop: see SetCredential")
	}
	return checkCredential("smart host", h.Key, h.Credential)
}

func (h SmartHost) keepsDefault() bool { return strings.EqualFold(h.Nexthop, keepDefault) }

// SetSmartHost adds a smart host or replaces the one of the same key.
func (s *Sites) SetSmartHost(ctx context.Context, h SmartHost) error {
	return s.change(ctx, func(tx *sql.Tx) error { return putSmartHost(tx, h) })
}

// putSmartHost stores one row.
func putSmartHost(tx *sql.Tx, h SmartHost) error {
	if err := h.Check(); err != nil {
		return err
	}
	key, err := parseSenderKey("smart host", h.Key)
	if err != nil {
		return err
	}
	nexthop := keepDefault
	if !h.keepsDefault() {
		if nexthop, err = foldNexthops("smart host", h.Nexthop); err != nil {
			return err
		}
	}
	if err := mustHaveKeySite(tx, key); err != nil {
		return err
	}
	_, err = tx.Exec(`
		INSERT INTO panelmail_smarthost (key, domain, site, nexthop, login, password)
		VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE
		SET nexthop = excluded.nexthop, login = excluded.login, password = excluded.password`,
		key.key, key.domain, key.site, nexthop, h.Credential.User, h.Credential.Password)
	return err
}

// RemoveSmartHost removes the smart host of a key.
func (s *Sites) RemoveSmartHost(ctx context.Context, key string) error {
	return s.removeKey(ctx, "smart host", key, `DELETE FROM panelmail_smarthost WHERE key = ?`)
}

// ListSmartHosts returns the smart hosts in order of key, without passwords.
func (s *Sites) ListSmartHosts(ctx context.Context) ([]SmartHost, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]SmartHost, 0, len(snap.smartHosts))
	for key, row := range snap.smartHosts {
		h := SmartHost{Key: key, Nexthop: row.nexthop}
		h.Credential.User = row.credential().User
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b SmartHost) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// A smartHostRow is a smart host as looked up. The credential is behind a
// function so that no printing of the row can show it.
type smartHostRow struct {
	key        string
	domain     string // that the key is about; "" for none
	nexthop    string
	credential func() transport.Credential
}

// authenticates reports whether the row brings a credential for nexthop.
func (r smartHostRow) authenticates(nexthop string) bool {
	return r.nexthop == nexthop && r.credential().User != ""
}

func loadSmartHosts(tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.Query(`
		SELECT key, domain, nexthop, login, password FROM panelmail_smarthost`)
	return eachRow(rows, err, func() error {
		var row smartHostRow
		var c transport.Credential
		if err := rows.Scan(&row.key, &row.domain, &row.nexthop, &c.User, &c.Password); err != nil {
			return err
		}
		row.credential = func() transport.Credential { return c }
		snap.smartHosts[row.key] = row
		return nil
	})
}
