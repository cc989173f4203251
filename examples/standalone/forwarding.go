package main

import (
	"time"

	"github.com/panelmail/panelmail/mailcore"
)

// forwardingSettings is the table forwarding: how mail is sent on to other hosts. A
// number of 0 is no limit. See [mailcore.Forwarding].
type forwardingSettings struct {
	Domain         string   `toml:"domain"`   // of all rewritten senders; "": each alias's own
	Rotation       duration `toml:"rotation"` // how long a secret signs; 0: for ever
	AnySender      bool     `toml:"any_sender"`
	BouncesPerDay  int      `toml:"bounces_per_day"`
	WrongAddresses int      `toml:"wrong_addresses"`
}

func defaultForwarding() forwardingSettings {
	return forwardingSettings{Rotation: duration(30 * 24 * time.Hour), BouncesPerDay: 20, WrongAddresses: 20}
}

// check finds what is wrong with the settings.
func (s forwardingSettings) check(complain func(key string, err error)) {
	complain("forwarding.domain", checked(mailcore.Config{Hostname: "host.example", Forwarding: mailcore.Forwarding{Domain: s.Domain}}))
	complain("forwarding.rotation", checked(mailcore.Config{Hostname: "host.example", Forwarding: mailcore.Forwarding{Rotation: time.Duration(s.Rotation)}}))
	complain("forwarding.bounces_per_day", notNegative(s.BouncesPerDay))
	complain("forwarding.wrong_addresses", notNegative(s.WrongAddresses))
}

// library is the settings as the library takes them.
func (s forwardingSettings) library() mailcore.Forwarding {
	return mailcore.Forwarding{
		Domain:         s.Domain,
		Rotation:       orNone(time.Duration(s.Rotation)),
		AnySender:      s.AnySender,
		BouncesPerDay:  orNone(s.BouncesPerDay),
		WrongAddresses: orNone(s.WrongAddresses),
	}
}
