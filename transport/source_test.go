package transport_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/panelmail/panelmail/transport"
)

// Invariant 11, a source never leaks: bound to one family, it does not connect
// to the other at all.
func TestASourceNeverLeaksIntoTheOtherFamily(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	to4, to6 := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8:1::1")
	mapped := netip.AddrFrom16(to4.As16())
	for _, test := range []struct {
		name   string
		source transport.Source
		remote netip.Addr
		want   netip.Addr
		ok     bool
	}{
		{"none to 4", transport.Source{HELO: "x"}, to4, netip.Addr{}, true},
		{"none to 6", transport.Source{}, to6, netip.Addr{}, true},
		{"4 to 4", transport.Source{IPv4: four}, to4, four, true},
		{"4 to mapped 4", transport.Source{IPv4: four}, mapped, four, true},
		{"4 to 6", transport.Source{IPv4: four}, to6, netip.Addr{}, false},
		{"6 to 4", transport.Source{IPv6: six}, to4, netip.Addr{}, false},
		{"6 to 6", transport.Source{IPv6: six}, to6, six, true},
		{"both to 4", transport.Source{IPv4: four, IPv6: six}, to4, four, true},
		{"both to 6", transport.Source{IPv4: four, IPv6: six}, to6, six, true},
	} {
		if got, ok := test.source.Local(test.remote); got != test.want || ok != test.ok {
			t.Errorf("%s: %v, %v; want %v, %v", test.name, got, ok, test.want, test.ok)
		}
	}
}

func TestSourceKeysTellSourcesApart(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	seen := map[string]transport.Source{}
	for _, s := range []transport.Source{
		{}, {HELO: "x"}, {IPv4: four}, {IPv6: six}, {IPv4: four, IPv6: six}, {IPv4: four, HELO: "x"},
		{IPv4: four, Prefer: transport.PreferIPv4}, {IPv4: four, HELO: "x", Prefer: transport.PreferIPv4}, {Prefer: transport.OnlyIPv6},
	} {
		if other, ok := seen[s.Key()]; ok {
			t.Errorf("%+v and %+v have the key %q", s, other, s.Key())
		}
		seen[s.Key()] = s
	}
}

func TestASourceConnectsWithTheFamiliesItSays(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	to4, to6 := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8:1::1")
	pair := func(f transport.Family) transport.Source { return transport.Source{IPv4: four, IPv6: six, Prefer: f} }
	for _, test := range []struct {
		source    transport.Source
		ok4, ok6  bool
		from, and netip.Addr
	}{
		{pair(transport.AnyFamily), true, true, four, six},
		{pair(transport.PreferIPv4), true, true, four, six},
		{pair(transport.PreferIPv6), true, true, four, six},
		{pair(transport.OnlyIPv4), true, false, four, netip.Addr{}},
		{pair(transport.OnlyIPv6), false, true, netip.Addr{}, six},
		{transport.Source{Prefer: transport.OnlyIPv4}, true, false, netip.Addr{}, netip.Addr{}},
		{transport.Source{Prefer: transport.OnlyIPv6}, false, true, netip.Addr{}, netip.Addr{}},
		{transport.Source{Prefer: "later"}, false, false, netip.Addr{}, netip.Addr{}},
	} {
		from, ok4 := test.source.Local(to4)
		and, ok6 := test.source.Local(to6)
		if ok4 != test.ok4 || ok6 != test.ok6 || from != test.from || and != test.and {
			t.Errorf("%+v: %v %v, %v %v", test.source, from, ok4, and, ok6)
		}
	}
}

func TestASourceTriesItsFamilyFirstAndItsOtherAddressNotAtAllWhileOneIsMissing(t *testing.T) {
	four, six := netip.MustParseAddr("127.0.0.7"), netip.MustParseAddr("2001:db8::7")
	const missing = "deferred 451 4.4.0 source address 127.0.0.7 is not on this machine, local"
	for name, test := range map[string]struct {
		prefer transport.Family
		local  []netip.Addr
		want   string
		from   []netip.Addr
	}{
		"IPv4 first":            {transport.PreferIPv4, []netip.Addr{four, six}, taken, []netip.Addr{four}},
		"IPv6 first":            {transport.PreferIPv6, []netip.Addr{four, six}, taken, []netip.Addr{six}},
		"IPv4 is missing":       {transport.PreferIPv4, []netip.Addr{six}, missing, nil},
		"IPv4 alone is missing": {transport.OnlyIPv4, []netip.Addr{six}, missing, nil},
		"IPv6 alone":            {transport.OnlyIPv6, []netip.Addr{six}, taken, []netip.Addr{six}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 5 { // the families come in any order
				l := newLab(t)
				l.zone.addrs["mx.x.test"] = []string{"2001:db8:1::1", "192.0.2.1", "2001:db8:1::2"}
				l.net.AddLocal(test.local...)
				var from []netip.Addr
				var hosts []*exchanger
				for _, addr := range l.zone.addrs["mx.x.test"] {
					hosts = append(hosts, l.at(t, netip.AddrPortFrom(netip.MustParseAddr(addr), 25).String(), &exchanger{}))
				}
				d := mail("b@x.test")
				d.Plan.Source = transport.Source{IPv4: four, IPv6: six, Prefer: test.prefer}
				got := l.deliver(d)
				for _, x := range hosts {
					for _, v := range x.seen() {
						from = append(from, v.From)
					}
				}
				if got[0] != test.want || !slices.Equal(from, test.from) {
					t.Errorf("%q from %v", got, from)
				}
			}
		})
	}
}
