package dnstmpl_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
)

func TestLintSaysWhichMailOfTheDomainItsSPFRecordDoesNotLetPass(t *testing.T) {
	from := func(list ...string) dnstmpl.Data { return dnstmpl.Data{Egress: addrs(list...)} }
	by := func(relays ...dnstmpl.Relay) dnstmpl.Data { return dnstmpl.Data{Relays: relays} }
	for _, row := range []struct {
		name, spf string
		data      dnstmpl.Data
		want      string // the fixes
	}{
		{"another address", "ip4:192.0.2.25 -all", from("192.0.2.9", "192.0.2.25", "2001:db8::9"), "ip4:192.0.2.9 ip6:2001:db8::9 in it"},
		{"a pool, as networks", "-all", from("192.0.2.8", "192.0.2.9"), "ip4:192.0.2.8/31 in it"},
		{"denied by name", "-a:far.example ip4:192.0.2.7 -all", from("192.0.2.7"), "ip4:192.0.2.7 in it"},
		{"denied, but let pass before", "ip4:192.0.2.7 -a:far.example -all", from("192.0.2.7"), ""},
		{"neutral is no pass", "?ip4:192.0.2.7 ~all", from("192.0.2.7"), "ip4:192.0.2.7 in it"},
		{"the addresses of the domain and its exchangers", "a mx ?all", from("192.0.2.3", "192.0.2.4"), ""},
		{"with lengths", "a:far.example/30//64 -all", from("192.0.2.4", "2001:db8::9", "2001:db8:1::9"), "ip6:2001:db8:1::9 in it"},
		{"in what is included", "include:y.example -all", from("198.51.100.1", "198.51.100.2"), "ip4:198.51.100.2 in it"},
		{"by redirect", "redirect=y.example", from("198.51.100.1", "198.51.100.2"), "ip4:198.51.100.2 in it"},
		{"an answer that is missing", "include:broken.example -all", from("192.0.2.9"), ""},
		{"an answer that is missing, of what would fail it", "-include:broken.example ip4:192.0.2.9 -all", from("192.0.2.9"), ""},
		{"macros", "exists:%{i}.far.example -all", from("192.0.2.9"), ""},
		{"records that include one another", "include:loop.example -all", from("192.0.2.9"), ""},
		{"a network, of which a half", "ip4:203.0.113.0/25 -all", dnstmpl.Data{Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}, "ip4:203.0.113.0/24 in it"},
		{"a smart host", "a:far.example -all", by(dnstmpl.Relay{Host: "far.example"}, dnstmpl.Relay{Host: "mx.y.example", Include: []string{"y.example"}}, dnstmpl.Relay{Host: "192.0.2.99"}),
			"ip4:192.0.2.99 include:y.example in it"},
		{"its provider, in what is included", "include:outer.example -all", by(dnstmpl.Relay{Host: "mx.y.example", Include: []string{"y.example"}}), ""},
		{"a smart host without an address", "a:nothing.example -all", by(dnstmpl.Relay{Host: "nothing.example"}), "A or AAAA records for nothing.example"},
		{"exchangers that are smart hosts", "-all", by(dnstmpl.Relay{Host: "shop.example", MX: true}), "mx:shop.example in it"},
	} {
		t.Run(row.name, func(t *testing.T) {
			world := &internet{
				text: map[string][]string{"y.example": {"v=spf1 ip4:198.51.100.1 -all"}, "outer.example": {"v=spf1 include:y.example -all"},
					"loop.example": {"v=spf1 include:loop.example include:loop.example -all"}},
				addrs:  map[string][]netip.Addr{"far.example": addrs("192.0.2.7", "2001:db8::7")},
				broken: map[string]bool{"broken.example": true},
			}
			zone := zoneText(t, spfRecord(row.spf), "shop.example. A 192.0.2.3", "shop.example. MX 10 mx.shop.example.", "mx.shop.example. A 192.0.2.4")
			row.data.Zone = "shop.example"
			var fixes []string
			for _, p := range zone.Lint(t.Context(), row.data, world) {
				if p.Rule == dnstmpl.RuleEgress {
					fixes = append(fixes, p.Fix)
				}
			}
			if diff := cmp.Diff(row.want, strings.Join(fixes, "; ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
