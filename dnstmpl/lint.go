package dnstmpl

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
)

// What [Zone.Lint] finds, beside the rules of records.
const (
	RuleSPF       Rule = "spf"       // not in the form of RFC 7208, or worthless for another reason
	RuleSPFAll    Rule = "spf-all"   // everybody passes, or nothing is said of everybody else
	RuleLookups   Rule = "lookups"   // SPF asks the DNS more than ten times
	RuleVoid      Rule = "void"      // SPF asks the DNS for what is not there, more than twice
	RuleAnswer    Rule = "answer"    // an answer with SPF may not fit into a packet
	RuleEgress    Rule = "egress"    // SPF does not let mail of the domain pass
	RuleRelay     Rule = "relay"     // it is not known what a smart host sends from
	RuleDMARC     Rule = "dmarc"     // not in the form of RFC 7489, or reports that go nowhere
	RuleAlignment Rule = "alignment" // mail that passes SPF or DKIM, and not DMARC
	RuleHELO      Rule = "helo"      // name, address and PTR record do not agree
	RuleExchanger Rule = "exchanger" // an MX record leads nowhere
	RuleNoAnswer  Rule = "no-answer" // the DNS could not be asked
)

// A Resolver answers what [Zone.Lint] asks about names that are not in the zone. A name
// without such records is an empty answer, or a *[net.DNSError] with IsNotFound. Names have
// no final dot.
type Resolver interface {
	// Text returns the TXT records of a name, the strings of each joined.
	Text(ctx context.Context, name string) ([]string, error)

	// MX returns the mail exchangers of a domain.
	MX(ctx context.Context, domain string) (hosts []string, err error)

	// Addrs returns the addresses of a host, IPv4 and IPv6.
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)

	// Names returns the names of the PTR records of an address.
	Names(ctx context.Context, addr netip.Addr) ([]string, error)
}

// Lint reports what is odd in records that are right by themselves: what would make
// receivers refuse the domain's mail, or take it from anybody. Problems have no line; they
// come in the order of the zone, those of the data last.
//
// d is the data that the zone was rendered with. What is not in the zone is asked of r.
// If r is nil, nobody is asked, and only what the zone and the data show is reported: of
// an included SPF record it is not known how many look-ups it takes.
func (z Zone) Lint(ctx context.Context, d Data, r Resolver) Problems {
	d, problems := d.checked()
	if len(problems) > 0 {
		return problems
	}
	l := &linter{ctx: ctx, world: world{zone: z, resolver: r}, data: d}
	for _, rec := range z.Records {
		switch v := rec.Value.(type) {
		case MX:
			l.exchanger(rec, v)
		case TXT:
			switch textKind(rec.Name, v.Text) {
			case "SPF":
				l.spf(rec, v.Text)
			case "DMARC":
				l.dmarc(rec, v.Text)
			case "":
				l.strayPolicy(rec)
			}
		}
	}
	l.relays()
	l.greeters()
	return l.problems
}

// A linter collects problems.
type linter struct {
	ctx      context.Context
	world    world
	data     Data
	problems Problems
	mute     map[string]bool // names that there was no answer about
}

func (l *linter) add(rule Rule, record, fix, format string, args ...any) {
	l.problems = append(l.problems, Problem{Rule: rule, Record: record, Fix: fix, Text: fmt.Sprintf(format, args...)})
}

// unanswered notes that nothing is known of a name, once.
func (l *linter) unanswered(name string, err error) {
	if l.mute == nil {
		l.mute = map[string]bool{}
	}
	if !l.mute[name] {
		l.mute[name] = true
		l.add(RuleNoAnswer, "", "", "there was no answer about %s: %v", name, err)
	}
}

// exchanger checks that an MX record leads to a host.
func (l *linter) exchanger(rec Record, mx MX) {
	if mx.Host == "." {
		return
	}
	addrs, known, err := l.world.addrs(l.ctx, mx.Host)
	switch {
	case err != nil:
		l.unanswered(mx.Host, err)
	case known && len(addrs) == 0:
		l.add(RuleExchanger, rec.String(), "A or AAAA records for "+mx.Host, "the mail exchanger %s has no address: mail waits, and goes back", mx.Host)
	}
}

// relays says of which smart hosts nothing is known but the name.
func (l *linter) relays() {
	for _, r := range l.data.Relays {
		ip, err := netip.ParseAddr(strings.Trim(r.Host, "[]"))
		_, service := KnownService(r.Host)
		switch {
		case len(r.Include) > 0 || service || r.Host == l.data.Hostname || r.Host == "":
		case err == nil && !public(ip):
			l.add(RuleRelay, "", "what its SPF record is, or the addresses that it sends from",
				"the smart host %s has an address that nobody else sees: its mail fails SPF", ip)
		default:
			l.add(RuleRelay, "", "the SPF record of its provider as an include, if there is one",
				"the smart host %s is let through by the addresses that it takes mail at: it may send from others", r.Host)
		}
	}
}

// public reports whether an address may be seen on the internet.
func public(ip netip.Addr) bool {
	shared := netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !shared.Contains(ip.Unmap())
}
