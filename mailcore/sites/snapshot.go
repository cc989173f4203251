package sites

import (
	"context"
	"database/sql"
	"fmt"
	"io"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/transport"
)

// A Snapshot is the settings as they were at one revision. It never changes;
// its methods may be called from many goroutines at once. Logins are not in
// it: see [Sites.Authenticate].
type Snapshot struct {
	revision    int64
	sites       map[string]Site
	uids        map[int]string
	domains     map[string]Domain
	routes      routeTable
	sources     map[string]sourceRow
	smartHosts  map[string]smartHostRow
	credentials map[string]credentialRow
	tls         map[string]transport.TLSLevel
}

// Format prints the revision alone, whatever the verb: there are passwords
// inside.
func (s *Snapshot) Format(f fmt.State, _ rune) {
	io.WriteString(f, fmt.Sprint("sites.Snapshot ", s.Revision()))
}

// Revision counts the changes made to the settings so far.
func (s *Snapshot) Revision() int64 {
	if s == nil {
		return 0
	}
	return s.revision
}

// Site finds a site by name.
func (s *Snapshot) Site(name string) (Site, bool) {
	site, ok := s.sites[name]
	return site, ok
}

// SiteOfUID finds the site that a system user belongs to.
func (s *Snapshot) SiteOfUID(uid int) (Site, bool) {
	name, ok := s.uids[uid]
	if !ok {
		return Site{}, false
	}
	return s.Site(name)
}

// Domain finds a domain by its name, written with A-labels or U-labels and in
// any case.
func (s *Snapshot) Domain(name string) (Domain, bool) {
	if d, ok := s.domains[name]; ok {
		return d, true
	}
	folded, err := foldDomain(name)
	if err != nil {
		return Domain{}, false
	}
	d, ok := s.domains[folded]
	return d, ok
}

// Owns reports whether a login may send with a reverse-path. A login without a
// name stands for the site itself, as for the sendmail socket. The null
// reverse-path is everybody's. A login named like an address owns that address
// with any extension, as long as the domain is not another site's; any other
// login owns the domains of its site.
func (s *Snapshot) Owns(l Login, reversePath string) bool {
	if reversePath == "" {
		return true
	}
	a, err := address.Parse(reversePath)
	if err != nil || a.Domain == "" || l.Site == "" {
		return false
	}
	a = a.Fold()
	site := s.domains[a.Domain].Site
	own, _, err := foldLogin(l.Name)
	if l.Name == "" || err == nil && !isAddress(own) {
		return site == l.Site
	}
	if err != nil || site != "" && site != l.Site {
		return false
	}
	base, _ := a.SplitExtension(delimiter)
	return own == a.String() || own == base.String()
}

// load reads everything in one transaction.
func load(ctx context.Context, tx *sql.Tx) (*Snapshot, error) {
	s := &Snapshot{
		sites:       map[string]Site{},
		uids:        map[int]string{},
		domains:     map[string]Domain{},
		sources:     map[string]sourceRow{},
		smartHosts:  map[string]smartHostRow{},
		credentials: map[string]credentialRow{},
		tls:         map[string]transport.TLSLevel{},
	}
	err := tx.QueryRowContext(ctx, `SELECT revision FROM panelmail_sites_version`).Scan(&s.revision)
	if err != nil {
		return nil, err
	}
	for _, part := range []func(context.Context, *sql.Tx, *Snapshot) error{
		loadSites, loadUIDs, loadDomains, loadRoutes, loadSources, loadSmartHosts, loadCredentials, loadTLS,
	} {
		if err := part(ctx, tx, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func loadSites(ctx context.Context, tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.QueryContext(ctx, `SELECT name, contact, suspended FROM panelmail_site`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var site Site
		if err := rows.Scan(&site.Name, &site.Contact, &site.Suspended); err != nil {
			return err
		}
		snap.sites[site.Name] = site
	}
	return rows.Err()
}

func loadUIDs(ctx context.Context, tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.QueryContext(ctx, `SELECT uid, site FROM panelmail_site_uid ORDER BY uid`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var uid int
		var name string
		if err := rows.Scan(&uid, &name); err != nil {
			return err
		}
		snap.uids[uid] = name
		site := snap.sites[name]
		site.UIDs = append(site.UIDs, uid)
		snap.sites[name] = site
	}
	return rows.Err()
}

func loadDomains(ctx context.Context, tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.QueryContext(ctx, `SELECT name, site, class FROM panelmail_domain`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var d Domain
		if err := rows.Scan(&d.Name, &d.Site, &d.Class); err != nil {
			return err
		}
		snap.domains[d.Name] = d
	}
	return rows.Err()
}
