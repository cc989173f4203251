package sites

import (
	"database/sql"
	"fmt"
	"strings"
)

// migrations bring the tables from version i to version i+1. They are only
// ever appended to.
//
// Rows about a sender carry the domain of their key, so that they vanish with
// it; rows for a whole site carry the site. No foreign keys: whether they are
// enforced is a property of a connection, and the connection is not ours.
var migrations = [...]string{`
CREATE TABLE panelmail_site (
	name      TEXT    NOT NULL PRIMARY KEY,
	contact   TEXT    NOT NULL,
	suspended INTEGER NOT NULL CHECK (suspended IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE panelmail_site_uid (
	uid  INTEGER NOT NULL PRIMARY KEY CHECK (uid >= 0),
	site TEXT    NOT NULL
) STRICT;

CREATE TABLE panelmail_domain (
	name  TEXT NOT NULL PRIMARY KEY,
	site  TEXT NOT NULL,
	class TEXT NOT NULL CHECK (class IN ('hosted', 'alias', 'relay'))
) STRICT, WITHOUT ROWID;
CREATE INDEX panelmail_domain_site ON panelmail_domain (site);

CREATE TABLE panelmail_login (
	name TEXT NOT NULL PRIMARY KEY,
	site TEXT NOT NULL,
	domain TEXT NOT NULL,                -- of a login named like an address, else ''
	hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX panelmail_login_site ON panelmail_login (site);
CREATE INDEX panelmail_login_domain ON panelmail_login (domain) WHERE domain <> '';

CREATE TABLE panelmail_route (
	pattern TEXT NOT NULL PRIMARY KEY,
	domain  TEXT NOT NULL,               -- that the pattern is about; '' for '*'
	value   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE panelmail_source (
	key    TEXT NOT NULL PRIMARY KEY,
	domain TEXT NOT NULL,                -- of an address or @domain key, else ''
	site   TEXT NOT NULL,                -- of a site key, else ''
	ipv4   TEXT NOT NULL,
	ipv6   TEXT NOT NULL,
	helo   TEXT NOT NULL,
	CHECK (ipv4 <> '' OR ipv6 <> '' OR helo <> '')
) STRICT, WITHOUT ROWID;

CREATE TABLE panelmail_smarthost (
	key      TEXT NOT NULL PRIMARY KEY,
	domain   TEXT NOT NULL,
	site     TEXT NOT NULL,
	nexthop  TEXT NOT NULL CHECK (nexthop <> ''),
	login    TEXT NOT NULL,              -- '': no authentication of its own
	password TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE panelmail_credential (
	key      TEXT NOT NULL PRIMARY KEY,  -- next hop as written in routes, or sender key
	domain   TEXT NOT NULL,
	login    TEXT NOT NULL CHECK (login <> ''),
	password TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE panelmail_tls (
	key   TEXT NOT NULL PRIMARY KEY,     -- domain, .parent or next hop
	level TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`, `
ALTER TABLE panelmail_domain ADD COLUMN
	listed INTEGER NOT NULL DEFAULT 0 CHECK (listed IN (0, 1));

CREATE TABLE panelmail_mailbox (
	key      TEXT    NOT NULL PRIMARY KEY,   -- address or @domain
	domain   TEXT    NOT NULL,
	deliver  TEXT    NOT NULL CHECK (deliver <> ''),
	max_size INTEGER NOT NULL CHECK (max_size >= 0),
	disabled INTEGER NOT NULL CHECK (disabled IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX panelmail_mailbox_domain ON panelmail_mailbox (domain);

CREATE TABLE panelmail_alias (
	key      TEXT    NOT NULL PRIMARY KEY,   -- address, @domain, or a name at the host itself
	domain   TEXT    NOT NULL,               -- '' for a name at the host itself
	targets  TEXT    NOT NULL CHECK (targets <> ''), -- one a line
	disabled INTEGER NOT NULL CHECK (disabled IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX panelmail_alias_domain ON panelmail_alias (domain);

CREATE TABLE panelmail_domain_recipient (
	key    TEXT NOT NULL PRIMARY KEY,        -- address
	domain TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX panelmail_domain_recipient_domain ON panelmail_domain_recipient (domain);
`, `
CREATE TABLE panelmail_source_member (
	key    TEXT    NOT NULL,
	domain TEXT    NOT NULL,             -- of an address or @domain key, and of a login named so, else ''
	site   TEXT    NOT NULL,             -- of the key of a site or of a login, else ''
	ipv4   TEXT    NOT NULL,
	ipv6   TEXT    NOT NULL,
	helo   TEXT    NOT NULL,
	prefer TEXT    NOT NULL,
	weight INTEGER NOT NULL CHECK (weight > 0),
	CHECK (ipv4 <> '' OR ipv6 <> '' OR helo <> ''),
	PRIMARY KEY (key, ipv4, ipv6)
) STRICT, WITHOUT ROWID;
INSERT INTO panelmail_source_member (key, domain, site, ipv4, ipv6, helo, prefer, weight)
	SELECT key, domain, site, ipv4, ipv6, helo, '', 1 FROM panelmail_source;
DROP TABLE panelmail_source;
ALTER TABLE panelmail_source_member RENAME TO panelmail_source;
`, `
CREATE TABLE panelmail_sender_route (
	key    TEXT NOT NULL PRIMARY KEY,
	domain TEXT NOT NULL,                -- of an address or @domain key, else ''
	site   TEXT NOT NULL,                -- of a site key, else ''
	value  TEXT NOT NULL                 -- transport:nexthop, or DUNNO
) STRICT, WITHOUT ROWID;
`, `
ALTER TABLE panelmail_credential ADD COLUMN
	oauth INTEGER NOT NULL DEFAULT 0 CHECK (oauth IN (0, 1));
`, `
CREATE TABLE panelmail_sts (
	domain  TEXT    NOT NULL PRIMARY KEY,
	id      TEXT    NOT NULL,
	policy  TEXT    NOT NULL,            -- as published
	fetched INTEGER NOT NULL,            -- microseconds UTC
	used    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`, `
CREATE TABLE panelmail_tls_policy (
	site    TEXT NOT NULL,               -- whose mail; '': everybody's
	key     TEXT NOT NULL,               -- domain, .parent, next hop or *
	level   TEXT NOT NULL,
	match   TEXT NOT NULL,
	ca      TEXT NOT NULL,               -- certificates in PEM
	min     TEXT NOT NULL,
	ciphers TEXT NOT NULL,
	PRIMARY KEY (site, key)
) STRICT, WITHOUT ROWID;
INSERT INTO panelmail_tls_policy (site, key, level, match, ca, min, ciphers)
	SELECT '', key, level, '', '', '', '' FROM panelmail_tls;
DROP TABLE panelmail_tls;
ALTER TABLE panelmail_tls_policy RENAME TO panelmail_tls;
`, `
ALTER TABLE panelmail_site ADD COLUMN
	removing INTEGER NOT NULL DEFAULT 0 CHECK (removing IN (0, 1));
ALTER TABLE panelmail_site ADD COLUMN
	removed_by TEXT NOT NULL DEFAULT '';

CREATE TABLE panelmail_receipt (
	id         INTEGER PRIMARY KEY,
	name       TEXT    NOT NULL,             -- of the site that was removed
	removed_by TEXT    NOT NULL,
	at         INTEGER NOT NULL,             -- microseconds UTC, as are the others
	removed    TEXT    NOT NULL,             -- numbers of rows by kind, in JSON
	oldest     INTEGER NOT NULL,             -- 0: there was no mail
	newest     INTEGER NOT NULL
) STRICT;
`, `
CREATE TABLE panelmail_transport (
	name            TEXT    NOT NULL PRIMARY KEY,
	base            TEXT    NOT NULL,
	attempts        INTEGER NOT NULL CHECK (attempts >= 0),
	concurrency     INTEGER NOT NULL CHECK (concurrency >= 0),
	initial         INTEGER NOT NULL CHECK (initial >= 0),
	processes       INTEGER NOT NULL CHECK (processes >= 0),
	recipients      INTEGER NOT NULL CHECK (recipients >= 0),
	cohorts         INTEGER NOT NULL,          -- negative: never dead
	rate            INTEGER NOT NULL CHECK (rate >= 0),
	rate_interval   INTEGER NOT NULL,          -- this and the following in microseconds
	rate_delay      INTEGER NOT NULL,
	retry_min       INTEGER NOT NULL,
	retry_max       INTEGER NOT NULL,
	lifetime        INTEGER NOT NULL,
	connect_timeout INTEGER NOT NULL,
	helo_timeout    INTEGER NOT NULL,
	tls             TEXT    NOT NULL           -- level; '': the planner's
) STRICT, WITHOUT ROWID;
`, `
ALTER TABLE panelmail_sites_version ADD COLUMN
	routes INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER panelmail_route_removed AFTER DELETE ON panelmail_route
	BEGIN UPDATE panelmail_sites_version SET routes = routes + 1; END;
`, `
CREATE TABLE panelmail_template (
	site    TEXT    NOT NULL PRIMARY KEY, -- '': the default
	name    TEXT    NOT NULL,
	syntax  TEXT    NOT NULL CHECK (syntax IN ('go', 'blade')),
	text    TEXT    NOT NULL,
	changed INTEGER NOT NULL              -- microseconds UTC
) STRICT, WITHOUT ROWID;
`, dkimTables, srsTables, dkimOwn, dkimIndexes}

