package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// schemaVersion is raised by each change of the tables.
const schemaVersion = 5

// The state machine of a recipient, as the table enforces it:
//
//	0 waiting ─ claim ─► 1 active ─ settle ─► 0 waiting, 3 delivered, 4 failed
//	0, 1 ─ hold ─► 2 hold ─ release ─► 0, or 1 if its attempt is still going on
//
// A lease and its token exist only while an attempt goes on. Instants are
// microseconds since 1970 UTC.
//
// The number of a message is never given to another: a delivery that opens the
// content of a message removed meanwhile must find nothing. Nor is that of a lane:
// Run remembers lanes by it.
const schema = `
CREATE TABLE panelmail_message (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	queue_id     TEXT    NOT NULL UNIQUE,
	arrived      INTEGER NOT NULL,            -- kept by a requeue
	expires      INTEGER NOT NULL,            -- restarted by a requeue
	warn         INTEGER,                     -- when to warn of the delay; NULL: never, or done
	lifetime     INTEGER NOT NULL DEFAULT 0,  -- the message's own, kept by a requeue; 0: the setting; -1: one attempt
	not_before   INTEGER,                     -- when it was first to be tried, if its sender said so
	size         INTEGER NOT NULL,            -- octets of content
	reverse_path TEXT    NOT NULL,            -- '': the null reverse-path
	smtputf8     INTEGER NOT NULL,
	body         TEXT    NOT NULL,
	ret          TEXT    NOT NULL,
	envid        TEXT    NOT NULL,
	requiretls   INTEGER NOT NULL,            -- 1: REQUIRETLS; 2: TLS-Required: no
	site         TEXT    NOT NULL,
	login        TEXT    NOT NULL,
	via          TEXT    NOT NULL,
	client       TEXT    NOT NULL,
	helo         TEXT    NOT NULL,
	uid          INTEGER NOT NULL,
	pid          INTEGER NOT NULL,
	script       TEXT    NOT NULL,
	signed       TEXT    NOT NULL DEFAULT ''  -- names of what signed it, with a blank between two
) STRICT;
CREATE INDEX panelmail_message_signed ON panelmail_message(signed) WHERE signed <> ''; -- which are in use
CREATE INDEX panelmail_message_expires ON panelmail_message(expires);
CREATE INDEX panelmail_message_site ON panelmail_message(site, id, arrived, size); -- a site's messages in order; statistics

CREATE TABLE panelmail_recipient (
	message      INTEGER NOT NULL REFERENCES panelmail_message(id) ON DELETE CASCADE,
	position     INTEGER NOT NULL,            -- in the envelope, from 0
	address      TEXT    NOT NULL,
	reverse_path TEXT    NOT NULL,            -- '': the message's
	notify       INTEGER NOT NULL,
	orcpt        TEXT    NOT NULL,
	lane         INTEGER NOT NULL,
	class        INTEGER NOT NULL,            -- priority; lower goes first
	site         TEXT    NOT NULL,            -- the message's
	state        INTEGER NOT NULL,
	due          INTEGER NOT NULL,
	fresh        INTEGER NOT NULL DEFAULT 0,  -- 1: due since it was stored, whatever the clock says, and never claimed
	attempts     INTEGER NOT NULL DEFAULT 0,
	first        INTEGER,                     -- instant of the first attempt
	lease        INTEGER,                     -- until when the attempt may go on
	token        INTEGER,                     -- fences off the settlements of others
	code         INTEGER NOT NULL DEFAULT 0,  -- the last reply
	status       TEXT    NOT NULL DEFAULT '',
	text         TEXT    NOT NULL DEFAULT '',
	host         TEXT    NOT NULL DEFAULT '',
	held         TEXT    NOT NULL DEFAULT '', -- why it is on hold, if a person or a rule says so
	last         TEXT,                        -- why there will be no other attempt; NULL: there may be
	PRIMARY KEY (message, position),
	CHECK (state IN (0, 1, 2, 3, 4)),
	CHECK ((token IS NULL) = (lease IS NULL)),
	CHECK (state <> 1 OR token IS NOT NULL),
	CHECK (state IN (1, 2) OR token IS NULL),
	CHECK (attempts >= 0 AND (attempts = 0) = (first IS NULL)),
	CHECK (fresh = 0 OR fresh = 1 AND attempts = 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX panelmail_recipient_waiting ON panelmail_recipient(lane, fresh, class, site, due, message, position, attempts) WHERE state = 0;
CREATE INDEX panelmail_recipient_due ON panelmail_recipient(lane, due, class, site) WHERE state = 0 AND fresh = 0; -- not of what is due anyway: each message would change a page more
CREATE INDEX panelmail_recipient_leased ON panelmail_recipient(lease) WHERE token IS NOT NULL;
CREATE INDEX panelmail_recipient_held ON panelmail_recipient(lane, site) WHERE state = 2;
CREATE INDEX panelmail_recipient_last ON panelmail_recipient(message, position) WHERE last IS NOT NULL;

CREATE TABLE panelmail_lane (
	id     INTEGER PRIMARY KEY AUTOINCREMENT,
	key    TEXT    NOT NULL UNIQUE,           -- what recipients are filed under
	due    INTEGER,                           -- no later than its earliest waiting recipient, or when it had its turn; NULL: none waits
	parked INTEGER NOT NULL DEFAULT 0,        -- dead or throttled until
	reason TEXT    NOT NULL DEFAULT '',       -- why it is parked; '': it is only busy
	revive INTEGER NOT NULL DEFAULT 0,        -- 1: a person wants it tried, dead or not
	wake   INTEGER GENERATED ALWAYS AS (max(due, parked)) VIRTUAL
) STRICT;
CREATE INDEX panelmail_lane_wake ON panelmail_lane(wake) WHERE due IS NOT NULL;

CREATE TABLE panelmail_content (
	message INTEGER PRIMARY KEY REFERENCES panelmail_message(id) ON DELETE CASCADE,
	head    BLOB NOT NULL,                    -- what stands above the body as it was read
	body    BLOB,                             -- NULL: in the chunks of an upload
	upload  INTEGER,
	CHECK ((body IS NULL) = (upload IS NOT NULL))
) STRICT;

-- Messages without a recipient that are still to be removed.
CREATE TABLE panelmail_settled (message INTEGER PRIMARY KEY) STRICT;

CREATE TABLE panelmail_upload (
	id    INTEGER PRIMARY KEY AUTOINCREMENT,
	owner INTEGER NOT NULL                    -- the process that writes it; -1: a message; 0: nobody, to be swept
) STRICT;
CREATE INDEX panelmail_upload_open ON panelmail_upload(owner) WHERE owner >= 0;

CREATE TABLE panelmail_chunk (
	upload INTEGER NOT NULL REFERENCES panelmail_upload(id),
	part   INTEGER NOT NULL,                  -- from 0
	data   BLOB    NOT NULL,
	PRIMARY KEY (upload, part)
) STRICT, WITHOUT ROWID;

-- Numbers follow each other without a gap: whoever commits holds the lock from
-- the first of its numbers on, and a rollback gives them back. Only removing a site
-- takes some out. What says nothing is NULL.
CREATE TABLE panelmail_event (
	seq          INTEGER PRIMARY KEY AUTOINCREMENT,
	at           INTEGER NOT NULL,
	kind         TEXT    NOT NULL,
	queue_id     TEXT    NOT NULL,
	previous     TEXT,
	site         TEXT,
	reverse_path TEXT,
	recipient    TEXT,
	label        TEXT,
	attempt      INTEGER,
	code         INTEGER,
	status       TEXT,
	text         TEXT,
	host         TEXT,
	addr         TEXT,
	tls          TEXT,                        -- version, cipher suite and trust
	flags        INTEGER,                     -- of the outcome
	delay        INTEGER,                     -- microseconds since arrival
	due          INTEGER,
	size         INTEGER,
	recipients   INTEGER,
	report       TEXT,
	transcript   TEXT
) STRICT;
CREATE INDEX panelmail_event_id ON panelmail_event(queue_id);
CREATE INDEX panelmail_event_previous ON panelmail_event(previous) WHERE previous IS NOT NULL;

-- What is not set is ''. The numbers are never given again.
CREATE TABLE panelmail_rule (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	site    TEXT    NOT NULL,
	sender  TEXT    NOT NULL,                 -- in lower case; '<>': the null reverse-path
	domain  TEXT    NOT NULL,                 -- in lower case
	via     TEXT    NOT NULL,
	reason  TEXT    NOT NULL,
	created INTEGER NOT NULL
) STRICT;

-- One row: what is kept in memory is as good as its revision.
CREATE TABLE panelmail_revision (rules INTEGER NOT NULL) STRICT;
INSERT INTO panelmail_revision (rules) VALUES (0);

CREATE TABLE panelmail_key (
	site     TEXT    NOT NULL,
	key      TEXT    NOT NULL,
	sum      BLOB    NOT NULL,                -- of envelope and content
	queue_id TEXT    NOT NULL,                -- of the message stored under it
	until    INTEGER NOT NULL,
	PRIMARY KEY (site, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX panelmail_key_until ON panelmail_key(until);

CREATE TABLE panelmail_count (
	minute    INTEGER NOT NULL,               -- since 1970
	site      TEXT    NOT NULL,
	label     TEXT    NOT NULL,
	delivered INTEGER NOT NULL,
	deferred  INTEGER NOT NULL,
	bounced   INTEGER NOT NULL,
	PRIMARY KEY (minute, site, label)
) STRICT, WITHOUT ROWID;

-- Sites whose mail does not come and go as that of others. What is known of them
-- is as good as the revision of the rules.
CREATE TABLE panelmail_shut (
	site  TEXT    NOT NULL PRIMARY KEY,       -- its name; of one that is gone the SHA-256 of that, in hex
	state INTEGER NOT NULL CHECK (state IN (1, 2, 3, 4)), -- suspended; resumed, with mail still on hold; being removed; gone
	tally TEXT    NOT NULL DEFAULT ''         -- of one that is being removed: what went so far
) STRICT, WITHOUT ROWID;
`

