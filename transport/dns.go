package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// DNS is a [Resolver] that asks recursive servers itself. It is safe for use by many
// goroutines; the fields must not change meanwhile. The zero DNS asks the servers of
// the system.
//
// A query has a random port and EDNS0 with 1,232 octets; what is truncated is asked
// again over TCP, and answers to other questions are not answers. An error of a server
// (SERVFAIL, REFUSED and the like) is trouble that may pass. Records are remembered for
// as long as they allow, five minutes at most; that there are none is remembered of TLSA
// records alone. Those who ask the same at the same time wait for one answer.
//
// DNS validates no signatures. It believes the AD bit of a server on loopback
// (RFC 6840 section 5.7), and of others if it is told to: see TrustAD.
type DNS struct {
	// Server is the address of a recursive server, with or without a port. If
	// empty, the servers of /etc/resolv.conf.
	Server string

	// Timeout is how long one try takes; if zero, 2 seconds.
	Timeout time.Duration

	// Tries is how often each server is asked; if zero, twice.
	Tries int

	// TrustAD says that the servers validate what they answer, and that nobody can
	// forge answers on the way from them: their AD bit is believed wherever they are.
	TrustAD bool

	// Dial opens the connections to name servers; network is "udp" or "tcp". If nil,
	// the system's. A connection that is no [net.PacketConn] carries messages as over
	// TCP, each behind its length.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu      sync.Mutex
	servers []string  // of the system
	read    time.Time // when they were read

	cache dnsCache
	asked flights[dnsQuestion, dnsAnswer]
}

const (
	resolvConf   = "/etc/resolv.conf"
	ednsSize     = 1232 // fits into every path without fragments
	maxAliases   = 8    // CNAMEs that are followed
	serversFresh = 5 * time.Second
)

// MX implements [Resolver].
func (r *DNS) MX(ctx context.Context, domain string) ([]MX, error) {
	answer, err := r.find(ctx, domain, dns.TypeMX)
	var all []MX
	for _, rr := range answer.records {
		if mx, ok := rr.(*dns.MX); ok {
			all = append(all, MX{Preference: mx.Preference, Host: mx.Mx, Secure: answer.secure})
		}
	}
	return all, err
}

// Addrs implements [Resolver]. If one family has addresses, trouble with the other is
// no error.
func (r *DNS) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	type found struct {
		records []dns.RR
		err     error
	}
	six := make(chan found, 1)
	go func() {
		records, err := r.lookup(ctx, host, dns.TypeAAAA)
		six <- found{records, err}
	}()
	records, err := r.lookup(ctx, host, dns.TypeA)
	other := <-six
	var all []netip.Addr
	for _, rr := range slices.Concat(records, other.records) {
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if a, ok := netip.AddrFromSlice(ip); ok {
			all = append(all, a.Unmap())
		}
	}
	switch {
	case len(all) > 0:
		return all, nil
	case err != nil && !notFound(err):
		return nil, err
	case other.err != nil && !notFound(other.err):
		return nil, other.err
	}
	return nil, err
}

// lookup returns the records of one type, following aliases. No records is an error.
func (r *DNS) lookup(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	answer, err := r.find(ctx, name, kind)
	return answer.records, err
}

// find is lookup with all there is to know of the answer. Where it says that there are
// no records, the error is a denial.
func (r *DNS) find(ctx context.Context, name string, kind uint16) (dnsAnswer, error) {
	question := dnsQuestion{dns.CanonicalName(name), kind}
	answer, ok := r.cache.get(question, time.Now())
	if !ok {
		var err error
		answer, err = r.asked.do(ctx, question, func() (dnsAnswer, error) { return r.resolve(ctx, question) })
		if err != nil {
			return dnsAnswer{}, err
		}
	}
	if len(answer.records) == 0 {
		return dnsAnswer{}, denial{
			error:  &net.DNSError{Err: "no such host", Name: name, Server: answer.server, IsNotFound: true},
			secure: answer.secure,
		}
	}
	return answer, nil
}

// resolve asks, and remembers what it may. An answer without records says that there are
// none.
func (r *DNS) resolve(ctx context.Context, question dnsQuestion) (dnsAnswer, error) {
	answer := dnsAnswer{owner: question.name, secure: true}
	for range maxAliases {
		m, server, err := r.ask(ctx, answer.owner, question.kind)
		if err != nil {
			return dnsAnswer{}, err
		}
		asked := answer.owner
		answer.server = server
		answer.secure = answer.secure && m.AuthenticatedData && r.believes(server)
		answer.owner, answer.records = follow(m.Answer, asked, question.kind)
		switch {
		case len(answer.records) > 0:
			r.cache.put(question, answer, freshness(m.Answer), time.Now())
			return answer, nil
		case m.Rcode == dns.RcodeNameError, answer.owner == asked:
			if question.kind == dns.TypeTLSA {
				r.cache.put(question, answer, absence(m), time.Now())
			}
			return answer, nil
		}
		// the server left the rest to us
	}
	return dnsAnswer{}, &net.DNSError{Err: "too many aliases", Name: question.name, IsTemporary: true}
}

