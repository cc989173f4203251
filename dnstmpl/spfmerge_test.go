package dnstmpl_test

import (
	"testing"

	"github.com/panelmail/panelmail/dnstmpl"
)

func TestMergeSPFAddsWhatIsMissingAndLeavesTheRest(t *testing.T) {
	for _, test := range []struct{ name, published, wanted, merged string }{
		{"the same", "v=spf1 a mx ~all", "v=spf1 a mx ~all", "v=spf1 a mx ~all"},
		{"already in it, in other words", "V=SPF1  +A MX:Host.Test. ip4:192.0.2.1/32 -all", "v=spf1 mx:host.test a ip4:192.0.2.1 ~all", "V=SPF1  +A MX:Host.Test. ip4:192.0.2.1/32 -all"},
		{"already in it, as a network", "v=spf1 ip6:2001:DB8:0::/32 -all", "v=spf1 ip6:2001:db8::5 -all", "v=spf1 ip6:2001:DB8:0::/32 -all"},
		{"of a network only a part", "v=spf1 ip4:192.0.2.1 -all", "v=spf1 ip4:192.0.2.0/24 -all", "v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/24 -all"},
		{"behind what is there, in front of all", "v=spf1 include:one.test -all", "v=spf1 include:two.test ip4:192.0.2.1 ~all", "v=spf1 include:one.test include:two.test ip4:192.0.2.1 -all"},
		{"in front of what is denied", "v=spf1 a -ip4:192.0.2.0/24 mx -all", "v=spf1 ip4:192.0.2.1 -all", "v=spf1 a ip4:192.0.2.1 -ip4:192.0.2.0/24 mx -all"},
		{"what was denied itself", "v=spf1 -ip4:192.0.2.1 -all", "v=spf1 ip4:192.0.2.1 -all", "v=spf1 ip4:192.0.2.1 -all"},
		{"a weak end is replaced", "v=spf1 a ?all", "v=spf1 a ~all", "v=spf1 a ~all"},
		{"a dangerous end is replaced", "v=spf1 a all", "v=spf1 a -all", "v=spf1 a -all"},
		{"no end", "v=spf1 a", "v=spf1 a -all", "v=spf1 a -all"},
		{"a redirect stays", "v=spf1 redirect=_spf.example.net", "v=spf1 ip4:192.0.2.1 ~all", "v=spf1 ip4:192.0.2.1 redirect=_spf.example.net"},
		{"a redirect that is never looked at goes", "v=spf1 -all redirect=_spf.example.net", "v=spf1 a -all", "v=spf1 a -all"},
		{"what stands behind all goes", "v=spf1 a -all mx", "v=spf1 ip4:192.0.2.1 -all", "v=spf1 a ip4:192.0.2.1 -all"},
		{"other modifiers stay, at the end", "v=spf1 exp=why.%{d} a -all", "v=spf1 mx -all", "v=spf1 a mx -all exp=why.%{d}"},
		{"a macro with an equals sign is no modifier", "v=spf1 exists:%{l=}.x.test -all", "v=spf1 mx -all", "v=spf1 exists:%{l=}.x.test mx -all"},
		{"nothing at all", "", "v=spf1 a -all", "v=spf1 a -all"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := dnstmpl.MergeSPF(test.published, test.wanted)
			if got != test.merged {
				t.Errorf("got %q, want %q", got, test.merged)
			}
			if again := dnstmpl.MergeSPF(got, test.wanted); again != got {
				t.Errorf("a second time it becomes %q", again)
			}
		})
	}
}
