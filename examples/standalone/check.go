package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/transport"
)

// A problem is what is wrong with one key of the configuration.
type problem struct {
	key string
	err error
}

// check finds what is wrong with settings whose text could be read.
func (s settings) check() (problems []problem) {
	complain := func(key string, err error) {
		if err != nil {
			problems = append(problems, problem{key, err})
		}
	}
	complain("hostname", checked(mailcore.Config{Hostname: s.Hostname}))
	complain("postmaster", checked(mailcore.Config{Hostname: "host.example", Postmaster: s.Postmaster}))
	complain("origin", checked(mailcore.Config{Hostname: "host.example", Origin: s.Origin}))
	complain("delivery.tls", checked(mailcore.Config{Hostname: "host.example", TLSLevel: transport.TLSLevel(s.Delivery.TLS)}))
	complain("delivery.smart_host", checked(mailcore.Config{Hostname: "host.example", SmartHost: s.Delivery.SmartHost}))
	complain("delivery.socket_dir", checked(mailcore.Config{Hostname: "host.example", SocketDir: s.Delivery.SocketDir}))
	complain("listen.smtp", s.Listen.SMTP.check())
	complain("listen.submission", s.Listen.Submission.check())
	complain("listen.submissions", s.Listen.Submissions.check())
	complain("listen.smtp_tls", listenerLevel(s.Listen.SMTPTLS))
	complain("listen.greeting", checked(mailcore.Config{Hostname: "host.example", Greeting: s.Listen.Greeting}))
	_, err := parseNetworks(s.Listen.ProxyNetworks)
	complain("listen.proxy_networks", err)
	if s.Delivery.Resolver != "" {
		if _, err := netip.ParseAddrPort(s.Delivery.Resolver); err != nil {
			complain("delivery.resolver", fmt.Errorf("%q is no address with a port", s.Delivery.Resolver))
		}
	}
	complain("delivery.port", positive(s.Delivery.Port))
	complain("queue.lifetime", positive(s.Queue.Lifetime))
	complain("queue.bounce_lifetime", positive(s.Queue.BounceLifetime))
	complain("queue.backoff_min", positive(s.Queue.BackoffMin))
	complain("queue.backoff_max", positive(s.Queue.BackoffMax))
	complain("queue.workers", positive(s.Queue.Workers))
	complain("limits.message_size", positive(s.Limits.MessageSize))
	complain("limits.destination_concurrency", positive(s.Limits.DestinationConcurrency))
	complain("limits.initial_concurrency", positive(s.Limits.InitialConcurrency))
	s.Limits.check(complain)
	s.Auth.check(complain)
	s.Forwarding.check(complain)
	s.DNS.check(complain)
	if lower, upper := s.Queue.BackoffMin, s.Queue.BackoffMax; upper > 0 && upper < lower {
		complain("queue.backoff_max", fmt.Errorf("%v is below queue.backoff_min, %v", upper, lower))
	}
	if (s.TLS.Certificate == "") != (s.TLS.Key == "") {
		complain("tls", errors.New("certificate and key go together"))
	}
	if s.Log.Format != "text" && s.Log.Format != "json" {
		complain("log.format", fmt.Errorf("%q: want text or json", s.Log.Format))
	}
	return problems
}

// checked is what the library says of a configuration, without its preface.
func checked(c mailcore.Config) error {
	err := c.Check()
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// positive checks a number that the file may leave out, but not set to nothing.
func positive[T cmp.Ordered](n T) error {
	var zero T
	if n > zero {
		return nil
	}
	return fmt.Errorf("%v: want more than 0", n)
}

// listenerLevel refuses a level that a listener cannot have: it asks nobody for a
// certificate.
func listenerLevel(level string) error {
	switch transport.TLSLevel(level) {
	case transport.TLSNone, transport.TLSMay, transport.TLSEncrypt:
		return nil
	}
	return fmt.Errorf("TLS level %q: want none, may or encrypt", level)
}
