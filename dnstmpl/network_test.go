package dnstmpl

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestJoinedNetworksHaveTheSameAddressesAndAreFewest(t *testing.T) {
	block := netip.MustParsePrefix("192.0.2.0/27")
	rapid.Check(t, func(t *rapid.T) {
		var networks []netip.Prefix
		for range rapid.IntRange(0, 20).Draw(t, "networks") {
			ip := netip.AddrFrom4([4]byte{192, 0, 2, rapid.ByteMax(31).Draw(t, "address")})
			networks = append(networks, netip.PrefixFrom(ip, rapid.IntRange(28, 32).Draw(t, "bits")))
		}
		// Of each address the widest network that is all there.
		var want []netip.Prefix
		for ip := block.Addr(); block.Contains(ip); ip = ip.Next() {
			if bits := 32; all(networks, netip.PrefixFrom(ip, bits)) {
				for all(networks, netip.PrefixFrom(ip, bits-1).Masked()) {
					bits--
				}
				want = append(want, netip.PrefixFrom(ip, bits).Masked())
			}
		}
		if got := joined(networks); !slices.Equal(got, slices.Compact(want)) {
			t.Fatalf("%v of %v, want %v", got, networks, want)
		}
	})
}

// all reports whether every address of n is in one of the networks.
func all(networks []netip.Prefix, n netip.Prefix) bool {
	for ip := n.Addr(); n.Contains(ip); ip = ip.Next() {
		if !slices.ContainsFunc(networks, func(o netip.Prefix) bool { return o.Contains(ip) }) {
			return false
		}
	}
	return true
}
