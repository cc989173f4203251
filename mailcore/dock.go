package mailcore

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// queueOptions are what the queue needs to know of the configuration.
func (s *Server) queueOptions() queue.Options {
	c := s.config
	return queue.Options{
		Hostname: c.Hostname,
		// The planner is there before anything is stored.
		Label: func(ctx context.Context, q transport.Query) string {
			return s.planner.Label(ctx, q)
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
		Grace:          c.Grace,
		Observe:        s.observe,
		Log:            c.Log,
	}
}

// buildDock makes the planner and the transports behind it.
func (s *Server) buildDock() error {
	definitions := transport.Builtin()
	for _, d := range s.config.Transports {
		if _, known := transport.Builtin()[d.Base]; !known {
			return fmt.Errorf("mailcore: transport %q: base %q is unknown", d.Name, d.Base)
		}
		definitions[d.Name] = d
	}
	s.planner = &transport.Planner{
		Transports:  definitions,
		Routes:      transport.RouterFunc(s.route),
		SmartHosts:  s.sites,
		SmartHost:   s.config.SmartHost,
		Sources:     s.sites,
		Credentials: transport.CredentialerFunc(s.credential),
		TLS:         s.sites,
		DefaultTLS:  s.config.TLSLevel,
		Limit:       s.config.Concurrency,
	}
	s.destinations = &transport.Destinations{Resolver: s.config.Resolver}
	s.planner.Destination = s.destinations.Key
	s.planner.InitialConcurrency = s.config.InitialConcurrency
	s.smtp = &transport.SMTP{
		Network:      s.config.Network,
		Resolver:     s.config.Resolver,
		Hostname:     s.config.Hostname,
		Port:         s.config.Port,
		AllowPrivate: s.config.AllowPrivate,
		Listeners:    s.ownAddresses,
		Log:          s.config.Log,
	}
	s.dispatcher = &transport.Dispatcher{
		Planner:    s.planner,
		Transports: map[string]transport.Transport{"smtp": s.smtp},
		Rest:       s.config.Retry.BackoffMin,
		Log:        s.config.Log,
	}
	return nil
}

// credential finds the credential for a next hop: those kept in the settings,
// then the one of the configuration's smart host.
func (s *Server) credential(ctx context.Context, q transport.Query, nexthop string) (transport.Credential, string, bool, error) {
	c, rule, ok, err := s.sites.Credential(ctx, q, nexthop)
	if ok || err != nil || nexthop != s.config.SmartHost || s.config.SmartHostCredential == (transport.Credential{}) {
		return c, rule, ok, err
	}
	return s.config.SmartHostCredential, "Config.SmartHostCredential", true, nil
}

// observe writes the delivery log and tells the panel.
func (s *Server) observe(events []queue.Event) {
	for _, e := range events {
		s.logEvent(e)
	}
	if s.config.Observe != nil {
		s.config.Observe(events)
	}
}

// status is the word Postfix has for an event in its delivery log; "" if the event
// is not about a delivery.
func status(k queue.Kind) string {
	switch k {
	case queue.Delivered:
		return "sent"
	case queue.Deferred, queue.Uncertain:
		return "deferred"
	case queue.Failed:
		return "bounced"
	case queue.Expired:
		return "expired"
	case queue.Held:
		return "held"
	}
	return ""
}

func (s *Server) logEvent(e queue.Event) {
	ctx := context.Background()
	word := status(e.Kind)
	if !s.config.Log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	if word == "" {
		s.config.Log.LogAttrs(ctx, slog.LevelInfo, "message",
			slog.String("id", e.ID), slog.String("event", string(e.Kind)), slog.String("from", e.ReversePath),
			slog.String("site", e.Site), slog.Int64("size", e.Size))
		return
	}
	relay := "none"
	if e.Outcome.Host != "" {
		relay = fmt.Sprintf("%s[%s]", e.Outcome.Host, e.Outcome.Addr)
	}
	reply := e.Outcome.Reply.Error()
	if e.Outcome.Reply.Code == 0 {
		reply = e.Outcome.Reply.Text // of a person who put it on hold
	}
	s.config.Log.LogAttrs(ctx, slog.LevelInfo, "delivery",
		slog.String("id", e.ID), slog.String("to", e.Recipient), slog.String("relay", relay),
		slog.Duration("delay", e.Delay), slog.String("dsn", e.Outcome.Reply.Status()),
		slog.String("status", word), slog.String("reply", reply))
}
