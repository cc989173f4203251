package dnscheck

import (
	"slices"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
)

// Delegated is a zone and, beside it, the records of keys where the zone's aliases lead:
// an alias that is published as it should be is of no use before the key is there. The
// records need not be in the zone by their names.
func Delegated(z dnstmpl.Zone, keys []dnstmpl.DKIM) dnstmpl.Zone {
	z.Records = slices.Clone(z.Records)
	for _, r := range z.Records {
		alias, ok := r.Value.(dnstmpl.CNAME)
		if !ok {
			continue
		}
		for _, k := range keys {
			if k.Target == "" || folded(k.Name) != r.Name || folded(k.Target) != alias.Target {
				continue
			}
			z.Records = append(z.Records, dnstmpl.Record{Name: alias.Target, TTL: r.TTL, Value: dnstmpl.TXT{Text: k.Text}})
		}
	}
	return z
}

// folded is a name as records have it.
func folded(name string) string { return absolute(strings.ToLower(name)) }

// aliasOf is the name that is wanted as an alias of another; "" if none is.
func aliasOf(names []*wantedName, target string) string {
	for _, n := range names {
		for _, r := range n.records {
			if r.Value == (dnstmpl.CNAME{Target: target}) {
				return n.name
			}
		}
	}
	return ""
}
