package mailcore

import (
	"errors"
	"fmt"
	"net/netip"
)

// inAny reports whether an address is in one of the networks, which are unmapped.
func inAny(networks []netip.Prefix, client netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(client) {
			return true
		}
	}
	return false
}

// checkRelayNetworks reports networks that are no single organisation's: whoever
// relays for them is an open relay.
func checkRelayNetworks(networks []netip.Prefix) (problems []error) {
	for _, n := range unmapped(networks) {
		a, least := n.Addr(), 16
		switch {
		case !n.IsValid():
			problems = append(problems, errors.New("a network of RelayNetworks is not valid"))
			continue
		case a.Is4():
			least = 8
		case a.IsPrivate():
			least = 7 // fc00::/7
		case a.IsLinkLocalUnicast():
			least = 10 // fe80::/10
		}
		if n.Bits() < least {
			problems = append(problems, fmt.Errorf("RelayNetworks: %v is a good part of the internet: this would be an open relay", n))
		}
	}
	return problems
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