// migrate makes the tables or brings them up to date. It refuses tables that a
// newer program made.
func migrate(tx *sql.Tx) error {
	_, err := tx.Exec(`
		CREATE TABLE IF NOT EXISTS panelmail_sites_version (
			id       INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
			version  INTEGER NOT NULL,
			revision INTEGER NOT NULL            -- grows with every change of a setting
		) STRICT`)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`
		INSERT INTO panelmail_sites_version (id, version, revision) VALUES (1, 0, 0)
		ON CONFLICT (id) DO NOTHING`)
	if err != nil {
		return err
	}
	var version int
	if err := tx.QueryRow(`SELECT version FROM panelmail_sites_version`).Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("tables have version %d; this program knows versions up to %d", version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		// One by one: a driver that must prepare runs only the first of several.
		for statement := range strings.SplitSeq(strings.TrimSpace(migrations[version]), ";\n") {
			if _, err := tx.Exec(statement); err != nil {
				return fmt.Errorf("migration to version %d: %w", version+1, err)
			}
		}
	}
	_, err = tx.Exec(`UPDATE panelmail_sites_version SET version = ?`, version)
	return err
}

// current reports whether the tables are there in the version of this program.
func current(tx *sql.Tx) (bool, error) {
	var n int
	err := tx.QueryRow(`
		SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'panelmail_sites_version'`).Scan(&n)
	if err != nil || n == 0 {
		return false, err
	}
	var version int
	err = tx.QueryRow(`SELECT version FROM panelmail_sites_version`).Scan(&version)
	return version == len(migrations), err
}