// follow walks the aliases of an answer from owner on and returns the records at their
// end.
func follow(answer []dns.RR, owner string, kind uint16) (end string, records []dns.RR) {
	for range maxAliases {
		next := ""
		for _, rr := range answer {
			if dns.CanonicalName(rr.Header().Name) != owner {
				continue
			}
			if alias, ok := rr.(*dns.CNAME); ok {
				next = dns.CanonicalName(alias.Target)
			} else if rr.Header().Rrtype == kind {
				records = append(records, rr)
			}
		}
		if len(records) > 0 || next == "" {
			return owner, records
		}
		owner = next
	}
	return owner, nil
}

// ask asks the servers in turn until one has an answer: records, or that there are
// none.
func (r *DNS) ask(ctx context.Context, owner string, kind uint16) (*dns.Msg, string, error) {
	failed := &net.DNSError{Err: "no servers", Name: owner, IsTemporary: true}
	servers, err := r.upstream()
	if err != nil {
		failed.Err = err.Error()
		return nil, "", failed
	}
	q := new(dns.Msg).SetQuestion(owner, kind)
	q.SetEdns0(ednsSize, false)
	q.AuthenticatedData = true // tell us (RFC 6840 section 5.7)
	if _, err := q.Pack(); err != nil {
		return nil, "", &net.DNSError{Err: "not a domain name", Name: owner, IsNotFound: true}
	}
	for range r.tries() {
		for _, server := range servers {
			m, err := r.exchange(ctx, q, server)
			switch {
			case err == nil && (m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError):
				return m, server, nil
			case err == nil:
				failed.Err, failed.IsTimeout = "server answered "+dns.RcodeToString[m.Rcode], false
			default:
				failed.Err, failed.IsTimeout = reason(err), errors.Is(err, os.ErrDeadlineExceeded)
			}
			failed.Server = server
			if ctx.Err() != nil {
				return nil, server, failed
			}
		}
	}
	return nil, "", failed
}

func (r *DNS) tries() int {
	if r.Tries <= 0 {
		return 2
	}
	return r.Tries
}

// exchange asks one server once, and over TCP if the answer does not fit.
func (r *DNS) exchange(ctx context.Context, q *dns.Msg, server string) (*dns.Msg, error) {
	m, err := r.roundTrip(ctx, q, "udp", server)
	if err == nil && m.Truncated {
		return r.roundTrip(ctx, q, "tcp", server)
	}
	return m, err
}

func (r *DNS) roundTrip(ctx context.Context, q *dns.Msg, network, server string) (*dns.Msg, error) {
	timeout := firstOf(r.Timeout, 2*time.Second)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	dial := r.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	q = q.Copy()
	q.Id = dns.Id()
	co := &dns.Conn{Conn: conn, UDPSize: ednsSize}
	if err := co.WriteMsg(q); err != nil {
		return nil, err
	}
	for {
		m, err := co.ReadMsg()
		switch {
		case m != nil && !repliesTo(m, q): // somebody else's, or a forgery
		case m != nil && m.Truncated: // what is left of it may not parse
			return m, nil
		case err != nil:
			return nil, err
		default:
			return m, nil
		}
	}
}

// upstream returns the servers to ask.
func (r *DNS) upstream() ([]string, error) {
	if r.Server != "" {
		if _, _, err := net.SplitHostPort(r.Server); err == nil {
			return []string{r.Server}, nil
		}
		return []string{net.JoinHostPort(strings.Trim(r.Server, "[]"), "53")}, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.servers != nil && time.Since(r.read) < serversFresh {
		return r.servers, nil
	}
	config, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return nil, err
	}
	servers := make([]string, 0, len(config.Servers))
	for _, s := range config.Servers {
		servers = append(servers, net.JoinHostPort(s, config.Port))
	}
	r.servers, r.read = servers, time.Now()
	return servers, nil
}

// repliesTo reports whether m is a reply to the question of q.
func repliesTo(m, q *dns.Msg) bool {
	if !m.Response || m.Id != q.Id || len(m.Question) != 1 {
		return false
	}
	a, b := m.Question[0], q.Question[0]
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}
