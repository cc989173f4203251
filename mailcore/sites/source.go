package sites

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/transport"
)

// A Source says where the mail of a sender leaves from. Sources with one key are a
// pool: each message leaves from one of them, the same at every attempt.
//
// The most specific key counts, in this order: the reverse-path; the reverse-path
// without its +extension; its @domain; the login that submitted the message; the
// site that answers for it; "default". The null reverse-path has the key <> in
// place of the first three. So a bounce leaves by <>, else from the source of the
// site whose mail it is about. A copy that is forwarded under a rewritten
// reverse-path leaves from the source of the domain or the site that forwards;
// whoever wrote it has no say. Mail of strangers that is passed on under their own
// reverse-path leaves from a source about none of our domains, or the default.
type Source struct {
	// Key is an address, @domain, <> for the null reverse-path, login:NAME, the
	// name of a site, or "default" for all other mail.
	Key string `json:"key"`

	// Site is the site of a login that is not among those of [Sites.AddLogin],
	// because another program knows them. Other keys need none.
	Site string `json:"site,omitempty"`

	// IPv4 and IPv6 are the local addresses to connect from; HELO is the name
	// to say. At least one of the three is set. With one address only, the
	// other family is not used.
	IPv4 netip.Addr `json:"ipv4,omitzero"`
	IPv6 netip.Addr `json:"ipv6,omitzero"`
	HELO string     `json:"helo,omitempty"`

	// Prefer is the address family to connect with first, or alone.
	Prefer transport.Family `json:"prefer,omitempty"`

	// Weight is the share of the messages of its pool that this source gets, from
	// 1 to 1,000,000. If zero, 1.
	Weight int `json:"weight,omitempty"`
}

const (
	loginKey  = "login:" // before the name of a login
	maxWeight = 1_000_000
)

func (src Source) check() error {
	switch bad := func(ip netip.Addr) bool { return ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" }; {
	case src.IPv4.IsValid() && (!src.IPv4.Is4() || bad(src.IPv4)):
		return invalid("source", src.Key, "%s is no IPv4 address to send from", src.IPv4)
	case src.IPv6.IsValid() && (!src.IPv6.Is6() || src.IPv6.Is4In6() || bad(src.IPv6)):
		return invalid("source", src.Key, "%s is no IPv6 address to send from", src.IPv6)
	case !src.IPv4.IsValid() && !src.IPv6.IsValid() && src.HELO == "":
		return invalid("source", src.Key, "it has neither an address nor a HELO name")
	case !src.Prefer.Known():
		return invalid("source", src.Key, "%q is no preference: want ipv4, ipv6, ipv4-only or ipv6-only", src.Prefer)
	case src.Prefer == transport.OnlyIPv4 && src.IPv6.IsValid(), src.Prefer == transport.OnlyIPv6 && src.IPv4.IsValid():
		return invalid("source", src.Key, "it has an address that %s never uses", src.Prefer)
	case src.Weight < 0 || src.Weight > maxWeight:
		return invalid("source", src.Key, "weight %d is not from 1 to %d", src.Weight, maxWeight)
	}
	if src.HELO == "" {
		return nil
	}
	if helo, err := address.ParseDomain(src.HELO); err != nil || !strings.EqualFold(helo, src.HELO) {
		return invalid("source", src.Key, "HELO name %q is no host name in ASCII", src.HELO)
	}
	return nil
}

// parseSourceKey is parseSenderKey with logins.
func parseSourceKey(key string) (senderKey, error) {
	name, ok := strings.CutPrefix(key, loginKey)
	if !ok {
		return parseSenderKey("source", key)
	}
	folded, domain, err := foldLogin(name)
	return senderKey{key: loginKey + folded, domain: domain}, err
}

// SetSource makes a source the only one of its key.
func (s *Sites) SetSource(ctx context.Context, src Source) error { return s.setSource(ctx, src, true) }

// AddSource adds a source to the pool of its key, or replaces the one there with
// the same addresses.
func (s *Sites) AddSource(ctx context.Context, src Source) error { return s.setSource(ctx, src, false) }

