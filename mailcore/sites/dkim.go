package sites

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/internal/address"
)

// A DKIMState is where a key for signing stands in its life:
//
//	pending ─ on all servers ─► seen ─ caches have expired ─► signing
//	signing ─ its successor signs ─► stopped ─ no mail of it is left ─► retired
//
// A key that is seen, or signs, goes back to pending when its record is gone.
type DKIMState string

// The states.
const (
	DKIMPending DKIMState = "pending" // to be published
	DKIMSeen    DKIMState = "seen"    // published; somebody may still remember that it was not
	DKIMSigning DKIMState = "signing"
	DKIMStopped DKIMState = "stopped" // still to be published: mail signed with it is under way
	DKIMRetired DKIMState = "retired" // its record may go; the private key is gone
)

// A DKIMKey is a key for signing, without its private half.
type DKIMKey struct {
	Domain    string         `json:"domain"`
	Selector  string         `json:"selector"`
	Algorithm dkim.Algorithm `json:"algorithm"`
	State     DKIMState      `json:"state"`

	// Name is where the record is looked up, and Record its text, for a TXT record.
	// If Target is not empty, Name is a CNAME to it, and the TXT record is there.
	Name   string `json:"name"`
	Record string `json:"record"`
	Target string `json:"target,omitempty"`

	// When the key came to each state; zero: it has not, or is not in it any more.
	// Begins is when one that was seen is to sign, Drained since when no message in the
	// queue is signed with one that stopped, and Rotate when one that signs is due to be
	// replaced; zero: never.
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen,omitzero"`
	Begins  time.Time `json:"begins,omitzero"`
	Signing time.Time `json:"signing,omitzero"`
	Stopped time.Time `json:"stopped,omitzero"`
	Drained time.Time `json:"drained,omitzero"`
	Retired time.Time `json:"retired,omitzero"`
	Rotate  time.Time `json:"rotate,omitzero"`

	Checked time.Time `json:"checked,omitzero"` // when the servers were last asked
	Trouble string    `json:"trouble,omitempty"`

	id    int64
	first bool          // nothing of the domain was signed when it was made, and nobody had asked for its name
	good  time.Time     // since when all servers that answer have the record; zero: they have not
	wait  time.Duration // how long anybody may remember what was there before
	next  time.Time     // when to look after it
}

// Since is when the key came to its state.
func (k *DKIMKey) Since() time.Time {
	switch k.State {
	case DKIMSeen:
		return k.Seen
	case DKIMSigning:
		return k.Signing
	case DKIMStopped:
		return k.Stopped
	case DKIMRetired:
		return k.Retired
	}
	return k.Created
}

// Live reports whether the record of the key must be published.
func (k *DKIMKey) Live() bool { return k.State != DKIMRetired }

// dkimTables hold the keys, how those of a domain are made, and who needs none of ours.
// Instants are microseconds UTC; 0: none.
const dkimTables = `
CREATE TABLE panelmail_dkim (
	id        INTEGER PRIMARY KEY AUTOINCREMENT, -- never another's: private keys are remembered by it
	domain    TEXT    NOT NULL,
	selector  TEXT    NOT NULL,
	algorithm TEXT    NOT NULL,
	state     TEXT    NOT NULL CHECK (state IN ('pending', 'seen', 'signing', 'stopped', 'retired')),
	record    TEXT    NOT NULL,
	target    TEXT    NOT NULL,                  -- where a CNAME leads; '': there is none
	private   TEXT    NOT NULL,                  -- PEM
	first     INTEGER NOT NULL CHECK (first IN (0, 1)), -- 1: nothing of the domain was signed when it was made
	created   INTEGER NOT NULL,
	seen      INTEGER NOT NULL DEFAULT 0,
	signing   INTEGER NOT NULL DEFAULT 0,
	stopped   INTEGER NOT NULL DEFAULT 0,
	drained   INTEGER NOT NULL DEFAULT 0,
	retired   INTEGER NOT NULL DEFAULT 0,
	checked   INTEGER NOT NULL DEFAULT 0,
	trouble   TEXT    NOT NULL DEFAULT '',
	good      INTEGER NOT NULL DEFAULT 0,
	wait      INTEGER NOT NULL DEFAULT 0,        -- microseconds
	next      INTEGER NOT NULL DEFAULT 0,
	CHECK ((state = 'retired') = (private = ''))
) STRICT;
CREATE UNIQUE INDEX panelmail_dkim_selector ON panelmail_dkim (domain, selector) WHERE state <> 'retired';
CREATE INDEX panelmail_dkim_next ON panelmail_dkim (next);

CREATE TABLE panelmail_dkim_policy (
	domain     TEXT    NOT NULL PRIMARY KEY,
	algorithms TEXT    NOT NULL,                 -- in JSON
	every      INTEGER NOT NULL CHECK (every >= 0), -- microseconds; 0: never
	zone       TEXT    NOT NULL                  -- that selectors are delegated to; '': they are not
) STRICT, WITHOUT ROWID;

CREATE TABLE panelmail_dkim_signer (
	key TEXT NOT NULL PRIMARY KEY                -- a next hop that signs by itself
) STRICT, WITHOUT ROWID;
`

