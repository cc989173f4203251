package main

import (
	"errors"
	"net/netip"
)

// parseNetworks reads networks, each as parseNetwork does. An empty list is not nil.
func parseNetworks(texts []string) (networks []netip.Prefix, err error) {
	if texts == nil {
		return nil, nil
	}
	networks = []netip.Prefix{}
	var problems []error
	for _, text := range texts {
		network, err := parseNetwork(text)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		networks = append(networks, network)
	}
	return networks, errors.Join(problems...)
}
