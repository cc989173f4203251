package transport_test

import (
	"net/netip"
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
	} {
		if other, ok := seen[s.Key()]; ok {
			t.Errorf("%+v and %+v have the key %q", s, other, s.Key())
		}
		seen[s.Key()] = s
	}
}
