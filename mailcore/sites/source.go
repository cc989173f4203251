package sites

import (
	"context"
	"database/sql"
	"net/netip"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/transport"
)

// A Source says where the mail of a sender leaves from.
type Source struct {
	// Key is an address, @domain, <> for the null reverse-path, or the name of
	// a site. The most specific key of a sender counts, in this order: the
	// address, the address without its +extension, @domain, the site.
	Key string `json:"key"`

	// IPv4 and IPv6 are the local addresses to connect from; HELO is the name
	// to say. At least one of the three is set. With one address only, the
	// other family is not used.
	IPv4 netip.Addr `json:"ipv4,omitzero"`
	IPv6 netip.Addr `json:"ipv6,omitzero"`
	HELO string     `json:"helo,omitempty"`
}

func (src Source) check() error {
	switch bad := func(ip netip.Addr) bool { return ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" }; {
	case src.IPv4.IsValid() && (!src.IPv4.Is4() || bad(src.IPv4)):
		return invalid("source", src.Key, "%s is no IPv4 address to send from", src.IPv4)
	case src.IPv6.IsValid() && (!src.IPv6.Is6() || src.IPv6.Is4In6() || bad(src.IPv6)):
		return invalid("source", src.Key, "%s is no IPv6 address to send from", src.IPv6)
	case !src.IPv4.IsValid() && !src.IPv6.IsValid() && src.HELO == "":
		return invalid("source", src.Key, "it has neither an address nor a HELO name")
	}
	if src.HELO == "" {
		return nil
	}
	if helo, err := foldDomain(src.HELO); err != nil || !strings.EqualFold(helo, src.HELO) {
		return invalid("source", src.Key, "HELO name %q is no host name in ASCII", src.HELO)
	}
	return nil
}

// SetSource adds a source or replaces the one of the same key.
func (s *Sites) SetSource(ctx context.Context, src Source) error {
	key, err := parseSenderKey("source", src.Key)
	if err != nil {
		return err
	}
	if err := src.check(); err != nil {
		return err
	}
	if key.key == keyDefault {
		return invalid("source", src.Key, "a source belongs to senders; the system's choice is the default")
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := mustHaveKeySite(tx, key); err != nil {
			return err
		}
		_, err := tx.Exec(`
			INSERT INTO panelmail_source (key, domain, site, ipv4, ipv6, helo) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET ipv4 = excluded.ipv4, ipv6 = excluded.ipv6, helo = excluded.helo`,
			key.key, key.domain, key.site, addrText(src.IPv4), addrText(src.IPv6), src.HELO)
		return err
	})
}

// RemoveSource removes the source of a key.
func (s *Sites) RemoveSource(ctx context.Context, key string) error {
	return s.removeKey(ctx, "source", key, `DELETE FROM panelmail_source WHERE key = ?`)
}

// ListSources returns the sources in order of key.
func (s *Sites) ListSources(ctx context.Context) ([]Source, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Source, 0, len(snap.sources))
	for key, row := range snap.sources {
		list = append(list, Source{Key: key, IPv4: row.source.IPv4, IPv6: row.source.IPv6, HELO: row.source.HELO})
	}
	slices.SortFunc(list, func(a, b Source) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// removeKey removes the row of a sender key.
func (s *Sites) removeKey(ctx context.Context, kind, key, query string) error {
	k, err := parseSenderKey(kind, key)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(query, k.key)
		return affected(r, err, notFound(kind, k.key))
	})
}

// mustHaveKeySite is [ErrNotFound] for the key of an unknown site.
func mustHaveKeySite(tx *sql.Tx, k senderKey) error {
	if k.site == "" {
		return nil
	}
	return mustHaveSite(tx, k.site)
}

func addrText(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}

// A sourceRow is a source as looked up.
type sourceRow struct {
	domain string // that the key is about; "" for none
	source transport.Source
}

func loadSources(tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.Query(`SELECT key, domain, ipv4, ipv6, helo FROM panelmail_source`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key, v4, v6 string
		var row sourceRow
		if err := rows.Scan(&key, &row.domain, &v4, &v6, &row.source.HELO); err != nil {
			return err
		}
		row.source.Name = key
		if row.source.IPv4, err = parseAddr(v4); err != nil {
			return err
		}
		if row.source.IPv6, err = parseAddr(v6); err != nil {
			return err
		}
		snap.sources[key] = row
	}
	return rows.Err()
}

func parseAddr(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(s)
}
