package sites

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/transport"
)

// A Credential authenticates us at a next hop.
type Credential struct {
	// Key is a next hop as written where it is used, with brackets and port;
	// or an address or @domain for the mail of those senders, to the next
	// hop that a smart host or a sender route names: never to that of a
	// mailbox or of a route, unless it is the smart host of the sender. One for
	// a next hop is the panel's: it serves the mail of every site that goes
	// there. A site's own smart host brings its own ([SmartHost.Credential]).
	Key string `json:"key"`

	// Credential prints without its password. In lists the password is empty.
	Credential transport.Credential `json:"credential"`
}

// Limits of a credential, in octets. A token of OAuth 2.0 may be a signed document.
const (
	maxSecret = 1024
	maxToken  = 8192
)

func checkCredential(kind, key string, c transport.Credential) error {
	limit, octets := maxSecret, "1,024"
	if c.OAuth {
		limit, octets = maxToken, "8,192"
	}
	switch {
	case c.User == "" || c.Password == "" && !c.OAuth:
		return invalid(kind, key, "a credential needs a user and a password")
	case len(c.User) > maxSecret || len(c.Password) > limit || strings.ContainsAny(c.User+c.Password, "\x00\r\n"):
		return invalid(kind, key, "user and password have up to %s octets, no NUL and no line ends", octets)
	case c.OAuth && strings.Contains(c.User+c.Password, "\x01"):
		return invalid(kind, key, "user and token have no control characters")
	}
	return nil
}

// credentialKey parses a next hop, an address or @domain.
func credentialKey(key string) (senderKey, error) {
	if strings.Contains(key, "@") {
		return parseSenderKey("credential", key)
	}
	nexthop, err := foldNexthop("credential", key)
	return senderKey{key: nexthop}, err
}

// SetCredential adds a credential or replaces the one of the same key.
func (s *Sites) SetCredential(ctx context.Context, c Credential) error {
	return s.change(ctx, func(tx *sql.Tx) error { return putCredential(tx, c) })
}

// putCredential stores one row.
func putCredential(tx *sql.Tx, c Credential) error {
	key, err := credentialKey(c.Key)
	if err != nil {
		return err
	}
	if err := checkCredential("credential", c.Key, c.Credential); err != nil {
		return err
	}
	_, err = tx.Exec(`
		INSERT INTO panelmail_credential (key, domain, login, password, oauth) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE
		SET login = excluded.login, password = excluded.password, oauth = excluded.oauth`,
		key.key, key.domain, c.Credential.User, c.Credential.Password, c.Credential.OAuth)
	return err
}

// RemoveCredential removes the credential of a key.
func (s *Sites) RemoveCredential(ctx context.Context, key string) error {
	k, err := credentialKey(key)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_credential WHERE key = ?`, k.key)
		return affected(r, err, notFound("credential", k.key))
	})
}

// ListCredentials returns the credentials in order of key, without passwords.
func (s *Sites) ListCredentials(ctx context.Context) ([]Credential, error) {
	snap, err := s.Current(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Credential, 0, len(snap.credentials))
	for key, row := range snap.credentials {
		c := Credential{Key: key}
		c.Credential.User, c.Credential.OAuth = row.credential().User, row.credential().OAuth
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Credential) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// A credentialRow is a credential as looked up, behind a function as in
// smartHostRow.
type credentialRow struct {
	domain     string // that the key is about; "" for none
	credential func() transport.Credential
}

func loadCredentials(tx *sql.Tx, snap *Snapshot) error {
	rows, err := tx.Query(`SELECT key, domain, login, password, oauth FROM panelmail_credential`)
	return eachRow(rows, err, func() error {
		var key string
		var row credentialRow
		var c transport.Credential
		if err := rows.Scan(&key, &row.domain, &c.User, &c.Password, &c.OAuth); err != nil {
			return err
		}
		row.credential = func() transport.Credential { return c }
		snap.credentials[key] = row
		return nil
	})
}
