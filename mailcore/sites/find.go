package sites

import (
	"context"
	"database/sql"
	"strings"
	"sync"

	"github.com/panelmail/panelmail/internal/address"
)

// A Match is what the aliases and mailboxes say about a recipient. It is shared:
// whoever gets it changes nothing in it.
type Match struct {
	// Key is the entry that matched: an address, a name at the host itself, or
	// @domain. It is "" if nothing did.
	Key string

	// Targets are those of the alias of that key; nil if there is none that is
	// enabled.
	Targets []string

	// Mailbox is where the recipient's mail comes to rest; nil if there is no
	// mailbox of that key, or if it is disabled. Beside Targets it is the one of
	// that key or a less specific one, for the alias may name the recipient.
	Mailbox *Mailbox

	// Extension is what the recipient has and Key has not, without the
	// delimiter; "" beside @domain, which leaves nothing of a local-part over.
	Extension string

	// Mailboxes reports, where nothing matched, whether the domain has any
	// mailbox at all.
	Mailboxes bool
}

// Found reports whether there is an entry. If it is, and there are neither
// Targets nor a Mailbox, it is disabled: the recipient is unknown.
func (m Match) Found() bool { return m.Key != "" }

// Find looks a recipient up: the address with its extension, the address
// without, and @domain; at each step aliases and mailboxes together, an alias
// before a mailbox and either before one that is disabled. atHost says that the
// domain is the host's own, so that names alone are asked for too, after the
// addresses. The first step that has an entry decides, even if that is
// disabled. Postfix asks aliases about every domain; here an entry is in a
// domain of a site, or is a name at the host itself.
//
// It costs one read transaction with a search for each key in two tables, some
// tens of microseconds, or nothing if the answer is among the last few thousand
// since a setting changed. A change of another process counts after a second.
func (s *Sites) Find(ctx context.Context, recipient string, atHost bool) (Match, error) {
	a, err := address.Parse(recipient)
	if err != nil {
		return Match{}, nil
	}
	keys := entryKeys(a.Fold(), atHost)
	snap, err := s.Current(ctx)
	if err != nil {
		return Match{}, err
	}
	if m, ok := s.found.get(snap.revision, keys[0].key, atHost); ok {
		return m, nil
	}
	var m Match
	var revision int64
	err = s.db.View(ctx, func(tx *sql.Tx) (err error) {
		if err = tx.QueryRow(`SELECT revision FROM panelmail_sites_version`).Scan(&revision); err != nil {
			return err
		}
		m, err = findEntry(tx, keys)
		return err
	})
	if err != nil {
		return Match{}, err
	}
	s.found.put(revision, keys[0].key, atHost, m)
	return m, nil
}

// An entryKey is a key to try, and what it leaves of the extension.
type entryKey struct{ key, extension string }

// entryKeys are the keys of a folded address, most specific first.
func entryKeys(a address.Address, atHost bool) []entryKey {
	base, extension := a.SplitExtension(delimiter)
	keys := []entryKey{{key: a.String()}}
	if base != a {
		keys = append(keys, entryKey{base.String(), extension})
	}
	if atHost {
		for _, k := range keys[:len(keys):len(keys)] {
			alone, _ := strings.CutSuffix(k.key, "@"+a.Domain)
			keys = append(keys, entryKey{alone, k.extension})
		}
	}
	return append(keys, entryKey{key: "@" + a.Domain})
}

// findEntry finds the first of the keys that has an alias or a mailbox.
func findEntry(tx *sql.Tx, keys []entryKey) (m Match, err error) {
	for _, k := range keys {
		e, err := readEntry(tx, k.key)
		switch {
		case err != nil:
			return Match{}, err
		case !e.alias && !e.mailbox:
			continue
		case !m.Found():
			m.Key, m.Extension, m.Targets = k.key, k.extension, e.targets
		}
		if e.mailbox || m.Targets == nil {
			m.Mailbox = e.box
			return m, nil
		}
	}
	if !m.Found() {
		domain := keys[len(keys)-1].key[1:]
		err = tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM panelmail_mailbox WHERE domain = ?)`, domain).Scan(&m.Mailboxes)
	}
	return m, err
}

// An entry is what is stored under one key: nothing, an alias, a mailbox, or
// both. targets and box are nil if it is disabled.
type entry struct {
	alias, mailbox bool
	targets        []string
	box            *Mailbox
}

func readEntry(tx *sql.Tx, key string) (e entry, err error) {
	rows, err := tx.Query(`
		SELECT 0, targets, '', 0, disabled FROM panelmail_alias WHERE key = ?1
		UNION ALL
		SELECT 1, '', deliver, max_size, disabled FROM panelmail_mailbox WHERE key = ?1`, key)
	if err != nil {
		return e, err
	}
	defer rows.Close()
	for rows.Next() {
		var mailbox, disabled bool
		var targets string
		box := Mailbox{Address: key}
		if err := rows.Scan(&mailbox, &targets, &box.Deliver, &box.MaxSize, &disabled); err != nil {
			return e, err
		}
		e.alias, e.mailbox = e.alias || !mailbox, e.mailbox || mailbox
		switch {
		case disabled:
		case mailbox:
			e.box = &box
		default:
			e.targets = strings.Split(targets, "\n")
		}
	}
	return e, rows.Err()
}

// Bounds of what is remembered of look-ups.
const (
	maxFound   = 4096
	maxWorth   = 64 // targets of an alias that is remembered
	atHostMark = "\x00"
)

// found remembers answers of Find at one revision of the settings. The zero
// value remembers nothing.
type found struct {
	mu       sync.Mutex
	revision int64
	answers  map[string]Match
}

func foundKey(key string, atHost bool) string {
	if atHost {
		return key + atHostMark // no key has a control character
	}
	return key
}

func (f *found) get(revision int64, key string, atHost bool) (Match, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.revision != revision {
		return Match{}, false
	}
	m, ok := f.answers[foundKey(key, atHost)]
	return m, ok
}

func (f *found) put(revision int64, key string, atHost bool, m Match) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case len(m.Targets) > maxWorth || revision < f.revision:
		return
	case f.answers == nil || revision > f.revision:
		f.revision, f.answers = revision, map[string]Match{}
	case len(f.answers) >= maxFound:
		clear(f.answers)
	}
	f.answers[foundKey(key, atHost)] = m
}
