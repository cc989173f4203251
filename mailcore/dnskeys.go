package mailcore

import (
	"context"
	"strings"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore/sites"
)

// keyRecords are those of all keys of a domain that somebody may ask for: the keys that
// sign, those that are going to, and those with whose signatures mail is under way.
// After them come those of any domain whose selectors are delegated to a name in this one.
func (s *desk) keyRecords(ctx context.Context, settings *sites.Snapshot, domain string) (records []dnstmpl.DKIM, err error) {
	keys, err := s.sites.ListDKIM(ctx, domain)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.Live() {
			records = append(records, dnstmpl.DKIM{Name: k.Name, Text: k.Record, Target: k.Target, Pending: awaited(k)})
		}
	}
	delegated, err := s.sites.ListDelegatedDKIM(ctx, domain)
	if err != nil {
		return nil, err
	}
	for _, k := range delegated {
		if k.Live() && holds(settings, domain, k.Target) {
			records = append(records, dnstmpl.DKIM{Name: k.Target, Text: k.Record, Pending: awaited(k)})
		}
	}
	return records, nil
}

// awaited reports whether a key is not signed with yet.
func awaited(k sites.DKIMKey) bool { return k.State == sites.DKIMPending || k.State == sites.DKIMSeen }

// holds reports whether no domain of a site is nearer to a name below domain.
func holds(settings *sites.Snapshot, domain, name string) bool {
	for name != domain {
		if _, ours := settings.Domain(name); ours {
			return false
		}
		_, parent, found := strings.Cut(name, ".")
		if !found {
			return false
		}
		name = parent
	}
	return true
}
