package transport

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// A Source is where mail leaves from: a local address of each family and the
// name to say in EHLO. The zero Source is the system's choice of address, under
// the host's own name. A source with an address of one family never uses the
// other family.
type Source struct {
	Name   string     `json:"name,omitempty"`
	IPv4   netip.Addr `json:"ipv4,omitzero"`
	IPv6   netip.Addr `json:"ipv6,omitzero"`
	HELO   string     `json:"helo,omitempty"`
	Prefer Family     `json:"prefer,omitempty"`
}

// A Family says which address families a source connects with
// (smtp_address_preference of Postfix).
type Family string

// The values of [Family]. Among the hosts of one preference, those of the
// preferred family are tried first; a family that is left out is never tried.
const (
	AnyFamily  Family = ""          // both, by turns
	PreferIPv4 Family = "ipv4"      // IPv4 first
	PreferIPv6 Family = "ipv6"      // IPv6 first
	OnlyIPv4   Family = "ipv4-only" // no IPv6
	OnlyIPv6   Family = "ipv6-only" // no IPv4
)

// Known reports whether f is one of the values above.
func (f Family) Known() bool {
	switch f {
	case AnyFamily, PreferIPv4, PreferIPv6, OnlyIPv4, OnlyIPv6:
		return true
	}
	return false
}

// allows reports whether f connects to an address at all. A value that is not
// known connects to none.
func (f Family) allows(remote netip.Addr) bool {
	switch f {
	case AnyFamily, PreferIPv4, PreferIPv6:
		return true
	case OnlyIPv4:
		return remote.Unmap().Is4()
	case OnlyIPv6:
		return !remote.Unmap().Is4()
	}
	return false
}

// order puts the preferred family first among hosts of the same preference, which
// stand together.
func (f Family) order(hosts []host) {
	if f != PreferIPv4 && f != PreferIPv6 {
		return
	}
	late := func(x host) int {
		if x.addr.Addr().Unmap().Is4() == (f == PreferIPv4) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(hosts, func(a, b host) int {
		return cmp.Or(cmp.Compare(a.preference, b.preference), cmp.Compare(late(a), late(b)))
	})
}

// Bound reports whether the source names an address.
func (s Source) Bound() bool { return s.IPv4.IsValid() || s.IPv6.IsValid() }

// Local is the address to connect from when connecting to remote; not valid, it
// is the system's choice. ok is false if the source has nothing to do with that
// family: do not connect.
func (s Source) Local(remote netip.Addr) (local netip.Addr, ok bool) {
	switch {
	case !s.Prefer.allows(remote):
		return netip.Addr{}, false
	case !s.Bound():
		return netip.Addr{}, true
	case remote.Unmap().Is4():
		return s.IPv4, s.IPv4.IsValid()
	}
	return s.IPv6, s.IPv6.IsValid()
}

// Key names the source in lanes: equal sources have equal keys. The zero source
// has the key "".
func (s Source) Key() string {
	if s == (Source{}) {
		return ""
	}
	var b strings.Builder
	for _, ip := range []netip.Addr{s.IPv4, s.IPv6} {
		if ip.IsValid() {
			b.WriteString(ip.String())
		}
		b.WriteByte(',')
	}
	b.WriteString(s.HELO)
	if s.Prefer != AnyFamily {
		b.WriteString("," + string(s.Prefer))
	}
	return b.String()
}

// label is the source for people.
func (s Source) label() string { return cmp.Or(s.Name, s.Key()) }