func (s *Sites) setSource(ctx context.Context, src Source, alone bool) error {
	return s.change(ctx, func(tx *sql.Tx) error { return putSource(tx, src, alone) })
}

// putSource stores one row, alone or beside the others of its pool.
func putSource(tx *sql.Tx, src Source, alone bool) error {
	key, err := parseSourceKey(src.Key)
	if err != nil {
		return err
	}
	if err := src.check(); err != nil {
		return err
	}
	if err := mustHaveKeySite(tx, key); err != nil {
		return err
	}
	if name, ok := strings.CutPrefix(key.key, loginKey); ok {
		if key.site, err = loginSite(tx, name, src.Site); err != nil {
			return err
		}
	}
	if alone {
		if _, err := tx.Exec(`DELETE FROM panelmail_source WHERE key = ?`, key.key); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`
		INSERT INTO panelmail_source (key, domain, site, ipv4, ipv6, helo, prefer, weight)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (key, ipv4, ipv6) DO UPDATE
		SET helo = excluded.helo, prefer = excluded.prefer, weight = excluded.weight`,
		key.key, key.domain, key.site, addrText(src.IPv4), addrText(src.IPv6), src.HELO, src.Prefer, cmp.Or(src.Weight, 1))
	return err
}

// loginSite is the site of a login; that which is named, if it is there, for one
// that is not in the tables.
func loginSite(tx *sql.Tx, login, named string) (site string, err error) {
	err = tx.QueryRow(`SELECT site FROM panelmail_login WHERE name = ?`, login).Scan(&site)
	switch {
	case !errors.Is(err, sql.ErrNoRows):
		return site, err
	case named == "":
		return "", notFound("login", login)
	}
	return named, mustHaveSite(tx, named)
}

// RemoveSource removes the sources of a key.
func (s *Sites) RemoveSource(ctx context.Context, key string) error {
	k, err := parseSourceKey(key)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_source WHERE key = ?`, k.key)
		return affected(r, err, notFound("source", k.key))
	})
}

// RemoveSourceAddrs removes the source with these addresses from the pool of its
// key; one that it has none of is not valid.
func (s *Sites) RemoveSourceAddrs(ctx context.Context, key string, ipv4, ipv6 netip.Addr) error {
	k, err := parseSourceKey(key)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_source WHERE key = ? AND ipv4 = ? AND ipv6 = ?`,
			k.key, addrText(ipv4), addrText(ipv6))
		return affected(r, err, notFound("source", strings.TrimSpace(k.key+" "+addrText(ipv4)+" "+addrText(ipv6))))
	})
}

// ListSources returns the sources in order of key, those of a pool in order of
// their addresses.
func (s *Sites) ListSources(ctx context.Context) ([]Source, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Source, 0, len(snap.sources))
	for key, pool := range snap.sources {
		for _, row := range pool {
			src := Source{
				Key: key, IPv4: row.source.IPv4, IPv6: row.source.IPv6, HELO: row.source.HELO, Prefer: row.source.Prefer,
			}
			if len(pool) > 1 {
				src.Weight = row.weight
			}
			if strings.HasPrefix(key, loginKey) {
				src.Site = row.site
			}
			list = append(list, src)
		}
	}
	slices.SortFunc(list, func(a, b Source) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), a.IPv4.Compare(b.IPv4), a.IPv6.Compare(b.IPv6))
	})
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
	site   string // whose the site or the login of the key is; "" for none
	weight int
	source transport.Source
}

func loadSources(tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.Query(`
		SELECT key, domain, site, ipv4, ipv6, helo, prefer, weight FROM panelmail_source ORDER BY key, ipv4, ipv6`)
	return eachRow(rows, err, func() error {
		var key, v4, v6 string
		var row sourceRow
		if err := rows.Scan(&key, &row.domain, &row.site, &v4, &v6, &row.source.HELO, &row.source.Prefer, &row.weight); err != nil {
			return err
		}
		row.source.Name = key
		if row.source.IPv4, err = parseAddr(v4); err != nil {
			return err
		}
		if row.source.IPv6, err = parseAddr(v6); err != nil {
			return err
		}
		snap.sources[key] = append(snap.sources[key], row)
		return nil
	})
}

func parseAddr(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(s)
}