// upgrades make the next version of the tables of one.
var upgrades = map[int][]string{
	3: {
		`ALTER TABLE panelmail_message ADD COLUMN signed TEXT NOT NULL DEFAULT ''`,
		`CREATE INDEX panelmail_message_signed ON panelmail_message(signed) WHERE signed <> ''`,
	},
	4: {`CREATE TABLE panelmail_settled (message INTEGER PRIMARY KEY) STRICT`},
}

// migrate creates the tables, brings them up to date, or checks that they are ours.
func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec(`CREATE TABLE IF NOT EXISTS panelmail_version (version INTEGER NOT NULL) STRICT`); err != nil {
		return err
	}
	var version int
	err = tx.QueryRow(`SELECT version FROM panelmail_version`).Scan(&version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		// One by one: a driver that must prepare runs only the first of several.
		for statement := range strings.SplitSeq(strings.TrimSpace(schema), ";\n") {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`INSERT INTO panelmail_version (version) VALUES (?)`, schemaVersion); err != nil {
			return err
		}
	case err != nil:
		return err
	case version == schemaVersion:
		return nil // nothing to write: leave the log alone
	default:
		if err := upgrade(tx, version); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// upgrade brings tables of an older version up to date.
func upgrade(tx *sql.Tx, version int) error {
	for v := version; v != schemaVersion; v++ {
		if upgrades[v] == nil {
			return fmt.Errorf("the tables have version %d and this program knows version %d", version, schemaVersion)
		}
		for _, statement := range upgrades[v] {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
		}
	}
	_, err := tx.Exec(`UPDATE panelmail_version SET version = ?`, schemaVersion)
	return err
}