// dkimOwn tells whose keys sign the reports of the mail system.
const dkimOwn = `
ALTER TABLE panelmail_dkim_policy ADD COLUMN
	own INTEGER NOT NULL DEFAULT 0 CHECK (own IN (0, 1));
`

// dkimIndexes find the keys of a domain, those that sign, those with a CNAME, and the
// domains whose keys sign our reports, in order of domain and age.
const dkimIndexes = `
CREATE INDEX panelmail_dkim_domain ON panelmail_dkim (domain);
CREATE INDEX panelmail_dkim_signing ON panelmail_dkim (domain) WHERE state = 'signing';
CREATE INDEX panelmail_dkim_target ON panelmail_dkim (domain) WHERE target <> '';
CREATE INDEX panelmail_dkim_policy_own ON panelmail_dkim_policy (domain) WHERE own = 1;
`

const selectDKIM = `
	SELECT id, domain, selector, algorithm, state, record, target, first,
		created, seen, signing, stopped, drained, retired, checked, trouble, good, wait, next,
		coalesce((SELECT every FROM panelmail_dkim_policy AS p WHERE p.domain = k.domain), 0)
	FROM panelmail_dkim AS k`

const (
	everyDKIM     = selectDKIM + ` ORDER BY domain, id`
	dkimOfDomain  = selectDKIM + ` WHERE domain = ? ORDER BY id`
	delegatedDKIM = selectDKIM + `
		WHERE target <> '' AND substr(target, -length(?1) - 1) = '.' || ?1 ORDER BY domain, id`
)

func scanDKIM(row interface{ Scan(...any) error }) (k DKIMKey, err error) {
	var created, seen, signing, stopped, drained, retired, checked, good, wait, next, every int64
	err = row.Scan(&k.id, &k.Domain, &k.Selector, &k.Algorithm, &k.State, &k.Record, &k.Target, &k.first,
		&created, &seen, &signing, &stopped, &drained, &retired, &checked, &k.Trouble, &good, &wait, &next, &every)
	if err != nil {
		return DKIMKey{}, err
	}
	k.Name = dkimName(k.Domain, k.Selector)
	k.Created, k.Seen, k.Signing, k.Stopped = instant(created), instant(seen), instant(signing), instant(stopped)
	k.Drained, k.Retired, k.Checked = instant(drained), instant(retired), instant(checked)
	k.good, k.wait, k.next = instant(good), time.Duration(wait)*time.Microsecond, instant(next)
	if k.State == DKIMSeen {
		k.Begins = k.Seen.Add(k.settle())
	}
	if k.State == DKIMSigning && every > 0 {
		k.Rotate = k.Signing.Add(time.Duration(every) * time.Microsecond)
	}
	return k, nil
}

// dkimName is the name of a record (RFC 6376 section 3.6.2.1).
func dkimName(domain, selector string) string { return selector + "._domainkey." + domain }

func scanAllDKIM(rows *sql.Rows, err error) ([]DKIMKey, error) {
	all := []DKIMKey{}
	err = eachRow(rows, err, func() error {
		k, err := scanDKIM(rows)
		all = append(all, k)
		return err
	})
	return all, err
}

// ListDKIM lists the keys of a domain, or all if domain is "", in order of domain and
// age. Those that were retired are in it for 90 days.
func (s *Sites) ListDKIM(ctx context.Context, domain string) (all []DKIMKey, err error) {
	if domain != "" {
		if domain, err = address.ParseDomain(domain); err != nil {
			return nil, invalid("domain", domain, "%v", err)
		}
	}
	err = s.db.View(ctx, func(tx *sql.Tx) (err error) {
		if domain == "" {
			all, err = scanAllDKIM(tx.Query(everyDKIM))
		} else {
			all, err = dkimOf(tx, domain)
		}
		return err
	})
	if err != nil {
		return nil, ours(err)
	}
	return all, nil
}

// ListDelegatedDKIM lists the keys, of whatever domain, whose selectors are delegated to
// a name below domain, in order of their domains and age.
func (s *Sites) ListDelegatedDKIM(ctx context.Context, domain string) (all []DKIMKey, err error) {
	if domain, err = address.ParseDomain(domain); err != nil {
		return nil, invalid("domain", domain, "%v", err)
	}
	err = s.db.View(ctx, func(tx *sql.Tx) (err error) {
		all, err = scanAllDKIM(tx.Query(delegatedDKIM, domain))
		return err
	})
	if err != nil {
		return nil, ours(err)
	}
	return all, nil
}

