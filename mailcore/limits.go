package mailcore

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/panelmail/panelmail/internal/smtpserver"
)

// Limits are what the listeners bear from clients. A client is an IPv4 address or an
// IPv6 /64 network. Listeners of one kind have their limits together, those of
// different kinds each their own, as Postfix's services have.
//
// The rates are counted as by Postfix's anvil(8): in windows that begin with the
// first event of a client. What is refused counts as well.
type Limits struct {
	// Connections is how many are served at once; more are refused with 421. The
	// last tenth is for clients that have less than a tenth of
	// ConnectionsPerClient, and is served with little patience. If zero, 1,000.
	Connections int

	// ConnectionsPerClient is how many of them one client may have. If zero, 50.
	ConnectionsPerClient int

	// How many connections, MAIL, RCPT and AUTH commands, and TLS handshakes that
	// resume no session, a client may begin in RateUnit. If zero, any number.
	ConnectionRate int
	MessageRate    int
	RecipientRate  int
	AuthRate       int
	TLSRate        int

	// RateUnit is the length of a window. If zero, a minute.
	RateUnit time.Duration

	// ExemptNetworks are clients without ConnectionsPerClient and rates. If nil,
	// Config.RelayNetworks; if empty, none.
	ExemptNetworks []netip.Prefix

	// SoftErrors is the number of refused commands from which on a client gets
	// each reply ErrorSleep later, and MaxErrors that at which its connection is
	// closed. The count begins again after a message was accepted. If zero, 10 and
	// 20.
	SoftErrors, MaxErrors int

	// ErrorSleep is also the delay after a wrong password. If zero, a second; if
	// negative, none.
	ErrorSleep time.Duration

	// MaxJunk is how many commands that bring no message forward are no errors. If
	// zero, 100.
	MaxJunk int

	// MaxAuthFailures is how many wrong passwords close a connection. If zero, 5.
	MaxAuthFailures int

	// Timeout is how long a client may take for a command or pause in content. If
	// zero, 5 minutes.
	Timeout time.Duration

	// HandshakeTimeout is how long a TLS handshake may take. If zero, a minute.
	HandshakeTimeout time.Duration

	// MinRate is the least rate of content, in octets a second over a time of
	// Timeout. If zero, 500; if negative, none.
	MinRate int
}

// Check reports what is wrong with the limits, all at once.
func (l Limits) Check() error {
	var problems []error
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"Connections", int64(l.Connections)},
		{"ConnectionsPerClient", int64(l.ConnectionsPerClient)},
		{"ConnectionRate", int64(l.ConnectionRate)},
		{"MessageRate", int64(l.MessageRate)},
		{"RecipientRate", int64(l.RecipientRate)},
		{"AuthRate", int64(l.AuthRate)},
		{"TLSRate", int64(l.TLSRate)},
		{"RateUnit", int64(l.RateUnit)},
		{"SoftErrors", int64(l.SoftErrors)},
		{"MaxErrors", int64(l.MaxErrors)},
		{"MaxJunk", int64(l.MaxJunk)},
		{"MaxAuthFailures", int64(l.MaxAuthFailures)},
		{"Timeout", int64(l.Timeout)},
		{"HandshakeTimeout", int64(l.HandshakeTimeout)},
	} {
		if n.value < 0 {
			problems = append(problems, fmt.Errorf("%s cannot be negative", "Limits."+n.name))
		}
	}
	for _, p := range l.ExemptNetworks {
		if !p.IsValid() {
			problems = append(problems, errors.New("a network of Limits.ExemptNetworks is not valid"))
		}
	}
	return errors.Join(problems...)
}

// apply gives the limits to the server of a connection.
func (l Limits) apply(p *smtpserver.Server) {
	p.MaxConns, p.MaxConnsPerIP = l.Connections, l.ConnectionsPerClient
	p.ConnRate, p.MailRate, p.RcptRate = l.ConnectionRate, l.MessageRate, l.RecipientRate
	p.AuthRate, p.TLSRate, p.RateUnit = l.AuthRate, l.TLSRate, l.RateUnit
	p.ExemptNetworks = l.ExemptNetworks
	p.SoftErrors, p.MaxErrors, p.ErrorSleep = l.SoftErrors, l.MaxErrors, l.ErrorSleep
	p.MaxJunk, p.MaxAuthFailures = l.MaxJunk, l.MaxAuthFailures
	p.Timeout, p.HandshakeTimeout, p.MinRate = l.Timeout, l.HandshakeTimeout, l.MinRate
}
