package smtpserver

import (
	"cmp"
	"net/netip"
	"time"
)

// What a Server does where nothing was set.
func (s *Server) maxSize() int64          { return cmp.Or(s.MaxSize, 10_240_000) }
func (s *Server) maxConns() int           { return cmp.Or(s.MaxConns, 1000) }
func (s *Server) maxConnsPerIP() int      { return cmp.Or(s.MaxConnsPerIP, 50) }
func (s *Server) rateUnit() time.Duration { return cmp.Or(s.RateUnit, time.Minute) }
func (s *Server) timeout() time.Duration  { return cmp.Or(s.Timeout, 5*time.Minute) }

// hurried is how long a client in a hurry may take, as with Postfix under stress.
func (s *Server) hurried() time.Duration { return min(s.timeout(), 10*time.Second) }

func (c *Conn) maxErrors() int { return c.patience(cmp.Or(c.server.MaxErrors, 20)) }
func (c *Conn) maxJunk() int   { return c.patience(cmp.Or(c.server.MaxJunk, 100)) }

// patience is a limit, or what is left of it in a hurry.
func (c *Conn) patience(limit int) int {
	if c.hurry {
		return min(limit, 1)
	}
	return limit
}

// counted reports whether the limits for one client apply.
func (s *Server) counted(ip netip.Addr) bool { return ip.IsValid() && !within(s.ExemptNetworks, ip) }

// within reports whether an address is in one of the networks.
func within(networks []netip.Prefix, ip netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// rate is the limit for an event; 0 is none.
func (s *Server) rate(e event) int {
	return [events]int{
		connecting: s.ConnRate, mailing: s.MailRate, naming: s.RcptRate, loggingIn: s.AuthRate, encrypting: s.TLSRate,
	}[e]
}

// allows counts an event and reports whether its rate is within the limit.
func (s *Server) allows(e event, ip netip.Addr) bool { return s.allowsN(e, ip, 1) }

// allowsN is allows for n events; with none it tells whether the limit was exceeded
// before.
func (s *Server) allowsN(e event, ip netip.Addr, n int) bool {
	limit := s.rate(e)
	return limit == 0 || !s.counted(ip) || s.clients().count(ip, e, n, s.rateUnit()) <= limit
}

// clients are the counts of this server.
func (s *Server) clients() *Clients { return cmp.Or(s.Clients, &s.own) }
