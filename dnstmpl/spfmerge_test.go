package dnstmpl_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	evaluator "blitiri.com.ar/go/spf"
	"pgregory.net/rapid"

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
		{"what nobody can read goes", "v=spf1 ip4:192.0.2.025 ipv4:192.0.2.1 a -allinclude:one.test", "v=spf1 mx ~all", "v=spf1 a mx ~all"},
		{"also where all is in it that is wanted", "v=spf1 mx ipv4:192.0.2.1 -all", "v=spf1 mx ~all", "v=spf1 mx -all"},
		{"a second redirect goes", "v=spf1 redirect=a.test redirect=b.test", "v=spf1 mx ~all", "v=spf1 mx redirect=a.test"},
		{"a second exp goes", "v=spf1 mx exp=a.test exp=b.test -all", "v=spf1 mx ~all", "v=spf1 mx -all exp=a.test"},
		{"in front of hosts that are denied", "v=spf1 -a ip4:192.0.2.1 ~all", "v=spf1 ip4:192.0.2.1 ~all", "v=spf1 ip4:192.0.2.1 -a ~all"},
		{"what is to be denied stays where it is", "v=spf1 a -ip4:192.0.2.1 mx ~all", "v=spf1 -ip4:192.0.2.1 a include:x.test ~all", "v=spf1 a include:x.test -ip4:192.0.2.1 mx ~all"},
		{"what is denied where nothing is wanted of it", "v=spf1 -a ip4:192.0.2.1 ~all", "v=spf1 -a ip4:192.0.2.1 ~all", "v=spf1 -a ip4:192.0.2.1 ~all"},
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

func TestWhatIsMergedLetsThroughWhatEitherDid(t *testing.T) {
	networks := []string{"ip4:192.0.2.0/24", "ip4:192.0.2.1", "ip4:192.0.2.128/25", "ip4:198.51.100.7", "ip6:2001:db8::/32", "ip6:2001:db8::1"}
	term := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "", "", "+", "-", "~", "?"}).Draw(t, "qualifier") + rapid.SampledFrom(networks).Draw(t, "network")
	})
	ips := addrs("192.0.2.1", "192.0.2.2", "192.0.2.200", "198.51.100.7", "2001:db8::1", "2001:db8::2", "203.0.113.1")
	rapid.Check(t, func(t *rapid.T) {
		published := "v=spf1 " + strings.Join(rapid.SliceOfN(term, 0, 5).Draw(t, "published"), " ") + rapid.SampledFrom([]string{"", " -all", " ~all", " ?all"}).Draw(t, "end")
		wanted := "v=spf1 " + strings.Join(rapid.SliceOfNDistinct(rapid.SampledFrom(networks), 0, 3, rapid.ID).Draw(t, "wanted"), " ") + " ~all"
		merged := dnstmpl.MergeSPF(published, wanted)
		if again := dnstmpl.MergeSPF(merged, wanted); again != merged {
			t.Fatalf("a second time %q becomes %q", merged, again)
		}
		for _, ip := range ips {
			before, ours, after := evaluated(published, ip), evaluated(wanted, ip), evaluated(merged, ip)
			if after != evaluator.Pass && (before == evaluator.Pass || ours == evaluator.Pass) || after == evaluator.Pass && before != evaluator.Pass && ours != evaluator.Pass {
				t.Fatalf("%s: %q gives %s, %q gives %s, %q gives %s", ip, published, before, wanted, ours, merged, after)
			}
		}
	})
}

// evaluated is what a receiver makes of an SPF record for mail from an address.
func evaluated(record string, ip netip.Addr) evaluator.Result {
	result, _ := evaluator.CheckHostWithSender(ip.AsSlice(), "mail.example.com", "a@example.com", evaluator.WithResolver(oneRecord(record)))
	return result
}

// oneRecord is a DNS in which every name has this text and nothing else.
type oneRecord string

func (r oneRecord) LookupTXT(context.Context, string) ([]string, error) {
	return []string{string(r)}, nil
}
func (r oneRecord) LookupMX(context.Context, string) ([]*net.MX, error)        { return nil, nil }
func (r oneRecord) LookupAddr(context.Context, string) ([]string, error)       { return nil, nil }
func (r oneRecord) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) { return nil, nil }
