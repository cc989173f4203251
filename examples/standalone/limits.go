package main

import (
	"fmt"
	"time"

	"github.com/panelmail/panelmail/mailcore"
)

// ClientLimits are the keys of the table limits that are for clients of the
// listeners; a rate of 0 is no limit. See [mailcore.Limits].
type ClientLimits struct {
	Connections          int      `toml:"connections"`
	ConnectionsPerClient int      `toml:"connections_per_client"`
	ConnectionRate       int      `toml:"connection_rate"`
	MessageRate          int      `toml:"message_rate"`
	RecipientRate        int      `toml:"recipient_rate"`
	AuthRate             int      `toml:"auth_rate"`
	TLSRate              int      `toml:"tls_rate"`
	RateUnit             duration `toml:"rate_unit"`
	ExemptNetworks       []string `toml:"exempt_networks"` // without it, relay.networks
	SoftErrors           int      `toml:"soft_errors"`
	MaxErrors            int      `toml:"max_errors"`
	ErrorSleep           duration `toml:"error_sleep"`
	MaxJunk              int      `toml:"max_junk"`
	MaxAuthFailures      int      `toml:"max_auth_failures"`
	Timeout              duration `toml:"timeout"`
	HandshakeTimeout     duration `toml:"handshake_timeout"`
	MinRate              int      `toml:"min_rate"` // octets a second
}

func defaultClientLimits() ClientLimits {
	return ClientLimits{
		Connections:          1000,
		ConnectionsPerClient: 50,
		RateUnit:             duration(time.Minute),
		SoftErrors:           10,
		MaxErrors:            20,
		ErrorSleep:           duration(time.Second),
		MaxJunk:              100,
		MaxAuthFailures:      5,
		Timeout:              duration(5 * time.Minute),
		HandshakeTimeout:     duration(time.Minute),
		MinRate:              500,
	}
}

// check finds what is wrong with the limits.
func (l ClientLimits) check(complain func(key string, err error)) {
	complain("limits.connections", positive(l.Connections))
	complain("limits.connections_per_client", positive(l.ConnectionsPerClient))
	complain("limits.connection_rate", notNegative(l.ConnectionRate))
	complain("limits.message_rate", notNegative(l.MessageRate))
	complain("limits.recipient_rate", notNegative(l.RecipientRate))
	complain("limits.auth_rate", notNegative(l.AuthRate))
	complain("limits.tls_rate", notNegative(l.TLSRate))
	complain("limits.rate_unit", positive(l.RateUnit))
	_, err := parseNetworks(l.ExemptNetworks)
	complain("limits.exempt_networks", err)
	complain("limits.soft_errors", positive(l.SoftErrors))
	complain("limits.max_errors", positive(l.MaxErrors))
	complain("limits.max_junk", positive(l.MaxJunk))
	complain("limits.max_auth_failures", positive(l.MaxAuthFailures))
	complain("limits.timeout", positive(l.Timeout))
	complain("limits.handshake_timeout", positive(l.HandshakeTimeout))
	complain("limits.min_rate", notNegative(l.MinRate))
}

// library is the limits as the library takes them, after check.
func (l ClientLimits) library() mailcore.Limits {
	exempt, _ := parseNetworks(l.ExemptNetworks) // check has complained
	return mailcore.Limits{
		Connections:          l.Connections,
		ConnectionsPerClient: l.ConnectionsPerClient,
		ConnectionRate:       l.ConnectionRate,
		MessageRate:          l.MessageRate,
		RecipientRate:        l.RecipientRate,
		AuthRate:             l.AuthRate,
		TLSRate:              l.TLSRate,
		RateUnit:             time.Duration(l.RateUnit),
		ExemptNetworks:       exempt,
		SoftErrors:           l.SoftErrors,
		MaxErrors:            l.MaxErrors,
		ErrorSleep:           orNone(time.Duration(l.ErrorSleep)),
		MaxJunk:              l.MaxJunk,
		MaxAuthFailures:      l.MaxAuthFailures,
		Timeout:              time.Duration(l.Timeout),
		HandshakeTimeout:     time.Duration(l.HandshakeTimeout),
		MinRate:              orNone(l.MinRate),
	}
}

// orNone is a value that the file sets to 0 to have none of it, as the library
// takes it.
func orNone[T int | time.Duration](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

// notNegative checks a number that may be 0.
func notNegative(n int) error {
	if n < 0 {
		return fmt.Errorf("%d: want 0 or more", n)
	}
	return nil
}
