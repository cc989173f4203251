package dnstmpl

import (
	"net/netip"
	"slices"
)

// joined is the shortest list of networks with exactly the addresses of the given
// ones, IPv4 before IPv6, in order.
func joined(networks []netip.Prefix) []netip.Prefix {
	all := make([]netip.Prefix, 0, len(networks))
	for _, n := range networks {
		if n.IsValid() {
			all = append(all, n.Masked())
		}
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	var kept []netip.Prefix
	for _, n := range all {
		if i := len(kept) - 1; i >= 0 && kept[i].Overlaps(n) {
			continue // it is sorted: the wider one came first
		}
		kept = append(kept, n)
		for len(kept) >= 2 {
			a, b := kept[len(kept)-2], kept[len(kept)-1]
			parent := netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked()
			if a.Bits() != b.Bits() || a.Bits() == 0 || !parent.Contains(b.Addr()) {
				break
			}
			kept = append(kept[:len(kept)-2], parent)
		}
	}
	return kept
}

// last is the highest address of a network.
func last(n netip.Prefix) netip.Addr {
	b := n.Masked().Addr().AsSlice()
	for i := n.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	ip, _ := netip.AddrFromSlice(b)
	return ip
}
