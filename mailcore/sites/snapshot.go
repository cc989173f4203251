package sites

import (
	"database/sql"
	"fmt"
	"io"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/transport"
)

// A Snapshot is the settings as they were at one revision. It never changes;
// its methods may be called from many goroutines at once. Logins are not in
// it: see [Sites.Authenticate].
type Snapshot struct {
	revision     int64
	sites        map[string]Site
	uids         map[int]string
	domains      map[string]Domain
	routes       routeTable
	senderRoutes map[string]senderRouteRow
	sources      map[string][]sourceRow // the members of each pool
	smartHosts   map[string]smartHostRow
	credentials  map[string]credentialRow
	transports   transport.Definitions
	tls          map[tlsRowKey]transport.TLSPolicy
	dkim         map[string][]int64     // numbers of the keys that sign
	dkimOwn      map[string]bool        // whose keys sign our reports, though a site may have the domain
	secrets      map[string][]srsSecret // of a ring, those that were made last first
	dkimSigners  map[string]bool
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

// SiteOfUID finds the name of the site that a system user belongs to.
func (s *Snapshot) SiteOfUID(uid int) (site string, ok bool) {
	site, ok = s.uids[uid]
	return site, ok
}

// Domain finds a domain by its name, written with A-labels or U-labels and in
// any case.
func (s *Snapshot) Domain(name string) (Domain, bool) {
	if d, ok := s.domains[name]; ok {
		return d, true
	}
	folded, err := address.ParseDomain(name)
	if err != nil {
		return Domain{}, false
	}
	d, ok := s.domains[folded]
	return d, ok
}

// SiteOf is the site that a reverse-path belongs to by its domain; "" if it
// belongs to none.
func (s *Snapshot) SiteOf(reversePath string) string {
	_, domain, err := foldAddress(reversePath)
	if err != nil {
		return ""
	}
	return s.domains[domain].Site
}

// SiteOwns reports whether a site may send with a reverse-path: its domain is
// one of the site's. The null reverse-path is everybody's.
func (s *Snapshot) SiteOwns(site, reversePath string) bool {
	if reversePath == "" {
		return true
	}
	_, domain, err := foldAddress(reversePath)
	return err == nil && domain != "" && site != "" && s.domains[domain].Site == site
}

// LoginOwns reports whether a login of a site may send with a reverse-path. A
// login named like an address owns that address, with any +extension, unless
// its domain is another site's; any other login owns what its site owns. The
// null reverse-path is everybody's.
func (s *Snapshot) LoginOwns(site, login, reversePath string) bool {
	own, _, err := foldLogin(login)
	if err != nil {
		return false
	}
	if reversePath == "" || !strings.Contains(own, "@") {
		return s.SiteOwns(site, reversePath)
	}
	a, err := address.Parse(reversePath)
	if err != nil {
		return false
	}
	a = a.Fold()
	if of := s.domains[a.Domain].Site; of != "" && of != site {
		return false
	}
	base, _ := a.SplitExtension(delimiter)
	return own == a.String() || own == base.String()
}

// load reads everything in one transaction, but for the routes, of which there may be
// a million, where those of the snapshot before hold. That may be nil.
func load(tx *sql.Tx, before *Snapshot) (*Snapshot, error) {
	s := &Snapshot{
		sites:        map[string]Site{},
		uids:         map[int]string{},
		domains:      map[string]Domain{},
		senderRoutes: map[string]senderRouteRow{},
		sources:      map[string][]sourceRow{},
		smartHosts:   map[string]smartHostRow{},
		credentials:  map[string]credentialRow{},
		tls:          map[tlsRowKey]transport.TLSPolicy{},
		dkim:         map[string][]int64{},
		dkimOwn:      map[string]bool{},
		secrets:      map[string][]srsSecret{},
		dkimSigners:  map[string]bool{},
	}
	var routes int64
	err := tx.QueryRow(`SELECT revision, routes FROM panelmail_sites_version`).Scan(&s.revision, &routes)
	if err != nil {
		return nil, err
	}
	if before != nil && before.routes.revision == routes {
		s.routes = before.routes
	} else if s.routes, err = loadRoutes(tx, routes); err != nil {
		return nil, err
	}
	for _, part := range []func(*sql.Tx, *Snapshot) error{
		loadSites, loadUIDs, loadDomains, loadSenderRoutes, loadSources, loadSmartHosts, loadCredentials, loadTLS, loadTransports,
		loadDKIM, loadDKIMSigners, loadSRS,
	} {
		if err := part(tx, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func loadSites(tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.Query(`SELECT name, contact, suspended, removing FROM panelmail_site`)
	return eachRow(rows, err, func() error {
		var site Site
		if err := rows.Scan(&site.Name, &site.Contact, &site.Suspended, &site.Removing); err != nil {
			return err
		}
		snap.sites[site.Name] = site
		return nil
	})
}

func loadUIDs(tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.Query(`SELECT uid, site FROM panelmail_site_uid ORDER BY uid`)
	return eachRow(rows, err, func() error {
		var uid int
		var name string
		if err := rows.Scan(&uid, &name); err != nil {
			return err
		}
		snap.uids[uid] = name
		site := snap.sites[name]
		site.UIDs = append(site.UIDs, uid)
		snap.sites[name] = site
		return nil
	})
}

func loadDomains(tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.Query(`SELECT name, site, class, listed FROM panelmail_domain`)
	return eachRow(rows, err, func() error {
		var d Domain
		if err := rows.Scan(&d.Name, &d.Site, &d.Class, &d.Listed); err != nil {
			return err
		}
		snap.domains[d.Name] = d
		return nil
	})
}
