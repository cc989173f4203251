package restrict

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// CheckRelay reports why a policy could make the server an open relay.
//
//   - One of the lists relay and recipient must be able to refuse an unknown
//     destination, before it permits everything: Postfix does not start otherwise.
//   - In the relay list, before such a refusal, an access table must not say OK to what
//     everybody may claim to be (HELO, sender), to whole classes of clients, or to an
//     address in every domain.
func (p *Policy) CheckRelay() error {
	relay, refuses := beforeRefusal(p.lists[Relay])
	if _, other := beforeRefusal(p.lists[Recipient]); !refuses && !other {
		return errors.New("neither the relay list nor the recipient list refuses unknown destinations before it permits: " +
			"one of them needs reject_unauth_destination, defer_unauth_destination, reject, defer or defer_if_permit")
	}
	var problems []error
	for _, x := range relay {
		if x.table == nil {
			continue
		}
		if err := tooMuch(x); err != nil {
			problems = append(problems, fmt.Errorf("relay list: %s %s: %w", x.word, x.table.name, err))
		}
	}
	return errors.Join(problems...)
}

// beforeRefusal returns the restrictions that come before one that refuses unknown
// destinations, or before a permit, and whether the former was found.
func beforeRefusal(list []restriction) (before []restriction, refuses bool) {
	for i, x := range list {
		switch {
		case x.word == "permit":
			return list[:i], false
		case x.warn:
		case slices.Contains([]string{"reject", "defer", "defer_if_permit", "reject_unauth_destination", "defer_unauth_destination"}, x.word):
			return list[:i], true
		}
	}
	return list, false
}

// tooMuch says which entry of a table must not permit relaying.
func tooMuch(x restriction) error {
	entries := map[string]entry{}
	for key, e := range x.table.keys {
		entries[key] = e
	}
	for n, e := range x.table.nets {
		entries[n.String()] = e
	}
	var worst error
	first := 0
	for key, e := range entries {
		why := ""
		switch {
		case !e.permits():
		case x.word == "check_helo_access" || x.word == "check_sender_access":
			why = "anybody may claim to be that"
		case x.word == "check_recipient_access" && strings.HasSuffix(key, "@"):
			why = "that is an address in every domain"
		case x.word == "check_client_access" && wide(key), !strings.ContainsAny(key, ".:/@<"):
			why = "that is a good part of the internet"
		}
		if why != "" && (worst == nil || e.line < first) {
			worst, first = fmt.Errorf("line %d: OK for %s: %s", e.line, key, why), e.line
		}
	}
	return worst
}

// permits reports whether an entry may permit what is not trusted otherwise.
func (e entry) permits() bool {
	return e.word == "OK" || slices.ContainsFunc(e.list, func(x restriction) bool {
		return x.word == "permit" || x.table != nil && slices.ContainsFunc(x.table.all(), entry.permits)
	})
}

func (t *table) all() (all []entry) {
	for _, e := range t.keys {
		all = append(all, e)
	}
	for _, e := range t.nets {
		all = append(all, e)
	}
	return all
}

// wide reports whether a network is no single organisation's.
func wide(key string) bool {
	n, err := netip.ParsePrefix(key)
	return err == nil && (n.Addr().Is4() && n.Bits() < 8 || n.Addr().Is6() && n.Bits() < 16)
}
