package transport

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// A host is an address to try, and the name it was found under.
type host struct {
	name       string
	addr       netip.AddrPort
	socket     string // path of a Unix-domain socket, in place of addr
	preference uint16
	secure     bool // the name is from a validated answer
}

// String is the host as in Postfix's replies and logs.
func (h host) String() string {
	if h.socket != "" {
		return h.name + "[" + h.socket + "]"
	}
	return h.name + "[" + h.addr.Addr().String() + "]"
}

// where is the address and port of the host, or its socket.
func (h host) where() string {
	if h.socket != "" {
		return h.socket
	}
	return h.addr.String()
}

// Limits on one next hop. The first two are Postfix's smtp_mx_address_limit and
// smtp_mx_session_limit; the third bounds what a hostile zone makes us look up.
const (
	maxAddresses = 5
	maxSessions  = 2
	maxLookups   = 20
)

// hosts returns the addresses of a next hop in the order in which to try them, at
// most maxAddresses. If there is none, the outcome says why.
func (s *SMTP) hosts(ctx context.Context, h nexthop, p *Plan) ([]host, Outcome) {
	var (
		found []host
		o     Outcome
	)
	switch {
	case h.socket != "":
		return []host{{name: s.Hostname, socket: h.socket}}, Outcome{}
	case h.addr.IsValid() && p.Direct:
		found, o = s.literal(h)
	case h.addr.IsValid():
		found, o = s.notOurs(h, []netip.Addr{h.addr})
	case h.fixed:
		found, o = s.fixedHosts(ctx, h)
	default:
		found, o = s.exchangers(ctx, h, p.SmartHost)
	}
	if len(found) == 0 {
		return nil, o
	}
	reachable := slices.DeleteFunc(found, func(x host) bool {
		_, ok := p.Source.Local(x.addr.Addr())
		return !ok
	})
	p.Source.Prefer.order(reachable)
	if len(reachable) == 0 {
		o := deferral("4.4.0", "%s has no address of the family that source %s sends from", h.name, p.Source.label())
		o.Local = true
		return nil, o
	}
	return reachable[:min(len(reachable), maxAddresses)], Outcome{}
}

func (s *SMTP) fixedHosts(ctx context.Context, h nexthop) ([]host, Outcome) {
	addrs, err := s.resolver().Addrs(ctx, h.name)
	if err != nil || len(addrs) == 0 {
		return nil, nameTrouble(h.name, "A", err)
	}
	return s.notOurs(h, addrs)
}

// notOurs makes hosts of the addresses of a fixed next hop, private ones too: somebody
// chose it. Our own listeners alone would only hand the mail back to us.
func (s *SMTP) notOurs(h nexthop, addrs []netip.Addr) ([]host, Outcome) {
	others := slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool {
		return s.listens(netip.AddrPortFrom(a.Unmap(), h.port))
	})
	if len(others) == 0 {
		return nil, loops(h.String())
	}
	return hostsOf(h.name, others, h.port, 0), Outcome{}
}

// literal is the host of a recipient domain that is an address. Anybody can write one,
// so that it is believed no more than what the DNS of strangers says.
func (s *SMTP) literal(h nexthop) ([]host, Outcome) {
	f := finder{s: s, port: h.port, trusted: s.AllowPrivate}
	if f.take(MX{Host: h.name}, []netip.Addr{h.addr}) && len(f.found) > 0 {
		return f.found, Outcome{}
	}
	if f.private {
		o := deferral("4.4.4", "the address %s is private, and not connected to", h.name)
		o.Destination = true
		return nil, o
	}
	return nil, loops(h.name)
}

// exchangers finds the hosts of a domain (RFC 5321 section 5.1).
func (s *SMTP) exchangers(ctx context.Context, h nexthop, trusted bool) ([]host, Outcome) {
	records, err := s.resolver().MX(ctx, h.name)
	if err != nil && !notFound(err) {
		return nil, nameTrouble(h.name, "MX", err)
	}
	if len(records) == 0 {
		records = []MX{{Host: h.name, Secure: deniedSecurely(err)}} // the implicit MX
	} else if records, err = usable(h.name, records); err != nil {
		return nil, Outcome{Reply: err.(Reply)}
	}
	order(records)
	f := finder{s: s, port: h.port, trusted: trusted || s.AllowPrivate}
	for n, mx := range records {
		if f.enough(mx) {
			break
		}
		if f.more = n == maxLookups; f.more {
			break
		}
		if f.own(mx.Host) || !f.add(ctx, mx) {
			f.cut(mx)
			break
		}
	}
	if len(f.found) == 0 {
		return nil, f.nothing(h.name)
	}
	return f.found, Outcome{}
}

// usable drops what is no host from an MX set. A null MX counts only alone (RFC 7505
// section 3). The error is a [Reply].
func usable(domain string, records []MX) ([]MX, error) {
	if len(records) == 1 && strings.TrimSuffix(records[0].Host, ".") == "" {
		return nil, Replyf(556, "5.1.10", "Domain %s does not accept mail (nullMX)", domain)
	}
	var ok []MX
	for _, mx := range records {
		if name, err := hostname(mx.Host); err == nil { // and no address
			ok = append(ok, MX{Preference: mx.Preference, Host: name, Secure: mx.Secure})
		}
	}
	if len(ok) == 0 {
		return nil, Replyf(550, "5.4.4", "none of the mail exchangers of %s is a host name", domain)
	}
	return ok, nil
}

