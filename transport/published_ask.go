package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/miekg/dns"
)

const (
	maxAsked   = 32 // queries under way at once
	maxPerName = 32 // addresses asked about one name
)

// An inquiry is one call of Published. It knows the zones that it has found.
type inquiry struct {
	dns  *DNS
	room chan struct{} // a place for each query under way

	cuts  memory[zoneCut]     // by the name that lies in the zone
	zones memory[zoneServers] // by the zone
}

// each calls work for all of a list at once and returns when they are done.
func each[T any](list []T, work func(int, T)) {
	var group sync.WaitGroup
	for i, v := range list {
		group.Go(func() { work(i, v) })
	}
	group.Wait()
}

// check reports what is wrong with a question.
func (q DNSQuestion) check() error {
	name := dns.CanonicalName(q.Name)
	if _, err := new(dns.Msg).SetQuestion(name, dns.TypeTXT).Pack(); err != nil || q.Name == "" {
		return fmt.Errorf("%q is not a domain name", q.Name)
	}
	if kind, ok := dns.StringToType[strings.ToUpper(q.Type)]; !ok || kind == dns.TypeANY || kind == dns.TypeAXFR || kind == dns.TypeIXFR {
		return fmt.Errorf("%q is not a record type to ask for", q.Type)
	}
	return nil
}

// A nameAsker asks about one name.
type nameAsker func(ctx context.Context, name string, kind uint16) PublishedName

// followed asks about a name and about those that its aliases lead to.
func followed(ctx context.Context, name string, kind uint16, ask nameAsker) []PublishedName {
	all := []PublishedName{}
	waiting := []string{name}
	for len(waiting) > 0 && len(all) <= maxAliases {
		name, waiting = waiting[0], waiting[1:]
		found := ask(ctx, name, kind)
		all = append(all, found)
		for _, a := range found.Answers {
			next := dns.CanonicalName(a.Alias)
			known := slices.ContainsFunc(all, func(n PublishedName) bool { return n.Name == a.Alias })
			if a.Status == StatusAlias && !known && !slices.Contains(waiting, next) {
				waiting = append(waiting, next)
			}
		}
	}
	return all
}

// name asks all servers about one name.
func (in *inquiry) name(ctx context.Context, name string, kind uint16) PublishedName {
	zone := in.zone(ctx, name)
	found := PublishedName{Name: plainName(name), Zone: plainName(zone.name)}
	if len(zone.servers) == 0 {
		found.Answers = []ServerAnswer{{Name: found.Name, Status: StatusNoZone, Detail: zone.detail}}
		return found
	}
	q := authorityQuery(name, kind)
	answers := make([]ServerAnswer, len(zone.servers))
	each(zone.servers, func(i int, s zoneServer) {
		answers[i] = ServerAnswer{Server: plainName(s.name), Addr: s.addr, Status: StatusUnreachable, Detail: s.detail}
		if s.addr.IsValid() {
			m, err := in.ask(ctx, q, s.addr)
			answers[i].judge(zone.name, q, m, err)
		}
		answers[i].Name = found.Name
	})
	found.Answers = withoutNoRoute(answers)
	return found
}

// resolved asks the recursive servers about one name.
func (in *inquiry) resolved(ctx context.Context, name string, kind uint16) PublishedName {
	in.room <- struct{}{}
	defer func() { <-in.room }()
	a := ServerAnswer{Name: plainName(name)}
	m, server, err := in.dns.ask(ctx, name, kind)
	if at, err := netip.ParseAddrPort(server); err == nil {
		a.Addr = at.Addr()
	}
	if err != nil {
		a.Status, a.Detail = StatusNoZone, detailOf(err)
	} else {
		a.take(name, kind, m)
	}
	return PublishedName{Name: a.Name, Answers: []ServerAnswer{a}}
}

// withoutNoRoute leaves out the addresses that this machine has no way to if the server
// has others.
func withoutNoRoute(answers []ServerAnswer) []ServerAnswer {
	return slices.DeleteFunc(slices.Clone(answers), func(a ServerAnswer) bool {
		return a.Status == StatusNoRoute && slices.ContainsFunc(answers, func(b ServerAnswer) bool {
			return b.Server == a.Server && b.Status != StatusNoRoute
		})
	})
}

// authorityQuery is a question to a server that has the answer itself.
func authorityQuery(name string, kind uint16) *dns.Msg {
	q := new(dns.Msg).SetQuestion(name, kind)
	q.RecursionDesired = false
	q.SetEdns0(ednsSize, false)
	return q
}

