package transport_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

func TestThePlansHostsAreFoundWithoutAConnection(t *testing.T) {
	four := netip.MustParseAddr("127.0.0.7")
	l := newLab(t)
	l.zone.mx["x.test"] = append(l.zone.mx["x.test"], transport.MX{Preference: 20, Host: "mx2.x.test."})
	l.zone.addrs["mx2.x.test"] = []string{"2001:db8::1", "192.0.2.2"}
	x := l.at(t, "192.0.2.1", &exchanger{})
	for _, test := range []struct {
		nexthop string
		source  transport.Source
		want    []transport.Host
		err     string
	}{
		{"x.test", transport.Source{IPv4: four}, []transport.Host{
			{Name: "mx.x.test", Addr: "192.0.2.1:25", From: "127.0.0.7"}, {Name: "mx2.x.test", Addr: "192.0.2.2:25", From: "127.0.0.7"},
		}, ""},
		{"x.test", transport.Source{Prefer: transport.PreferIPv6}, []transport.Host{
			{Name: "mx.x.test", Addr: "192.0.2.1:25"}, {Name: "mx2.x.test", Addr: "[2001:db8::1]:25"}, {Name: "mx2.x.test", Addr: "192.0.2.2:25"},
		}, ""},
		{"[none.test], [192.0.2.9]:587", transport.Source{}, []transport.Host{{Name: "192.0.2.9", Addr: "192.0.2.9:587"}}, ""},
		{"none.test", transport.Source{}, nil, "Host not found"},
		{"x.test", transport.Source{Prefer: transport.OnlyIPv6, Name: "six"}, []transport.Host{{Name: "mx2.x.test", Addr: "[2001:db8::1]:25"}}, ""},
		{"[mx.x.test]", transport.Source{Prefer: transport.OnlyIPv6, Name: "six"}, nil, "no address of the family that source six sends from"},
	} {
		got, err := l.Resolve(context.Background(), transport.Plan{Nexthop: test.nexthop, Source: test.source, TLS: transport.TLSMay})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.nexthop, diff)
		}
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %v, want %q", test.nexthop, err, test.err)
		}
	}
	if n := len(x.seen()); n > 0 {
		t.Errorf("%d connections", n)
	}
}