// order sorts by preference, equals in random order.
func order(records []MX) {
	rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	slices.SortStableFunc(records, func(a, b MX) int { return cmp.Compare(a.Preference, b.Preference) })
}

// A finder collects the addresses of an MX set.
type finder struct {
	s       *SMTP
	port    uint16
	trusted bool // private addresses are as good as others

	found   []host
	loop    bool  // we are an exchanger of the domain ourselves
	private bool  // a private address was passed over
	local   bool  // so was a loopback address, which is this machine whoever says it
	more    bool  // there are exchangers that were not looked up
	trouble error // of a look-up: one that may pass, if there was one
}

// own reports whether a name is ours.
func (f *finder) own(name string) bool {
	return strings.EqualFold(name, strings.TrimSuffix(f.s.Hostname, "."))
}

// cut drops the hosts that are not preferred over mx, which is ourselves: they would
// pass the mail on to us (RFC 5321 section 5.1).
func (f *finder) cut(mx MX) {
	f.loop = true
	f.found = slices.DeleteFunc(f.found, func(x host) bool { return x.preference >= mx.Preference })
}

// enough reports whether there are addresses to try before those of mx.
func (f *finder) enough(mx MX) bool {
	n := len(f.found)
	return n >= maxAddresses && mx.Preference > f.found[n-1].preference
}

// add looks up an exchanger and adds its addresses. It reports false if the exchanger
// is ourselves.
func (f *finder) add(ctx context.Context, mx MX) bool {
	addrs, err := f.s.resolver().Addrs(ctx, mx.Host)
	if err != nil && (f.trouble == nil || !notFound(err)) {
		f.trouble = err
	}
	return f.take(mx, addrs)
}

// take adds the addresses of an exchanger that may be connected to.
func (f *finder) take(mx MX, addrs []netip.Addr) bool {
	var good []netip.Addr
	for _, a := range addrs {
		a = a.Unmap()
		switch {
		case f.s.listens(netip.AddrPortFrom(a, f.port)):
			return false
		case f.trusted || !isPrivate(a):
			good = append(good, a)
		case a.IsLoopback() || a.IsUnspecified():
			f.local = true
		default:
			f.private = true
		}
	}
	for _, x := range hostsOf(mx.Host, good, f.port, mx.Preference) {
		x.secure = mx.Secure
		f.found = append(f.found, x)
	}
	return true
}

// nothing says why no address of a domain's exchangers is left.
func (f *finder) nothing(domain string) Outcome {
	switch {
	case f.loop || f.local && !f.more:
		return loops(domain)
	case f.trouble != nil && !notFound(f.trouble):
		return nameTrouble(domain, "A", f.trouble)
	case f.private:
		o := deferral("4.4.4", "the mail exchangers of %s have only private addresses, which are not connected to", domain)
		o.Destination = true
		return o
	case f.more: // and one of them may work
		o := deferral("4.4.4", "of the mail exchangers of %s the first %d have no address to connect to", domain, maxLookups)
		o.Destination = true
		return o
	}
	return nameTrouble(domain, "A", nil)
}

func loops(destination string) Outcome {
	return Outcome{Reply: Replyf(554, "5.4.6", "mail for %s loops back to myself", destination)}
}

// hostsOf makes hosts of addresses: shuffled, then the families by turns, so that an
// unreachable one costs half of the tries at most.
func hostsOf(name string, addrs []netip.Addr, port, preference uint16) []host {
	var four, six []netip.Addr
	for _, i := range rand.Perm(len(addrs)) {
		if a := addrs[i].Unmap(); a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	hosts := make([]host, 0, len(addrs))
	add := func(a netip.Addr) {
		hosts = append(hosts, host{name: name, addr: netip.AddrPortFrom(a, port), preference: preference})
	}
	for i := range max(len(four), len(six)) {
		if i < len(four) {
			add(four[i])
		}
		if i < len(six) {
			add(six[i])
		}
	}
	return hosts
}

// notFound reports whether a look-up had an answer, and the answer was none.
func notFound(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound && !e.IsTemporary && !e.IsTimeout
}

// nameTrouble is the outcome of a look-up without result. Only the certainty that
// there is none fails mail; trouble with the DNS may be ours.
func nameTrouble(name, kind string, err error) Outcome {
	if err == nil || notFound(err) {
		return Outcome{Reply: Replyf(550, "5.4.4",
			"Host or domain name not found. Name service error for name=%s type=%s: Host not found", name, kind)}
	}
	o := deferral("4.4.3",
		"Host or domain name not found. Name service error for name=%s type=%s: Host not found, try again", name, kind)
	o.Local = true
	return o
}

// deferral is an outcome of ours.
func deferral(enhanced, format string, args ...any) Outcome {
	return Outcome{Reply: Replyf(451, enhanced, format, args...)}
}
