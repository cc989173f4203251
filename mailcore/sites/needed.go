package sites

import (
	"database/sql"
	"encoding/json"
	"strings"

	"github.com/panelmail/panelmail/transport"
)

// KnowSmartHost says which smart host a program has beside those kept here, "" for
// none: what the panel has set for it is needed whatever site is removed. It replaces
// what was said before.
func (s *Sites) KnowSmartHost(nexthop string) { s.configured.Store(&nexthop) }

func (s *Sites) configuredSmartHost() string {
	if nexthop := s.configured.Load(); nexthop != nil {
		return *nexthop
	}
	return ""
}

// unneeded is the condition on rows of the panel about a next hop that nothing sends
// mail to.
const unneeded = `key NOT IN (SELECT value FROM json_each(?2))`

// A going is a site on its way out with its domains, or some domains alone.
type going struct {
	site    any // its name; nil: there is none
	domains []string
	list    string // domains in JSON
	needed  string // see neededKeys
}

func goingOfSite(tx *sql.Tx, site, configured string) (*going, error) {
	domains, err := siteDomains(tx, site)
	if err != nil {
		return nil, err
	}
	return newGoing(tx, site, domains, configured)
}

// newGoing must come before anything is removed.
func newGoing(tx *sql.Tx, site any, domains []string, configured string) (*going, error) {
	list, err := json.Marshal(domains)
	if err != nil {
		return nil, err
	}
	g := &going{site: site, domains: domains, list: string(list)}
	g.needed, err = g.neededKeys(tx, configured)
	return g, err
}

// going is the condition on all rows that go, for the args of what goes.
func (b *belonging) going() string {
	condition := `FALSE`
	if b.site != "" {
		condition = b.site + ` IS ?1`
	}
	if b.domain != "" {
		condition += ` OR EXISTS (SELECT 1 FROM (SELECT value AS one_of FROM json_each(?3)) WHERE ` +
			strings.ReplaceAll(b.domain, `?1`, `one_of`) + `)`
	}
	return condition
}

func (g *going) args() []any { return []any{g.site, g.needed, g.list} }

// nexthopsIn are the columns that say where mail goes, by table; all but a smart
// host's have a transport in front.
func nexthopsIn(table string) (column string) {
	switch table {
	case "panelmail_route", "panelmail_sender_route":
		return "value"
	case "panelmail_mailbox":
		return "deliver"
	case "panelmail_smarthost":
		return "nexthop"
	}
	return ""
}

// neededKeys are the keys, in JSON, by which credentials and TLS policies are found
// for next hops within the domains that rows which stay send mail to; [] if none.
func (g *going) neededKeys(tx *sql.Tx, configured string) (string, error) {
	needed := nexthopKeys([]string{}, configured)
	for _, b := range belongings {
		column := nexthopsIn(b.table)
		if column == "" {
			continue
		}
		nexthops, err := texts(tx.Query(`
			SELECT DISTINCT `+column+` FROM `+b.table+`
			WHERE EXISTS (SELECT 1 FROM (SELECT value AS one_of FROM json_each(?3)) WHERE instr(lower(`+column+`), one_of) > 0)
			AND NOT (`+b.going()+`)`, g.args()...))
		if err != nil {
			return "", err
		}
		for _, nexthop := range nexthops {
			if column != "nexthop" {
				_, nexthop, _ = strings.Cut(nexthop, ":")
			}
			needed = nexthopKeys(needed, nexthop)
		}
	}
	list, err := json.Marshal(needed)
	return string(list), err
}

// nexthopKeys adds the keys for a next hop or a list, and for each element of that.
func nexthopKeys(keys []string, nexthop string) []string {
	for _, hop := range append(splitNexthops(nexthop), strings.TrimSpace(nexthop)) {
		if hop != "" {
			keys = append(append(keys, transport.CredentialKeys("", hop)...), transport.TLSKeys(hop)...)
		}
	}
	return keys
}
