package sites

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// Limits of aliases.
const (
	maxEntries = 100_000 // entries set in one transaction, during which no mail is stored
	maxTargets = 1 << 20 // octets of the targets of one alias
)

// An AliasEntry replaces a recipient by others (virtual(5), aliases(5) of Postfix).
type AliasEntry struct {
	// Pattern is the address it is about, folded. @domain takes what no other
	// alias or mailbox of the domain takes. A local-part alone is a name at
	// the host itself, such as root: only the panel has those.
	Pattern string `json:"alias"`

	// Site is the site of its domain, as in [Mailbox].
	Site string `json:"site,omitempty"`

	// Targets are addresses, in the order given. @domain as the only one keeps
	// the local-part of the recipient. An alias whose pattern is among its
	// targets is delivered to as well. Names at the host itself may have a
	// local-part alone, which is completed when mail comes. Commands, files
	// and :include: are refused: an alias never runs or writes anything.
	//
	// Up to 1 MiB of text; more than 1,000 recipients are refused when mail
	// comes.
	Targets []string `json:"targets"`

	// Disabled aliases are unknown to whoever writes to them, unless there is
	// a mailbox of the address, and keep catch-all entries from taking their
	// mail.
	Disabled bool `json:"disabled,omitempty"`
}

// SetAlias adds an alias or replaces the one of the same pattern. A domain of
// another site than the one given is [ErrNotOwner].
func (s *Sites) SetAlias(ctx context.Context, a AliasEntry) error {
	return s.SetAliases(ctx, []AliasEntry{a})
}

// SetAliases adds or replaces all of the aliases, or on any error none. At most
// 100,000 at once.
func (s *Sites) SetAliases(ctx context.Context, aliases []AliasEntry) error {
	if len(aliases) > maxEntries {
		return invalid("alias list", "", "more than %d at once", maxEntries)
	}
	list := make([]aliasRow, 0, len(aliases))
	for _, a := range aliases {
		row, err := checkAlias(a)
		if err != nil {
			return err
		}
		list = append(list, row)
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := mayHave(tx, list); err != nil {
			return err
		}
		set, err := tx.Prepare(`
			INSERT INTO panelmail_alias (key, domain, targets, disabled) VALUES (?, ?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET targets = excluded.targets, disabled = excluded.disabled`)
		if err != nil {
			return err
		}
		defer set.Close()
		for i, row := range list {
			if _, err := set.Exec(row.key, row.domain, row.targets, aliases[i].Disabled); err != nil {
				return err
			}
		}
		return nil
	})
}

type aliasRow struct{ key, domain, site, targets string }

// mayHave reports whether the site of each row may have it. Each domain is asked
// about once.
func mayHave(tx *sql.Tx, list []aliasRow) error {
	type claim struct{ domain, site string }
	granted := map[claim]bool{}
	for _, r := range list {
		c := claim{r.domain, r.site}
		switch {
		case granted[c]:
			continue
		case r.domain != "":
			if _, err := ownedDomain(tx, r.domain, r.site); err != nil {
				return err
			}
		case r.site != "":
			return notOwner("alias", r.key, "")
		}
		granted[c] = true
	}
	return nil
}

// checkAlias makes the row of an alias.
func checkAlias(a AliasEntry) (row aliasRow, err error) {
	row.site = a.Site
	if row.key, row.domain, err = foldEntry("alias", a.Pattern); err != nil {
		return row, err
	}
	if len(a.Targets) == 0 {
		return row, invalid("alias", a.Pattern, "it has no target")
	}
	var targets strings.Builder
	for i, target := range a.Targets {
		text, err := checkTarget(target, row.domain == "", len(a.Targets) == 1)
		if err != nil {
			return row, invalid("alias", a.Pattern, "target %q: %v", shorten(target), err)
		}
		if i > 0 {
			targets.WriteByte('\n')
		}
		targets.WriteString(text)
	}
	if row.targets = targets.String(); len(row.targets) > maxTargets {
		return row, invalid("alias", a.Pattern, "its targets are longer than %d octets", maxTargets)
	}
	return row, nil
}

// shorten cuts text for an error message.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// What a target of aliases(5) may be elsewhere, and is not here.
var (
	errCommand = errors.New("a command is never run by an alias")
	errFile    = errors.New("a file is never written to by an alias")
	errInclude = errors.New(":include: is not followed: write the addresses into the alias")
	errRouted  = errors.New("with %, ! or @ in its local-part it would be a route through another host")
)

// checkTarget makes the stored form of a target: its local-part as given, its
// domain folded. bare says that a local-part alone will do; only says that
// @domain will, for there is no other target.
func checkTarget(target string, bare, only bool) (string, error) {
	switch {
	case strings.HasPrefix(target, "|"), strings.HasPrefix(target, `"|`):
		return "", errCommand
	case strings.HasPrefix(target, "/"), strings.HasPrefix(target, `"/`):
		return "", errFile
	case len(target) >= len(":include:") && strings.EqualFold(target[:len(":include:")], ":include:"):
		return "", errInclude
	case strings.HasPrefix(target, "@") && !only:
		return "", errors.New("@domain can only be the one target")
	case strings.HasPrefix(target, "@"):
		domain, err := address.ParseDomain(target[1:])
		return "@" + domain, err
	}
	a, err := address.Parse(target)
	if errors.Is(err, address.ErrNoDomain) || err == nil && a.Domain == "" {
		if !bare {
			return "", errors.New("it has no domain")
		}
		a, err = address.Parse(target + "@host")
		a.Domain = "" // completed when mail comes
	}
	if err != nil {
		return "", err
	}
	if a.Routed() {
		return "", errRouted
	}
	if a.Domain != "" {
		a.Domain = a.Fold().Domain
	}
	return a.String(), nil
}

// RemoveAlias removes the alias of a pattern.
func (s *Sites) RemoveAlias(ctx context.Context, pattern string) error {
	key, _, err := foldEntry("alias", pattern)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		r, err := tx.Exec(`DELETE FROM panelmail_alias WHERE key = ?`, key)
		return affected(r, err, notFound("alias", key))
	})
}

// ListAliases yields the aliases of a site, or of all sites and of the host
// itself if site is "", as [Sites.ListMailboxes] does mailboxes.
func (s *Sites) ListAliases(ctx context.Context, site string) iter.Seq2[AliasEntry, error] {
	return listEntries(ctx, s, site, entryTable[AliasEntry]{
		name:    "panelmail_alias",
		columns: `key, targets, disabled`,
		scan: func(rows *sql.Rows, a *AliasEntry) (key, domain string, err error) {
			var targets string
			err = rows.Scan(&domain, &a.Pattern, &targets, &a.Disabled)
			a.Targets = strings.Split(targets, "\n")
			return a.Pattern, domain, err
		},
		setSite: func(a *AliasEntry, site string) { a.Site = site },
	})
}

// String is the alias as in a file of aliases(5).
func (a AliasEntry) String() string {
	return fmt.Sprintf("%s: %s", a.Pattern, strings.Join(a.Targets, ", "))
}
