package mailcore

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/internal/memnet"
	"github.com/panelmail/panelmail/internal/restrict"
	"github.com/panelmail/panelmail/mailcore/sites"
)

// OpenRelays tries to relay through the server as a stranger would: with 34 forms of
// recipient addresses that have made open relays, each from six senders. It goes through
// the code of the SMTP door in memory, as a client that no network of ours has, that is
// not logged in and that the DNS speaks well of. Nothing is queued, the DNS is not
// asked, and pauses are left out.
//
// It returns a line for each try that succeeds, and for each that the restriction lists
// would have let pass, though the server refuses it all the same. There should be none.
func (s *Server) OpenRelays(ctx context.Context) ([]string, error) {
	probe, err := s.newProbe(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, client := range probe.strangers() {
		for _, sender := range probe.senders() {
			for _, form := range probe.forms() {
				finding, err := probe.try(ctx, client, sender, form)
				if err != nil {
					return nil, err
				}
				if finding != "" {
					found = append(found, fmt.Sprintf("MAIL FROM:%s RCPT TO:%s from %v: %s", sender, form, client, finding))
				}
			}
		}
	}
	return found, nil
}

// A relayProbe is a desk that tells nobody, and two domains.
type relayProbe struct {
	desk   desk
	local  string // ours
	remote string // not ours
}

func (s *Server) newProbe(ctx context.Context) (*relayProbe, error) {
	p := &relayProbe{desk: *s.current(), remote: "relay-test.invalid"}
	p.desk.dns, p.desk.hasty = obliging{p.strangers()}, true
	p.desk.config.Log = slog.New(slog.DiscardHandler)
	p.local = p.desk.config.Hostname
	domains, err := s.sites.ListDomains(ctx, "")
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(domains, func(d sites.Domain) bool { return d.Class == sites.Hosted }); i >= 0 {
		p.local = domains[i].Name
	}
	return p, nil
}

// strangers are an address in IPv4 and one in IPv6 that are not trusted, if there are
// such.
func (p *relayProbe) strangers() (all []netip.Addr) {
	for _, family := range [][]string{
		{"192.0.2.66", "198.51.100.66", "203.0.113.66", "8.8.8.8"},
		{"2001:db8::66", "2001:4860:4860::8888"},
	} {
		last := netip.Addr{}
		for _, text := range family {
			if last = netip.MustParseAddr(text); !p.desk.trusts(last) {
				break
			}
		}
		all = append(all, last)
	}
	return all
}

func (p *relayProbe) senders() []string {
	return []string{"<x@" + p.remote + ">", "<>", "<u@" + p.local + ">", "<u@localhost>", "<u>", "<u@[127.0.0.1]>"}
}

// forms are the arguments of RCPT TO.
func (p *relayProbe) forms() []string {
	all := []string{
		"<u@LOCAL>", "<u@REMOTE>", "u@REMOTE", "<u%REMOTE@LOCAL>", "<u%REMOTE>", "<u@REMOTE@LOCAL>", "<u@LOCAL@REMOTE>",
		"<@LOCAL:u@REMOTE>", "<@a.test,@b.test:u@REMOTE>", `<"u@REMOTE"@LOCAL>`, `<"u@REMOTE">`, `<"u%REMOTE"@LOCAL>`, `<"u%REMOTE">`,
		"<REMOTE!u@LOCAL>", "<REMOTE!u>", `<"REMOTE!u">`, "<LOCAL!u%REMOTE>", "<u@REMOTE@[127.0.0.1]>", "<u%REMOTE@[127.0.0.1]>",
		"<u@[127.0.0.1]>", `<"u@REMOTE"@[127.0.0.1]>`, "<REMOTE!u@[127.0.0.1]>", "<u@>", "<u>", "<postmaster>", "<@REMOTE>",
		"<u@LOCAL.>", "<u@UPPER>", `<"u> NOTIFY=NEVER"@LOCAL>`, "<a..b@LOCAL>", "<u@LOCAL> foo", "<|/bin/sh@LOCAL>", "<../../x@LOCAL>", "<-oQ/tmp@LOCAL>",
	}
	names := strings.NewReplacer("LOCAL", p.local, "REMOTE", p.remote, "UPPER", strings.ToUpper(p.local))
	for i, form := range all {
		all[i] = names.Replace(form)
	}
	return all
}

// try says what is wrong with the answer to one form; "" if nothing is.
func (p *relayProbe) try(ctx context.Context, client netip.Addr, sender, form string) (finding string, err error) {
	foreign, err := p.foreign(ctx, form)
	if err != nil || !foreign {
		return "", err
	}
	reply := p.dialogue(ctx, client, "EHLO stranger."+p.remote, "MAIL FROM:"+sender, "RCPT TO:"+form)
	if strings.HasPrefix(reply, "2") {
		return "accepted: " + reply, nil
	}
	to, rest, err := address.ParsePath(form)
	from, _, senderErr := address.ParsePath(sender)
	if err != nil || senderErr != nil || rest != "" {
		return "", nil
	}
	g := p.desk.newGate(client, p.desk.trusts(client))
	q := g.client
	q.HELO, q.Sender, q.Recipient = "stranger."+p.remote, from, to
	if v := p.desk.policy.AtRcpt(ctx, &g.session, q); v.Reply.Code == 0 {
		return "the restriction lists permit it", nil
	}
	return "", nil
}

// foreign reports whether mail to a form would leave, if it was taken. What nobody
// should take at all counts.
func (p *relayProbe) foreign(ctx context.Context, form string) (bool, error) {
	path, rest, err := address.ParsePath(form)
	if err != nil || rest != "" {
		return true, nil
	}
	a, err := address.Parse(path)
	if err != nil || a.Routed() {
		return true, nil
	}
	if a.Domain == "" {
		return false, nil
	}
	ours, err := p.desk.Ours(ctx, a.Fold().Domain)
	return !ours, err
}

// dialogue says commands at the SMTP door and returns the reply to the last, or the one
// that refused.
func (p *relayProbe) dialogue(ctx context.Context, client netip.Addr, commands ...string) (reply string) {
	server := p.desk.protocol(Listener{Kind: SMTP})
	server.Clients, server.RequireTLS = nil, false
	server.ConnRate, server.MailRate, server.RcptRate = 0, 0, 0
	near, far := memnet.Pipe(netip.AddrPortFrom(client, 1024), netip.AddrPortFrom(client, 25))
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.ServeConn(ctx, far)
	}()
	defer func() {
		near.Close()
		<-done
	}()
	in := bufio.NewReader(near)
	for i := range len(commands) + 1 {
		if i > 0 {
			if _, err := near.Write([]byte(commands[i-1] + "\r\n")); err != nil {
				return err.Error()
			}
		}
		for more := true; more; {
			line, err := in.ReadString('\n')
			if err != nil {
				return err.Error()
			}
			reply = strings.TrimRight(line, "\r\n")
			more = len(reply) > 3 && reply[3] == '-'
		}
		if !strings.HasPrefix(reply, "2") {
			return reply
		}
	}
	return reply
}

// obliging is a DNS in which every name exists and is that of all clients, and nobody is
// listed.
type obliging struct{ clients []netip.Addr }

var _ restrict.Resolver = obliging{}

// MX implements restrict.Resolver.
func (obliging) MX(context.Context, string) ([]string, error) { return []string{"mx.invalid"}, nil }

// Addrs implements restrict.Resolver.
func (o obliging) Addrs(context.Context, string) ([]netip.Addr, error) { return o.clients, nil }

// IPv4 implements restrict.Resolver. Only block lists ask for it.
func (obliging) IPv4(context.Context, string) ([]netip.Addr, error) { return nil, nil }

// Names implements restrict.Resolver.
func (obliging) Names(context.Context, netip.Addr) ([]string, error) {
	return []string{"stranger.invalid"}, nil
}

// Text implements restrict.Resolver.
func (obliging) Text(context.Context, string) ([]string, error) { return nil, nil }