// ask asks one server, as often as it takes within the tries.
func (in *inquiry) ask(ctx context.Context, q *dns.Msg, addr netip.Addr) (m *dns.Msg, err error) {
	select {
	case in.room <- struct{}{}:
		defer func() { <-in.room }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	server := netip.AddrPortFrom(addr, in.dns.authorityPort(addr)).String()
	for range in.dns.tries() {
		m, err = in.dns.exchange(ctx, q, server)
		if err == nil && m.Rcode == dns.RcodeFormatError && q.IsEdns0() != nil {
			q = q.Copy() // as one that knows no EDNS0 says (RFC 6891 section 7)
			q.Extra = nil
			m, err = in.dns.exchange(ctx, q, server)
		}
		if err == nil && m.Rcode != dns.RcodeServerFailure || ctx.Err() != nil {
			break
		}
	}
	return m, err
}

// authorityPort is the port of an authoritative server. No zone of the world has one on
// loopback; a test has, beside its recursive server.
func (r *DNS) authorityPort(addr netip.Addr) uint16 {
	if servers, err := r.upstream(); err == nil && addr.IsLoopback() && len(servers) > 0 {
		if at, err := netip.ParseAddrPort(servers[0]); err == nil && at.Addr().Unmap().IsLoopback() {
			return at.Port()
		}
	}
	return 53
}

// judge sets what an answer of a server of the zone says.
func (a *ServerAnswer) judge(zone string, q, m *dns.Msg, err error) {
	a.Detail = ""
	name, kind := q.Question[0].Name, q.Question[0].Qtype
	switch {
	case err != nil:
		a.Status, a.Detail = failure(err)
	case m.Rcode == dns.RcodeServerFailure:
		a.Status, a.Detail = StatusFailed, "it answers SERVFAIL"
	case m.Rcode == dns.RcodeRefused || m.Rcode == dns.RcodeNotAuth:
		a.Status, a.Detail = StatusLame, "it answers "+dns.RcodeToString[m.Rcode]+" and does not serve "+plainName(zone)
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		a.Status, a.Detail = StatusBroken, "it answers "+cmp.Or(dns.RcodeToString[m.Rcode], fmt.Sprint("code ", m.Rcode))
	case !m.Authoritative:
		a.Status, a.Detail = StatusLame, "it answers without authority and does not serve "+plainName(zone)
	default:
		a.take(name, kind, m)
	}
}

// take sets what an answer with authority says.
func (a *ServerAnswer) take(name string, kind uint16, m *dns.Msg) {
	for _, rr := range m.Answer {
		if dns.CanonicalName(rr.Header().Name) != name || rr.Header().Class != dns.ClassINET {
			continue
		}
		if alias, ok := rr.(*dns.CNAME); ok && kind != dns.TypeCNAME {
			a.Alias = plainName(dns.CanonicalName(alias.Target))
		} else if rr.Header().Rrtype == kind {
			a.Records = append(a.Records, publishedRecord(rr))
		}
	}
	switch {
	case len(a.Records) > 0:
		a.Status, a.Alias = StatusFound, ""
	case a.Alias != "":
		a.Status = StatusAlias
	case m.Rcode == dns.RcodeNameError:
		a.Status = StatusNoName
	default:
		a.Status = StatusNoData
	}
}

func publishedRecord(rr dns.RR) PublishedRecord {
	h := rr.Header()
	p := PublishedRecord{Name: plainName(dns.CanonicalName(h.Name)), TTL: h.Ttl, Type: dns.TypeToString[h.Rrtype]}
	p.Data = strings.TrimPrefix(rr.String(), h.String())
	if txt, ok := rr.(*dns.TXT); ok {
		p.Text = textOctets(txt)
	}
	return p
}

// textOctets are the octets of a TXT record, whose strings the library keeps escaped.
func textOctets(txt *dns.TXT) string {
	var b strings.Builder
	for _, s := range txt.Txt {
		for i := 0; i < len(s); i++ {
			switch {
			case s[i] != '\\' || i+1 == len(s):
				b.WriteByte(s[i])
			case i+3 < len(s) && isDigits(s[i+1:i+4]):
				b.WriteByte((s[i+1]-'0')*100 + (s[i+2]-'0')*10 + (s[i+3] - '0'))
				i += 3
			default:
				i++
				b.WriteByte(s[i])
			}
		}
	}
	return b.String()
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// failure is the class of a query that had no answer.
func failure(err error) (ServerStatus, string) {
	var op *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return StatusTimeout, "it does not answer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return StatusUnreachable, "nothing answers at its address: connection refused"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		return StatusNoRoute, "this machine has no way to its address"
	case errors.As(err, &op):
		return StatusUnreachable, reason(err)
	}
	return StatusBroken, "what it sends is no answer: " + reason(err)
}
