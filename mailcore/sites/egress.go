package sites

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/transport"
)

// Senders returns queries that stand for all mail with a reverse-path in a domain:
// whatever a planner is asked about such mail, it answers as to one of these, but for
// the recipient, which they do not have, and the member of a pool, which is [Snapshot.Pool]'s
// to tell. There is one for each address of the domain that has a row of its own, one
// for all others, and both again for each login that has a source and may send so.
//
// Mail of strangers that is passed on under their own reverse-path is not among it,
// whatever domain they name. Mail with the null reverse-path is of no domain.
func (s *Snapshot) Senders(domain string) []transport.Query {
	domain, err := address.ParseDomain(domain)
	if err != nil {
		return nil
	}
	site := s.domains[domain].Site
	addresses := s.addressKeys(domain)
	addresses = append(addresses, unnamed(addresses)+"@"+domain)
	var all []transport.Query
	for _, sender := range addresses {
		all = append(all, transport.Query{Sender: sender, Origin: transport.Origin{Site: site, Via: transport.ViaAPI, UID: -1}})
	}
	for _, key := range slices.Sorted(maps.Keys(s.sources)) {
		login, ok := strings.CutPrefix(key, loginKey)
		if !ok {
			continue
		}
		of := s.sources[key][0].site
		for _, sender := range addresses {
			if s.LoginOwns(of, login, sender) {
				all = append(all, transport.Query{
					Sender: sender, Origin: transport.Origin{Site: of, Login: login, Via: transport.ViaSMTP, UID: -1},
				})
			}
		}
	}
	return all
}

// addressKeys are the addresses in a domain that a table about senders has a row for,
// or a source as a login, sorted.
func (s *Snapshot) addressKeys(domain string) []string {
	found := map[string]bool{}
	note := func(key, of string) {
		if key = strings.TrimPrefix(key, loginKey); of == domain && strings.Contains(key, "@") && !strings.HasPrefix(key, "@") {
			found[key] = true
		}
	}
	for key, pool := range s.sources {
		note(key, pool[0].domain)
	}
	for key, row := range s.smartHosts {
		note(key, row.domain)
	}
	for key, row := range s.senderRoutes {
		note(key, row.domain)
	}
	for key, row := range s.credentials {
		note(key, row.domain)
	}
	return slices.Sorted(maps.Keys(found))
}

// unnamed is a local-part that none of the addresses has, with an extension or without.
func unnamed(addresses []string) string {
	local := "x"
	for slices.ContainsFunc(addresses, func(a string) bool { return strings.HasPrefix(a, local) }) {
		local += "x"
	}
	return local
}

// A RecipientKind stands for the recipients that the transport map has the same to say
// about.
type RecipientKind struct {
	Address string // one of them

	// Pattern is that of the row that answers; "" if none does.
	Pattern string

	// Many says that the row is for all domains, or for all below one, so that its
	// next hop cannot be a host of the recipients' own.
	Many bool
}

// Recipients returns addresses that stand for all recipients as far as the transport map
// tells them apart: one in a domain that no row names, and one for each value in the
// map, twice if it is there for many domains and for one, or for a domain of ours and
// of others.
func (s *Snapshot) Recipients() []RecipientKind {
	type kind struct {
		value      string
		many, ours bool
	}
	anywhere := RecipientKind{Address: "x@" + s.matching("*")}
	if _, _, ok := s.routes.Rule(anywhere.Address); ok {
		anywhere.Pattern, anywhere.Many = "*", true
	}
	all := []RecipientKind{anywhere}
	seen := map[kind]bool{}
	for _, r := range s.routes.list {
		k := RecipientKind{Address: r.Pattern, Pattern: r.Pattern, Many: strings.HasPrefix(r.Pattern, ".")}
		switch {
		case r.Pattern == "*":
			continue
		case !strings.Contains(r.Pattern, "@"):
			k.Address = "x@" + s.matching(r.Pattern)
		}
		_, domain, err := foldAddress(k.Address)
		if of := (kind{r.Value, k.Many, s.domains[domain].Site != ""}); err == nil && !seen[of] {
			seen[of] = true
			all = append(all, k)
		}
	}
	return all
}

// matching is a domain that a pattern of the transport map answers for, and no more
// specific one: for "*" one that may have no row at all, and is not ours.
func (s *Snapshot) matching(pattern string) string {
	parent := strings.TrimPrefix(pattern, "*")
	if parent != "" && parent[0] != '.' {
		return pattern
	}
	for label := "x"; ; label += "x" {
		domain := label + parent
		_, rule, ok := s.routes.Rule("x@" + domain)
		if _, ours := s.domains[domain]; !ours && (!ok || rule == routeRule+pattern) {
			return domain
		}
	}
}

// TakesMail reports whether a domain has a mailbox or an alias, disabled or not.
func (s *Sites) TakesMail(ctx context.Context, domain string) (found bool, err error) {
	folded, err := address.ParseDomain(domain)
	if err != nil {
		return false, invalid("domain", domain, "%v", err)
	}
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`
			SELECT EXISTS (SELECT 1 FROM panelmail_mailbox WHERE domain = ?1)
			    OR EXISTS (SELECT 1 FROM panelmail_alias   WHERE domain = ?1)`, folded).Scan(&found)
	})
	if err != nil {
		return false, ours(err)
	}
	return found, nil
}
