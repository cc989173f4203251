package mailcore

import "net/netip"

// inAny reports whether an address is in one of the networks, which are unmapped.
func inAny(networks []netip.Prefix, client netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(client) {
			return true
		}
	}
	return false
}

// unmapped writes the networks of IPv4-mapped IPv6 addresses (RFC 4291 section
// 2.5.5.2) as the IPv4 networks they are: so are the addresses of clients. nil stays
// nil.
func unmapped(networks []netip.Prefix) []netip.Prefix {
	if networks == nil {
		return nil
	}
	out := make([]netip.Prefix, 0, len(networks))
	for _, n := range networks {
		if n.Addr().Is4In6() && n.Bits() >= 96 {
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		out = append(out, n)
	}
	return out
}
