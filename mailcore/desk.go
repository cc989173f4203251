package mailcore

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/panelmail/panelmail/internal/restrict"
	"github.com/panelmail/panelmail/transport"
)

// A desk is the server under one configuration. It never changes: [Server.Reload]
// puts another in its place. A connection, a message that is submitted and an
// attempt at delivery take the current one once and stay with it to their end.
// What is counted over many of them belongs to the Server instead.
type desk struct {
	*Server
	config  Config // with the defaults filled in
	auth    Authenticator
	turns   chan struct{} // one for each password that is checked: see [Guard]
	tls     *tls.Config
	planner *transport.Planner
	smtp    *transport.SMTP
	lmtp    *transport.LMTP
	outlets map[string]transport.Transport // what delivers, by the base of a definition
	policy  *restrict.Policy               // of the SMTP door
	dns     restrict.Resolver              // what policy asks
	secrets SecretRing                     // of SRS
	hasty   bool                           // policy does not sleep
}

// current is the desk for what begins now.
func (s *Server) current() *desk { return s.desk.Load() }

// newDesk is the desk for a configuration with defaults. was is the one it
// follows, or nil.
func (s *Server) newDesk(config Config, was *desk) (*desk, error) {
	d := &desk{Server: s, config: config, tls: atLeastTLS12(config.TLS), auth: config.Authenticator}
	if d.auth == nil {
		d.auth = siteLogins(s.sites, config.Realm)
	}
	if d.secrets = config.Forwarding.Secrets; d.secrets == nil {
		d.secrets = s.sites
	}
	switch {
	case d.tls != nil:
	case was != nil && was.config.TLS == nil && was.config.Hostname == config.Hostname:
		d.tls = was.tls
	default:
		var err error
		if d.tls, err = selfSigned(config.Hostname); err != nil {
			return nil, fmt.Errorf("mailcore: self-signed certificate: %w", err)
		}
	}
	if was != nil && cap(was.turns) == config.Guard.Checks {
		d.turns = was.turns
	} else {
		d.turns = make(chan struct{}, config.Guard.Checks)
	}
	var err error
	if d.policy, err = config.Restrictions.policy(); err != nil {
		return nil, fmt.Errorf("mailcore: Restrictions: %w", err)
	}
	d.dns = clientDNS{resolver: config.Resolver, slots: s.lookups}
	d.planner = d.newPlanner()
	d.smtp, d.lmtp = s.newSMTP(&d.config), s.newLMTP(&d.config)
	d.outlets = map[string]transport.Transport{
		"smtp":    d.smtp,
		"lmtp":    d.lmtp,
		"maildir": &transport.Maildir{Root: config.MaildirRoot, Hostname: config.Hostname, Log: config.Log},
	}
	return d, nil
}

// newSMTP delivers under a configuration.
func (s *Server) newSMTP(config *Config) *transport.SMTP {
	t := &transport.SMTP{
		Network:      config.Network,
		Resolver:     config.Resolver,
		Hostname:     config.Hostname,
		Port:         config.Port,
		AllowPrivate: config.AllowPrivate,
		Listeners:    s.ownAddresses,
		Tokens:       config.Tokens,
		Tally:        s.tlsTally,
		Log:          config.Log,
	}
	if config.Roots != nil {
		t.TLSConfig = &tls.Config{RootCAs: config.Roots}
	}
	if finder, ok := config.Resolver.(transport.TLSAFinder); ok {
		t.TLSA = finder
	}
	if _, ok := config.Resolver.(transport.TextResolver); ok && !config.IgnoreMTASTS {
		t.STS = s.policies
	}
	return t
}

// newLMTP delivers to mail stores under a configuration.
func (s *Server) newLMTP(config *Config) *transport.LMTP {
	t := &transport.LMTP{
		Network:   config.Network,
		Resolver:  config.Resolver,
		Hostname:  config.Hostname,
		SocketDir: config.SocketDir,
		Listeners: s.ownAddresses,
		Log:       config.Log,
	}
	if config.Roots != nil {
		t.TLSConfig = &tls.Config{RootCAs: config.Roots}
	}
	return t
}

// close ends the connections that are kept.
func (s *desk) close() error { return errors.Join(s.smtp.Close(), s.lmtp.Close()) }