// dkimOf are the keys of a folded domain, oldest first.
func dkimOf(tx *sql.Tx, domain string) ([]DKIMKey, error) {
	return scanAllDKIM(tx.Query(dkimOfDomain, domain))
}

// RemoveDKIM retires a key at once, whatever is signed with it: one that somebody
// else has got hold of. Take its record out of the DNS as well.
func (s *Sites) RemoveDKIM(ctx context.Context, domain, selector string) error {
	folded, err := address.ParseDomain(domain)
	if err != nil {
		return invalid("domain", domain, "%v", err)
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		now := time.Now()
		res, err := tx.Exec(`
			UPDATE panelmail_dkim SET state = 'retired', private = '', trouble = '', retired = ?, next = ?
			WHERE domain = ? AND selector = ? AND state <> 'retired'`,
			now.UnixMicro(), now.Add(dkimForget).UnixMicro(), folded, strings.ToLower(selector))
		return affected(res, err, notFound("DKIM key", dkimName(folded, selector)))
	})
}

// A DKIMPolicy says how the keys of a domain are made.
type DKIMPolicy struct {
	// Domain is one of a site, or of the mail system itself if Own is set: its keys
	// sign the reports of a host in or below it. If no site has the domain, it needs
	// Own, and if one has, Own says that this site is the panel's: without it the keys
	// of a site sign no report, whatever host name they are above of.
	Domain string `json:"domain"`
	Own    bool   `json:"-"`

	// Algorithms are those of the keys, of which each signs every message. If
	// empty, RSA2048.
	Algorithms []dkim.Algorithm `json:"algorithms"`

	// Every is how long a key signs before it is replaced, a day at least. If zero,
	// 180 days; if negative, until [Sites.RotateDKIM].
	Every time.Duration `json:"every"`

	// Zone is one in which the panel publishes by itself. The selectors are then
	// two for each algorithm, in turn, and the owner of the domain publishes a
	// CNAME from each to selector._domainkey.domain.zone, once and for ever. If
	// empty, each key has a selector of its own, with a TXT record.
	Zone string `json:"zone,omitempty"`
}

const defaultEvery = 180 * 24 * time.Hour

// normalize folds and fills in, and reports what cannot be.
func (p *DKIMPolicy) normalize() error {
	folded, err := address.ParseDomain(p.Domain)
	if err != nil {
		return invalid("domain", p.Domain, "%v", err)
	}
	p.Domain = folded
	if p.Zone != "" {
		if p.Zone, err = address.ParseDomain(p.Zone); err != nil {
			return invalid("domain", p.Zone, "%v", err)
		}
	}
	if len(p.Algorithms) == 0 {
		p.Algorithms = []dkim.Algorithm{dkim.RSA2048}
	}
	has := map[dkim.Algorithm]bool{}
	for _, a := range p.Algorithms {
		if a != dkim.RSA2048 && a != dkim.Ed25519 || has[a] {
			return invalid("DKIM algorithm", string(a), "there are %s and %s, each once", dkim.RSA2048, dkim.Ed25519)
		}
		has[a] = true
	}
	switch {
	case p.Every == 0:
		p.Every = defaultEvery
	case p.Every > 0 && p.Every < 24*time.Hour:
		return invalid("DKIM policy", p.Domain, "keys are replaced no more often than once a day")
	}
	p.Every = max(p.Every, -1)
	return nil
}

// write stores the policy.
func (p *DKIMPolicy) write(tx *sql.Tx) error {
	algorithms, err := json.Marshal(p.Algorithms)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`
		INSERT INTO panelmail_dkim_policy (domain, algorithms, every, zone, own) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (domain) DO UPDATE SET
			algorithms = excluded.algorithms, every = excluded.every, zone = excluded.zone, own = excluded.own`,
		p.Domain, string(algorithms), max(p.Every, 0).Microseconds(), p.Zone, p.Own)
	return err
}

// readDKIMPolicy reads the policy of a folded domain.
func readDKIMPolicy(tx *sql.Tx, domain string) (p DKIMPolicy, err error) {
	var algorithms string
	var every int64
	err = tx.QueryRow(`SELECT domain, algorithms, every, zone, own FROM panelmail_dkim_policy WHERE domain = ?`, domain).
		Scan(&p.Domain, &algorithms, &every, &p.Zone, &p.Own)
	if errors.Is(err, sql.ErrNoRows) {
		return p, notFound("DKIM policy of", domain)
	}
	if err != nil {
		return p, err
	}
	if p.Every = time.Duration(every) * time.Microsecond; every == 0 {
		p.Every = -1
	}
	if err := json.Unmarshal([]byte(algorithms), &p.Algorithms); err != nil {
		return p, fmt.Errorf("DKIM policy of %s: %w", domain, err)
	}
	return p, nil
}
