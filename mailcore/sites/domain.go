package sites

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// A Class says what we do with mail to a domain.
type Class string

// The classes.
const (
	Hosted Class = "hosted" // its mailboxes are ours
	Alias  Class = "alias"  // its addresses are aliases, no mailboxes
	Relay  Class = "relay"  // we pass its mail on
)

// A Domain is a domain that a site answers for: as a sender, and in the way of
// its class as a recipient.
type Domain struct {
	Name  string `json:"domain"` // A-labels in lower case, without final dot
	Site  string `json:"site"`
	Class Class  `json:"class"`

	// Listed says that of a relay domain only the recipients that
	// [Sites.AddRecipients] named are taken. AddDomain does not look at it.
	Listed bool `json:"listed,omitempty"`
}

// AddDomain gives a domain to a site. Its name may be written with U-labels
// and in any case. A domain of another site is [ErrNotOwner], as is one in
// which another site has a login named like an address.
func (s *Sites) AddDomain(ctx context.Context, d Domain) error {
	name, err := address.ParseDomain(d.Name)
	if err != nil {
		return invalid("domain", d.Name, "%v", err)
	}
	switch d.Class {
	case Hosted, Alias, Relay:
	default:
		return invalid("domain", d.Name, "class %q is not hosted, alias or relay", d.Class)
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := mustHaveSite(tx, d.Site); err != nil {
			return err
		}
		owner, err := domainSite(tx, name)
		switch {
		case err != nil:
			return err
		case owner == d.Site:
			return exists("domain", name)
		case owner != "":
			return notOwner("domain", name, owner)
		}
		var login string
		err = tx.QueryRow(`
			SELECT name, site FROM panelmail_login WHERE domain = ? AND site <> ? LIMIT 1`,
			name, d.Site).Scan(&login, &owner)
		if err == nil {
			return notOwner("login", login, owner)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		_, err = tx.Exec(`
			INSERT INTO panelmail_domain (name, site, class) VALUES (?, ?, ?)`, name, d.Site, d.Class)
		return err
	})
}

// RemoveDomain removes a domain with the rows about it: mailboxes, aliases,
// recipients, routes, TLS policies, and the sources, smart hosts, credentials
// and logins of its addresses. So the next site to have it starts with nothing
// of the former one. What the panel says of hosts below the domain stays where it is
// needed, as in [Sites.RemoveSite].
func (s *Sites) RemoveDomain(ctx context.Context, name string) (Receipt, error) {
	folded, err := address.ParseDomain(name)
	if err != nil {
		return Receipt{}, invalid("domain", name, "%v", err)
	}
	var r Receipt
	err = s.change(ctx, func(tx *sql.Tx) error {
		site, err := domainSite(tx, folded)
		if err != nil {
			return err
		}
		if site == "" {
			return notFound("domain", folded)
		}
		n := tally{}
		r = Receipt{Site: site, Rows: n}
		return removeOfDomain(tx, folded, s.configuredSmartHost(), n)
	})
	return r, err
}

// ListDomains returns the domains of a site, or of all sites if site is "", in
// order of name.
func (s *Sites) ListDomains(ctx context.Context, site string) ([]Domain, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	list := []Domain{}
	for _, d := range snap.domains {
		if site == "" || d.Site == site {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b Domain) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// mustHaveSite is [ErrNotFound] for an unknown site.
func mustHaveSite(tx *sql.Tx, name string) error {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM panelmail_site WHERE name = ?`, name).Scan(&n)
	if err == nil && n == 0 {
		return notFound("site", name)
	}
	return err
}

// domainSite is the site of a folded domain, or "".
func domainSite(tx *sql.Tx, name string) (site string, err error) {
	err = tx.QueryRow(`SELECT site FROM panelmail_domain WHERE name = ?`, name).Scan(&site)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return site, err
}

func siteDomains(tx *sql.Tx, site string) ([]string, error) {
	return texts(tx.Query(`SELECT name FROM panelmail_domain WHERE site = ? ORDER BY name`, site))
}

// texts reads rows of one text each.
func texts(rows *sql.Rows, err error) ([]string, error) {
	all := []string{}
	err = eachRow(rows, err, func() error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		all = append(all, text)
		return nil
	})
	return all, err
}

// eachRow calls take for each row of a query, which is to scan it.
func eachRow(rows *sql.Rows, err error, take func() error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(); err != nil {
			return err
		}
	}
	return rows.Err()
}
