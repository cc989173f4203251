package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
)

// LMTP is the [Transport] with the base "lmtp": it hands mail to a mail store over
// LMTP (RFC 2033), which answers for each recipient by itself once it has the
// content. When it answers for some and then no more, the others are uncertain.
//
// A next hop is "unix:PATH", a socket on this machine, or a host: "inet:HOST",
// "inet:HOST:PORT", or without "inet:", with or without brackets. A host has its
// addresses looked up and no mail exchangers; the port is 24 where none is given, and
// never 25 (RFC 2033 section 5). A list is tried in order, as by [SMTP]. Without a next
// hop in its route mail is deferred, for the domain of a recipient is no store.
//
// What [SMTP] says of replies, TLS, sources and kept connections holds here too. To a
// socket there is no TLS, no password and no source, and what is wrong with it is trouble
// of this machine.
//
// The fields must not change while the LMTP is in use. Its methods may be called from
// many goroutines at once. Call Close at the end.
type LMTP struct {
	// Hostname is our name in LHLO unless the source has one. Required.
	Hostname string

	// SocketDir is the directory of sockets whose path is relative. If empty, mail
	// for those is deferred.
	SocketDir string

	// Network opens the connections to hosts; if nil, [System].
	Network Network

	// Resolver finds the addresses of hosts; if nil, a [DNS] with the servers of the
	// system.
	Resolver Resolver

	// Listeners is as in [SMTP].
	Listeners func() []netip.AddrPort

	// TLSConfig is as in [SMTP].
	TLSConfig *tls.Config

	// Timeouts is as in [SMTP]. A store that indexes what it takes may well use up
	// those for content and its reply.
	Timeouts Timeouts

	// Log is as in [SMTP].
	Log *slog.Logger

	once   sync.Once
	client SMTP
}

// lmtpPort is where a store listens that no port is given for.
const lmtpPort = 24

// Deliver implements [Transport].
func (l *LMTP) Deliver(ctx context.Context, d *Delivery) Report { return l.dialogues().Deliver(ctx, d) }

// Close ends the connections that are kept. Deliveries after it work, but keep none.
func (l *LMTP) Close() error { return l.dialogues().Close() }

// dialogues is what both protocols have in common.
func (l *LMTP) dialogues() *SMTP {
	l.once.Do(func() {
		l.client = SMTP{
			Hostname: l.Hostname, Network: l.Network, Resolver: l.Resolver, Port: lmtpPort, Listeners: l.Listeners,
			TLSConfig: l.TLSConfig, Timeouts: l.Timeouts, Log: l.Log, store: l,
		}
	})
	return &l.client
}

// nexthops reads the next hop of a plan.
func (s *SMTP) nexthops(p *Plan) ([]nexthop, error) {
	if s.store == nil {
		return parseNexthops(p.Nexthop, s.port())
	}
	if p.Direct {
		return nil, errors.New("the route to a mail store names none")
	}
	var hops []nexthop
	for _, element := range elements(p.Nexthop) {
		h, err := parseStore(element)
		if err != nil {
			return nil, fmt.Errorf("next hop %q: %w", element, err)
		}
		if h.socket != "" && !filepath.IsAbs(h.socket) {
			if s.store.SocketDir == "" {
				return nil, fmt.Errorf("next hop %q: no directory is configured for sockets", element)
			}
			h.socket = filepath.Join(s.store.SocketDir, h.socket)
		}
		hops = append(hops, h)
	}
	return hops, nil
}

// The forms in which Postfix writes next hops of LMTP.
const (
	unixPrefix = "unix:"
	inetPrefix = "inet:"
)

// parseStore reads one next hop of LMTP.
func parseStore(s string) (nexthop, error) {
	if path, ok := strings.CutPrefix(s, unixPrefix); ok {
		if !filepath.IsAbs(path) && !filepath.IsLocal(path) {
			return nexthop{}, errors.New("neither an absolute path nor one below the directory of sockets")
		}
		return nexthop{socket: path}, nil
	}
	h, err := parseNexthop(strings.TrimPrefix(s, inetPrefix), lmtpPort)
	if err == nil && h.port == 25 {
		err = errors.New("LMTP is not for port 25 (RFC 2033 section 5)")
	}
	h.fixed = true
	return h, err
}

// dialSocket connects to a socket of this machine.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}
