package mailcore

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// queueOptions are what the queue needs to know of a configuration.
func (s *Server) queueOptions(c Config) queue.Options {
	return queue.Options{
		Hostname: c.Hostname,
		// There is a desk before anything is stored.
		Label: func(ctx context.Context, q transport.Query) string {
			return s.current().planner.Label(ctx, q)
		},
		Lifetime:       c.Retry.Lifetime,
		BounceLifetime: c.Retry.BounceLifetime,
		BackoffMin:     c.Retry.BackoffMin,
		BackoffMax:     c.Retry.BackoffMax,
		DelayWarning:   c.Retry.DelayWarning,
		Schedules:      c.Retry.Schedules,
		HoldUncertain:  c.Retry.HoldUncertain,
		Workers:        c.Workers,
		Concurrency:    c.Concurrency,
		MinFree:        c.MinFree,
		Retention:      c.Retention,
		Poll:           c.Poll,
		CommitDelay:    c.CommitDelay,
		Grace:          c.Grace,
		Sign:           s.signReport,
		Observe:        s.observe,
		Log:            c.Log,
	}
}

// definitions are the transports that there are without being kept in the settings.
func (c *Config) definitions() transport.Definitions {
	all := transport.Builtin()
	for _, d := range c.Transports {
		all[d.Name] = d
	}
	return all
}

// newPlanner plans under the desk's configuration.
func (s *desk) newPlanner() *transport.Planner {
	definitions := s.config.definitions()
	s.sites.KnowTransports(definitions)
	s.sites.KnowSmartHost(s.config.SmartHost)
	return &transport.Planner{
		Hostname:           s.config.Hostname,
		Named:              s.sites,
		Transports:         definitions,
		Routes:             transport.RouterFunc(s.route),
		Defaults:           transport.RouterFunc(s.senderRoute),
		SmartHosts:         s.sites,
		SmartHost:          s.config.SmartHost,
		Sources:            s.sites,
		Credentials:        transport.CredentialerFunc(s.credential),
		TLS:                s.sites,
		DefaultTLS:         s.config.TLSLevel,
		Limit:              s.config.Concurrency,
		InitialConcurrency: s.config.InitialConcurrency,
		Destination:        func(nexthop string) string { return s.destinations.Key(nexthop) },
		Names: map[string]string{
			"Hostname": "Config.Hostname", "SmartHost": "Config.SmartHost", "DefaultTLS": "Config.TLSLevel", "Limit": "Config.Concurrency",
		},
	}
}

// buildDock makes what delivers, each time by way of the current desk.
func (s *Server) buildDock(log *slog.Logger) {
	s.destinations = &transport.Destinations{Resolver: currentResolver{s}}
	s.dispatcher = &transport.Dispatcher{
		Current:    func() *transport.Planner { return s.current().planner },
		Transports: map[string]transport.Transport{},
		Rest:       s.current().config.Retry.BackoffMin,
		Log:        log,
	}
	for base := range s.current().outlets {
		s.dispatcher.Transports[base] = transport.Func(func(ctx context.Context, d *transport.Delivery) transport.Report {
			return s.current().deliver(ctx, base, d)
		})
	}
}

// A currentResolver asks the resolver of the current desk.
type currentResolver struct{ server *Server }

// MX implements transport.Resolver.
func (r currentResolver) MX(ctx context.Context, domain string) ([]transport.MX, error) {
	return r.server.current().config.Resolver.MX(ctx, domain)
}

// Addrs implements transport.Resolver.
func (r currentResolver) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	return r.server.current().config.Resolver.Addrs(ctx, host)
}

// credential finds the credential for a next hop: those kept in the settings,
// then the one of the configuration's smart host.
func (s *desk) credential(ctx context.Context, q transport.Query, nexthop string) (transport.Credential, string, bool, error) {
	c, rule, ok, err := s.sites.Credential(ctx, q, nexthop)
	if ok || err != nil || nexthop != s.config.SmartHost || s.config.SmartHostCredential == (transport.Credential{}) {
		return c, rule, ok, err
	}
	return s.config.SmartHostCredential, "Config.SmartHostCredential", true, nil
}

// observe writes the delivery log and tells the panel.
func (s *Server) observe(events []queue.Event) {
	config := &s.current().config
	for _, e := range events {
		logEvent(config.Log, e)
	}
	if config.Observe != nil {
		config.Observe(events)
	}
}
