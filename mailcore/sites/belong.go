package sites

import "database/sql"

// A belonging is a table with rows that belong to a site and go with it: rows of
// the site itself, rows about a domain of the site, or both.
type belonging struct {
	kind  string // what a receipt calls the rows
	table string
	site  string // the column with the name of the site; "": there is none
	key   string // a column in which rows of the whole site have that name as well; "": there is none

	// domain is the condition on rows about the domain ?1; "": there are none. ?2 are
	// the keys that are needed: see neededKeys.
	domain string
}

// ofDomain is the condition where the rows have a column for the domain that they
// are about, which is one of a site. The empty one is of rows about none.
const ofDomain = `domain = ?1 AND domain <> ''`

// hostOf is the host in a column of next hops, domains, and domains with a dot in
// front.
const hostOf = `CASE
	WHEN key LIKE '[%' THEN substr(key, 2, instr(key, ']') - 2)
	WHEN instr(key, ':') > 0 THEN substr(key, 1, instr(key, ':') - 1)
	ELSE ltrim(key, '.') END`

// within is the condition where a name is that of the domain or below it. What is
// below a domain of its own, whoever has that, goes with that one.
func within(name string) string {
	below := func(name, domain string) string {
		return `substr(` + name + `, -length(` + domain + `) - 1) = '.' || ` + domain
	}
	return `(` + name + ` = ?1 OR ` + below(name, `?1`) + `) AND NOT EXISTS (
		SELECT 1 FROM panelmail_domain AS d WHERE d.name <> ?1 AND ` + below(`d.name`, `?1`) + `
		AND (` + name + ` = d.name OR ` + below(name, `d.name`) + `))`
}

// belongings is the one list of such tables: removing and renaming a site, and
// removing a domain, go by it. Every table with a column for a site must be here.
// Domains come last, for their rows say whose the others are.
var belongings = [...]belonging{
	{kind: "uids", table: "panelmail_site_uid", site: "site"},
	{kind: "logins", table: "panelmail_login", site: "site", domain: ofDomain},
	{kind: "mailboxes", table: "panelmail_mailbox", domain: ofDomain},
	{kind: "aliases", table: "panelmail_alias", domain: ofDomain},
	{kind: "relay_recipients", table: "panelmail_domain_recipient", domain: ofDomain},
	{kind: "routes", table: "panelmail_route", domain: within(`domain`)},
	{kind: "sender_routes", table: "panelmail_sender_route", site: "site", key: "key", domain: within(`domain`)},
	{kind: "sources", table: "panelmail_source", site: "site", key: "key", domain: within(`domain`)},
	{kind: "smarthosts", table: "panelmail_smarthost", site: "site", key: "key", domain: within(`domain`)},
	{kind: "credentials", table: "panelmail_credential", domain: within(`CASE domain WHEN '' THEN `+hostOf+` ELSE domain END`) +
		` AND (domain <> '' OR ` + unneeded + `)`},
	{kind: "tls_policies", table: "panelmail_tls", site: "site", domain: `site = '' AND ` + within(hostOf) + ` AND ` + unneeded},
	{kind: "sts_policies", table: "panelmail_sts", domain: within(`domain`)},
	{kind: "templates", table: "panelmail_template", site: "site"},
	{kind: "dkim_keys", table: "panelmail_dkim", domain: ofDomain},
	{kind: "dkim_signers", table: "panelmail_dkim_signer", domain: within(hostOf) + ` AND ` + unneeded},
	{kind: "dkim_policies", table: "panelmail_dkim_policy", domain: ofDomain},
	{kind: "srs_secrets", table: "panelmail_srs_secret", site: "site"},
	{kind: "domains", table: "panelmail_domain", site: "site", domain: `name = ?1`},
}

// A tally is how many rows of each kind were removed; kinds without any are not in
// it.
type tally map[string]int

// run adds the number of rows that a statement changed.
func (n tally) run(tx *sql.Tx, kind, query string, args ...any) error {
	res, err := tx.Exec(query, args...)
	if err != nil {
		return err
	}
	rows, err := res.RowsAffected()
	n.add(kind, int(rows))
	return err
}

func (n tally) add(kind string, rows int) {
	if rows > 0 {
		n[kind] += rows
	}
}

// removeOfSite removes the rows of a site and those about its domains. configured
// is the smart host of the program, "" for none.
func removeOfSite(tx *sql.Tx, site, configured string, n tally) error {
	g, err := goingOfSite(tx, site, configured)
	if err != nil {
		return err
	}
	for _, domain := range g.domains {
		if err := g.removeAbout(tx, domain, n); err != nil {
			return err
		}
	}
	for _, b := range belongings {
		if b.site == "" {
			continue
		}
		if err := n.run(tx, b.kind, `DELETE FROM `+b.table+` WHERE `+b.site+` = ?`, site); err != nil {
			return err
		}
	}
	return nil
}

// countOfSite counts what removeOfSite would remove.
func countOfSite(tx *sql.Tx, site, configured string, n tally) error {
	g, err := goingOfSite(tx, site, configured)
	if err != nil {
		return err
	}
	for _, b := range belongings {
		var rows int
		if err := tx.QueryRow(`SELECT count(*) FROM `+b.table+` WHERE `+b.going(), g.args()...).Scan(&rows); err != nil {
			return err
		}
		n.add(b.kind, rows)
	}
	return nil
}

// removeOfDomain removes a domain and the rows about it. configured is as in
// removeOfSite.
func removeOfDomain(tx *sql.Tx, domain, configured string, n tally) error {
	g, err := newGoing(tx, nil, []string{domain}, configured)
	if err != nil {
		return err
	}
	return g.removeAbout(tx, domain, n)
}

func (g *going) removeAbout(tx *sql.Tx, domain string, n tally) error {
	for _, b := range belongings {
		if b.domain == "" {
			continue
		}
		if err := n.run(tx, b.kind, `DELETE FROM `+b.table+` WHERE `+b.domain, domain, g.needed); err != nil {
			return err
		}
	}
	return nil
}

// renameInRows gives the rows of a site its new name.
func renameInRows(tx *sql.Tx, site, to string) error {
	for _, b := range belongings {
		if b.site == "" {
			continue
		}
		set := b.site + ` = ?1`
		if b.key != "" {
			set += `, ` + b.key + ` = iif(` + b.key + ` = ?2, ?1, ` + b.key + `)`
		}
		if _, err := tx.Exec(`UPDATE `+b.table+` SET `+set+` WHERE `+b.site+` = ?2`, to, site); err != nil {
			return err
		}
	}
	return nil
}
