package transport_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

// dialled makes the lab refuse all connections, and remember where to they were.
func dialled(l *lab) *[]string {
	var tried []string
	l.Network = transport.NetworkFunc(func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
		tried = append(tried, remote.String())
		return l.net.Dial(ctx, local, remote)
	})
	return &tried
}

func TestNextHopsAreResolvedAsPostfixDoes(t *testing.T) {
	const (
		refused  = "connection refused, destination"
		notFound = "Host or domain name not found. Name service error for name="
	)
	tests := map[string]struct {
		nexthop string
		mx      map[string][]transport.MX
		addrs   map[string][]string
		err     map[string]error
		tried   []string
		want    string
	}{
		"by preference": {
			mx:    map[string][]transport.MX{"x.test": {{Preference: 30, Host: "c.test."}, {Preference: 10, Host: "a.test."}, {Preference: 20, Host: "b.test."}}},
			addrs: map[string][]string{"a.test": {"192.0.2.1"}, "b.test": {"192.0.2.2"}, "c.test": {"192.0.2.3"}},
			tried: []string{"192.0.2.1:25", "192.0.2.2:25", "192.0.2.3:25"},
			want:  "deferred 451 4.4.1 connect to c.test[192.0.2.3]:25: " + refused,
		},
		"no MX: the domain itself": {
			addrs: map[string][]string{"x.test": {"192.0.2.1"}},
			tried: []string{"192.0.2.1:25"},
			want:  "deferred 451 4.4.1 connect to x.test[192.0.2.1]:25: " + refused,
		},
		"another port": {
			nexthop: "x.test:2525", addrs: map[string][]string{"x.test": {"192.0.2.1"}},
			tried: []string{"192.0.2.1:2525"},
			want:  "deferred 451 4.4.1 connect to x.test[192.0.2.1]:2525: " + refused,
		},
		"brackets: no MX": {
			nexthop: "[x.test]:587", mx: map[string][]transport.MX{"x.test": {{Preference: 10, Host: "a.test"}}}, addrs: map[string][]string{"x.test": {"192.0.2.1"}},
			tried: []string{"192.0.2.1:587"},
			want:  "deferred 451 4.4.1 connect to x.test[192.0.2.1]:587: " + refused,
		},
		"addresses, and a list": {
			nexthop: "[192.0.2.1]:26, [IPv6:2001:db8::1] [2001:db8::2]:submission,192.0.2.4",
			tried:   []string{"192.0.2.1:26", "[2001:db8::1]:25", "[2001:db8::2]:587", "192.0.2.4:25"},
			want:    "deferred 451 4.4.1 connect to 192.0.2.4[192.0.2.4]:25: " + refused,
		},
		"a list goes on after a name that is not there": {
			nexthop: "gone.test, [192.0.2.1]", tried: []string{"192.0.2.1:25"},
			want: "deferred 451 4.4.1 connect to 192.0.2.1[192.0.2.1]:25: " + refused,
		},
		"a name that is not there does not end what may work later": {
			nexthop: "[192.0.2.1], gone.test", tried: []string{"192.0.2.1:25"},
			want: "deferred 451 4.4.1 connect to 192.0.2.1[192.0.2.1]:25: " + refused,
		},
		"U-labels": {
			nexthop: "bücher.test", addrs: map[string][]string{"xn--bcher-kva.test": {"192.0.2.1"}}, tried: []string{"192.0.2.1:25"},
			want: "deferred 451 4.4.1 connect to xn--bcher-kva.test[192.0.2.1]:25: " + refused,
		},
		"no such domain":  {want: "failed 550 5.4.4 " + notFound + "x.test type=A: Host not found"},
		"no such host":    {nexthop: "[x.test]", want: "failed 550 5.4.4 " + notFound + "x.test type=A: Host not found"},
		"MX: SERVFAIL":    {err: map[string]error{"MX x.test": servfail("x.test")}, want: "deferred 451 4.4.3 " + notFound + "x.test type=MX: Host not found, try again, local"},
		"MX: timeout":     {err: map[string]error{"MX x.test": &net.DNSError{IsTimeout: true}}, want: "deferred 451 4.4.3 " + notFound + "x.test type=MX: Host not found, try again, local"},
		"MX: any error":   {err: map[string]error{"MX x.test": context.DeadlineExceeded}, want: "deferred 451 4.4.3 " + notFound + "x.test type=MX: Host not found, try again, local"},
		"A: SERVFAIL":     {err: map[string]error{"x.test": servfail("x.test")}, want: "deferred 451 4.4.3 " + notFound + "x.test type=A: Host not found, try again, local"},
		"null MX":         {mx: map[string][]transport.MX{"x.test": {{Preference: 0, Host: "."}}}, addrs: map[string][]string{"x.test": {"192.0.2.1"}}, want: "failed 556 5.1.10 Domain x.test does not accept mail (nullMX)"},
		"null MX, no dot": {mx: map[string][]transport.MX{"x.test": {{Preference: 0, Host: ""}}}, want: "failed 556 5.1.10 Domain x.test does not accept mail (nullMX)"},
		"null MX and others": {
			mx: map[string][]transport.MX{"x.test": {{Preference: 0, Host: "."}, {Preference: 10, Host: "a.test"}}}, addrs: map[string][]string{"a.test": {"192.0.2.1"}},
			tried: []string{"192.0.2.1:25"}, want: "deferred 451 4.4.1 connect to a.test[192.0.2.1]:25: " + refused,
		},
		"MX that are no names": {
			mx:   map[string][]transport.MX{"x.test": {{Preference: 0, Host: "192.0.2.1."}, {Preference: 5, Host: "a\\000b.test"}, {Preference: 5, Host: "2001:db8::1"}}},
			want: "failed 550 5.4.4 none of the mail exchangers of x.test is a host name",
		},
		"one of them is": {
			mx: map[string][]transport.MX{"x.test": {{Preference: 0, Host: "192.0.2.9."}, {Preference: 10, Host: "a.test"}}}, addrs: map[string][]string{"a.test": {"192.0.2.1"}},
			tried: []string{"192.0.2.1:25"}, want: "deferred 451 4.4.1 connect to a.test[192.0.2.1]:25: " + refused,
		},
		"MX without addresses": {mx: map[string][]transport.MX{"x.test": {{Preference: 0, Host: "a.test"}}}, want: "failed 550 5.4.4 " + notFound + "x.test type=A: Host not found"},
		"one without, one in trouble": {
			mx:  map[string][]transport.MX{"x.test": {{Preference: 0, Host: "a.test"}, {Preference: 10, Host: "b.test"}, {Preference: 20, Host: "c.test"}}},
			err: map[string]error{"b.test": servfail("b.test")}, want: "deferred 451 4.4.3 " + notFound + "x.test type=A: Host not found, try again, local",
		},
		"one in trouble, one works": {
			mx:  map[string][]transport.MX{"x.test": {{Preference: 0, Host: "a.test"}, {Preference: 10, Host: "b.test"}}},
			err: map[string]error{"a.test": servfail("a.test")}, addrs: map[string][]string{"b.test": {"192.0.2.1"}},
			tried: []string{"192.0.2.1:25"}, want: "deferred 451 4.4.1 connect to b.test[192.0.2.1]:25: " + refused,
		},
		"our own listener": {
			mx:    map[string][]transport.MX{"x.test": {{Preference: 10, Host: "a.test"}, {Preference: 20, Host: "b.test"}, {Preference: 20, Host: "c.test"}, {Preference: 30, Host: "d.test"}}},
			addrs: map[string][]string{"a.test": {"192.0.2.1"}, "b.test": {"192.0.2.77"}, "c.test": {"192.0.2.3"}, "d.test": {"192.0.2.4"}},
			tried: []string{"192.0.2.1:25"}, want: "deferred 451 4.4.1 connect to a.test[192.0.2.1]:25: " + refused,
		},
		"nobody but our own listener": {
			mx: map[string][]transport.MX{"x.test": {{Preference: 10, Host: "a.test"}}}, addrs: map[string][]string{"a.test": {"::ffff:192.0.2.77"}},
			want: "failed 554 5.4.6 mail for x.test loops back to myself",
		},
		"without an MX, too": {addrs: map[string][]string{"x.test": {"192.0.2.77"}}, want: "failed 554 5.4.6 mail for x.test loops back to myself"},
		"our own name": {
			mx: map[string][]transport.MX{"x.test": {{Preference: 10, Host: "US.test."}, {Preference: 20, Host: "b.test"}}}, addrs: map[string][]string{"b.test": {"192.0.2.1"}},
			want: "failed 554 5.4.6 mail for x.test loops back to myself",
		},
		"our address at another port is another server": {
			nexthop: "x.test:26", addrs: map[string][]string{"x.test": {"192.0.2.77"}},
			tried: []string{"192.0.2.77:26"}, want: "deferred 451 4.4.1 connect to x.test[192.0.2.77]:26: " + refused,
		},
		"brackets lead to our own machine": {
			nexthop: "[192.0.2.77]:10025", tried: []string{"192.0.2.77:10025"}, want: "deferred 451 4.4.1 connect to 192.0.2.77[192.0.2.77]:10025: " + refused,
		},
		"but not to our own listener": {nexthop: "[::ffff:192.0.2.77]", want: "failed 554 5.4.6 mail for [::ffff:192.0.2.77]:25 loops back to myself"},
		"nor by name": {
			nexthop: "[us.example]", addrs: map[string][]string{"us.example": {"192.0.2.77"}},
			want: "failed 554 5.4.6 mail for [us.example]:25 loops back to myself",
		},
		"only to the other address of a name": {
			nexthop: "[us.example]", addrs: map[string][]string{"us.example": {"192.0.2.77", "192.0.2.1"}},
			tried: []string{"192.0.2.1:25"}, want: "deferred 451 4.4.1 connect to us.example[192.0.2.1]:25: " + refused,
		},
		"loopback": {addrs: map[string][]string{"x.test": {"127.0.0.1", "::1", "::ffff:127.0.0.2", "0.0.0.0"}}, want: "failed 554 5.4.6 mail for x.test loops back to myself"},
		"private": {
			addrs: map[string][]string{"x.test": {"10.0.0.1", "192.168.1.1", "172.16.0.1", "fd00::1", "fe80::1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "0.1.2.3",
				"::ffff:10.0.0.1", "::10.0.0.1", "::8.8.8.8", "64:ff9b::10.0.0.1", "64:ff9b:1::808:808", "2002:a00:1::1", "2002:808:808::1", "fec0::1", "feff::1"}},
			want: "deferred 451 4.4.4 the mail exchangers of x.test have only private addresses, which are not connected to, destination",
		},
		"public behind a NAT64 gateway": {
			addrs: map[string][]string{"x.test": {"64:ff9b::192.0.2.1"}}, tried: []string{"[64:ff9b::c000:201]:25"},
			want: "deferred 451 4.4.1 connect to x.test[64:ff9b::c000:201]:25: " + refused,
		},
		"private beside public": {
			mx:    map[string][]transport.MX{"x.test": {{Preference: 10, Host: "a.test"}, {Preference: 20, Host: "b.test"}}},
			addrs: map[string][]string{"a.test": {"127.0.0.1", "10.0.0.1"}, "b.test": {"192.0.2.1"}},
			tried: []string{"192.0.2.1:25"}, want: "deferred 451 4.4.1 connect to b.test[192.0.2.1]:25: " + refused,
		},
		"private in brackets": {
			nexthop: "[a.test]", addrs: map[string][]string{"a.test": {"10.0.0.1"}},
			tried: []string{"10.0.0.1:25"}, want: "deferred 451 4.4.1 connect to a.test[10.0.0.1]:25: " + refused,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.zone.mx, l.zone.addrs, l.zone.err = test.mx, test.addrs, test.err
			l.Listeners = func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("192.0.2.77:25")} }
			tried := dialled(l)
			d := mail("b@x.test")
			if test.nexthop != "" {
				d.Plan.Nexthop = test.nexthop
			}
			if diff := cmp.Diff([]string{test.want}, l.deliver(d)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.tried, *tried); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPrivateExchangersAreReachedWhereAllowed(t *testing.T) {
	for name, allow := range map[string]func(*lab, *transport.Delivery){
		"by setting":      func(l *lab, _ *transport.Delivery) { l.AllowPrivate = true },
		"of a smart host": func(_ *lab, d *transport.Delivery) { d.Plan.SmartHost = true },
	} {
		l := newLab(t)
		l.zone.addrs["mx.x.test"] = []string{"127.0.0.1"}
		l.at(t, "127.0.0.1", &exchanger{})
		d := mail("b@x.test")
		allow(l, d)
		if diff := cmp.Diff([]string{"delivered 250 2.0.0 taken by mx.x.test"}, l.deliver(d)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAnAddressLiteralOfARecipientIsAStrangersWord(t *testing.T) {
	const private = "deferred 451 4.4.4 the address %s is private, and not connected to, destination"
	for literal, want := range map[string]string{
		"[192.0.2.1]":            "deferred 451 4.4.1 connect to 192.0.2.1[192.0.2.1]:25: connection refused, destination",
		"[IPv6:2001:db8::1]":     "deferred 451 4.4.1 connect to 2001:db8::1[2001:db8::1]:25: connection refused, destination",
		"[10.0.0.5]":             fmt.Sprintf(private, "10.0.0.5"),
		"[169.254.169.254]":      fmt.Sprintf(private, "169.254.169.254"),
		"[IPv6:fd00::1]":         fmt.Sprintf(private, "fd00::1"),
		"[IPv6:64:ff9b::7f00:1]": fmt.Sprintf(private, "64:ff9b::7f00:1"),
		"[IPv6:::ffff:10.0.0.5]": fmt.Sprintf(private, "::ffff:10.0.0.5"),
		"[127.0.0.1]":            "failed 554 5.4.6 mail for 127.0.0.1 loops back to myself",
		"[IPv6:::1]":             "failed 554 5.4.6 mail for ::1 loops back to myself",
		"[192.0.2.77]":           "failed 554 5.4.6 mail for 192.0.2.77 loops back to myself",
	} {
		l := newLab(t)
		l.Listeners = func() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("192.0.2.77:25")} }
		tried := dialled(l)
		d := mail("root@" + literal)
		direct := plan(t, &transport.Planner{}, "root@"+literal)
		d.Plan = direct
		if diff := cmp.Diff([]string{want}, l.deliver(d)); diff != "" {
			t.Errorf("%s: %s", literal, diff)
		}
		if dials := strings.Contains(want, "connect to"); dials != (len(*tried) == 1) {
			t.Errorf("%s: dialled %v", literal, *tried)
		}

		// What somebody chose is no stranger's word, though it be the same.
		for _, chosen := range []*transport.Planner{{Routes: routeIs("smtp:[10.0.0.5]")}, {SmartHost: "[10.0.0.5]"}} {
			*tried = nil
			d.Plan = plan(t, chosen, "root@"+literal)
			if l.deliver(d); len(*tried) != 1 {
				t.Errorf("%s by a route: dialled %v", literal, *tried)
			}
		}
		*tried = nil
		d.Plan, l.AllowPrivate = direct, true
		if l.deliver(d); len(*tried) != 1 && literal != "[192.0.2.77]" {
			t.Errorf("%s, allowed: dialled %v", literal, *tried)
		}
	}
}

// A route that names a transport alone leads to the recipient domain as well.
func TestARouteWithoutANextHopDoesNotVouchForTheRecipientDomain(t *testing.T) {
	for _, p := range []*transport.Planner{
		{}, {Routes: routeIs("relaylim:")}, {SmartHosts: smartHostIs("")}, {Defaults: routeIs("oneshot:")},
	} {
		if !plan(t, p, "root@[127.0.0.1]").Direct {
			t.Errorf("%+v", p)
		}
	}
}

func TestDeadExchangersDoNotHideALiveOneForGood(t *testing.T) {
	for name, dead := range map[string][]string{"no address": nil, "loopback": {"127.0.0.1"}} {
		l := newLab(t)
		var mx []transport.MX
		for i := range 20 {
			host := fmt.Sprintf("dead%d.x.test", i)
			mx = append(mx, transport.MX{Preference: 1, Host: host})
			if dead != nil {
				l.zone.addrs[host] = dead
			}
		}
		l.zone.mx["x.test"] = mx
		if got := l.deliver(mail("b@x.test"))[0]; !strings.HasPrefix(got, "failed") {
			t.Errorf("%s: all are dead: %s", name, got)
		}
		l.zone.mx["x.test"] = append(mx, transport.MX{Preference: 10, Host: "mx.x.test"})
		want := []string{"deferred 451 4.4.4 of the mail exchangers of x.test the first 20 have no address to connect to, destination"}
		if diff := cmp.Diff(want, l.deliver(mail("b@x.test"))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTheNameOfASmartHostIsOurOwnAffair(t *testing.T) {
	l := newLab(t)
	l.zone.mx["null.test"] = []transport.MX{{Preference: 0, Host: "."}}
	for nexthop, want := range map[string]string{
		"[gone.test]:587": "deferred 451 4.3.5 smart host configuration problem: Host or domain name not found. Name service error for name=gone.test type=A: Host not found, local",
		"null.test":       "deferred 451 4.3.5 smart host configuration problem: Domain null.test does not accept mail (nullMX), local",
	} {
		d := mail("b@x.test")
		d.Plan.Nexthop, d.Plan.SmartHost = nexthop, true
		if diff := cmp.Diff([]string{want}, l.deliver(d)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestExchangersOfEqualPreferenceAreShuffled(t *testing.T) {
	l := newLab(t)
	l.zone.mx["x.test"] = []transport.MX{{Preference: 10, Host: "a.test"}, {Preference: 10, Host: "b.test"}}
	l.zone.addrs["a.test"], l.zone.addrs["b.test"] = []string{"192.0.2.1"}, []string{"192.0.2.2"}
	tried := dialled(l)
	first := map[string]int{}
	for range 200 {
		*tried = nil
		l.deliver(mail("b@x.test"))
		first[(*tried)[0]]++
	}
	if len(first) != 2 || first["192.0.2.1:25"] < 50 || first["192.0.2.2:25"] < 50 {
		t.Errorf("first: %v", first)
	}
}

func TestALargeExchangerSetCostsFewLookups(t *testing.T) {
	l := newLab(t)
	l.zone.mx["x.test"] = slices.Repeat([]transport.MX{{Preference: 10, Host: "none.test"}}, 300)
	l.deliver(mail("b@x.test"))
	if n := len(l.zone.asked); n > 25 {
		t.Errorf("%d look-ups", n)
	}
}

func TestBothFamiliesGetATurn(t *testing.T) {
	l := newLab(t)
	l.zone.addrs["mx.x.test"] = []string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "2001:db8::5", "192.0.2.1"}
	l.at(t, "192.0.2.1", &exchanger{})
	if diff := cmp.Diff([]string{"delivered 250 2.0.0 taken by mx.x.test"}, l.deliver(mail("b@x.test"))); diff != "" {
		t.Error(diff)
	}
}

func TestListenerAddrsNamesWhatAWildcardStandsFor(t *testing.T) {
	got, err := transport.ListenerAddrs(
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25}, &net.TCPAddr{IP: net.IPv6zero, Port: 587}, &net.UnixAddr{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"192.0.2.1:25", "127.0.0.1:587"} {
		if !slices.Contains(got, netip.MustParseAddrPort(want)) {
			t.Errorf("no %s in %v", want, got)
		}
	}
}
