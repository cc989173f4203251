package mailcore_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"blitiri.com.ar/go/spf"

	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// A receiver is the DNS as hosts of other domains see it: what is published for one of
// our domains, and the rest of the world. It is a resolver of the SPF library.
type receiver struct {
	zone  dnstmpl.Zone
	world *mailtest.DNS
}

func (r receiver) values(name, typ string) (values []dnstmpl.Value) {
	for _, rec := range r.zone.Records {
		if rec.Name == strings.TrimSuffix(name, ".")+"." && rec.Type() == typ {
			values = append(values, rec.Value)
		}
	}
	return values
}

func (r receiver) resolver() transport.ClientResolver {
	return r.world.Resolver().(transport.ClientResolver)
}

func (r receiver) LookupTXT(ctx context.Context, name string) (texts []string, err error) {
	for _, v := range r.values(name, "TXT") {
		texts = append(texts, v.(dnstmpl.TXT).Text)
	}
	if texts == nil {
		return r.resolver().Text(ctx, name)
	}
	return texts, nil
}

func (r receiver) LookupMX(ctx context.Context, name string) (all []*net.MX, err error) {
	records, err := r.resolver().MX(ctx, name)
	for _, mx := range records {
		all = append(all, &net.MX{Host: mx.Host, Pref: mx.Preference})
	}
	return all, err
}

func (r receiver) LookupIPAddr(ctx context.Context, host string) (all []net.IPAddr, err error) {
	addrs, err := r.resolver().Addrs(ctx, host)
	for _, a := range addrs {
		all = append(all, net.IPAddr{IP: a.AsSlice()})
	}
	return all, err
}

func (r receiver) LookupAddr(context.Context, string) ([]string, error) { return nil, nil }

// judge is what the SPF library says of mail from an address.
func (r receiver) judge(ip netip.Addr, sender string) spf.Result {
	result, _ := spf.CheckHostWithSender(ip.AsSlice(), "mail.panel.example", sender, spf.WithResolver(r))
	return result
}

// smartHostAddrs are what the smart hosts of the world send from, by their names in next hops.
// Those of recipients' own hosts are not among them: these see us.
func smartHostAddrs() map[string][]netip.Addr {
	return map[string][]netip.Addr{
		"smtp.sendgrid.net":  addresses("198.51.100.10", "2001:db8:a::10"),
		"relay1.example":     addresses("198.51.100.21"),
		"relay2.example":     addresses("198.51.100.22", "2001:db8:a::22"),
		"relaydom.example":   addresses("198.51.100.23"),
		"paid.example":       addresses("198.51.100.24"),
		"198.51.100.77":      addresses("198.51.100.77"),
		"rivalrelay.example": addresses("198.51.100.99"),
	}
}

// ownAddrs are the addresses of our host.
func ownAddrs() []netip.Addr { return addresses("192.0.2.250", "2001:db8::250") }

func egressWorld() *mailtest.DNS {
	world := mailtest.NewDNS()
	world.TXT["sendgrid.net"] = []string{"v=spf1 ip4:198.51.100.10 ip6:2001:db8:a::10 -all"}
	world.MX["relaydom.example"] = []transport.MX{{Preference: 10, Host: "mx.relaydom.example"}}
	world.Addr["mx.relaydom.example"] = []string{"198.51.100.23"}
	for _, name := range []string{"relay1.example", "relay2.example", "paid.example", "rivalrelay.example"} {
		for _, ip := range smartHostAddrs()[name] {
			world.Addr[name] = append(world.Addr[name], ip.String())
		}
	}
	for _, ip := range ownAddrs() {
		world.Addr["mail.panel.example"] = append(world.Addr["mail.panel.example"], ip.String())
	}
	return world
}

// egressRounds is how many settings are drawn; a few thousand take minutes.
var egressRounds = flag.Int("egress.rounds", 15, "settings whose SPF record is held against their egress")

// A tableDraw draws settings at random. Each address is drawn once.
type tableDraw struct {
	t     *testing.T
	rand  *rand.Rand
	next  int
	rival []netip.Addr // addresses that the other site alone has
}

func (d *tableDraw) some(from ...string) (picked []string) {
	for _, s := range from {
		if d.rand.IntN(4) == 0 {
			picked = append(picked, s)
		}
	}
	return picked
}

func (d *tableDraw) of(from ...string) string { return from[d.rand.IntN(len(from))] }

func (d *tableDraw) sources() (all []sites.Source) {
	for _, key := range d.some("default", "<>", "shop", "other", "@shop.example", "@other.example", "@stranger.example",
		"vip@shop.example", "bulk+news@shop.example", "login:clerk", "login:box@shop.example", "login:rival") {
		for range 1 + d.rand.IntN(3) {
			d.next++
			src := sites.Source{Key: key, HELO: fmt.Sprintf("out%d.panel.example", d.next), Site: "shop"} // of a login
			if key == "login:rival" {
				src.Site = "other"
			}
			shape := d.of("4", "6", "46", "none")
			if strings.Contains(shape, "4") {
				src.IPv4 = netip.AddrFrom4([4]byte{192, 0, 2, byte(d.next)})
			}
			if strings.Contains(shape, "6") {
				src.IPv6 = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", d.next))
			}
			if slices.Contains([]string{"other", "@other.example", "@stranger.example", "login:rival"}, key) {
				d.rival = append(d.rival, src.IPv4, src.IPv6)
			}
			all = append(all, src)
		}
	}
	return all
}

func (d *tableDraw) settings() (set sites.Import) {
	smart := []string{"DUNNO", "[smtp.sendgrid.net]:587", "[relay1.example]:587", "relaydom.example", "[198.51.100.77]:2525",
		"[relay1.example], [relay2.example]", "[127.0.0.1]:10024"}
	for _, key := range d.some("default", "shop", "@shop.example", "vip@shop.example", "box@shop.example") {
		hosts := smart
		if key == "default" {
			hosts = smart[1:]
		}
		set.SmartHosts = append(set.SmartHosts, sites.SmartHost{Key: key, Nexthop: d.of(hosts...)})
	}
	set.SmartHosts = append(set.SmartHosts, sites.SmartHost{Key: "other", Nexthop: "[rivalrelay.example]"})
	for _, key := range d.some("default", "shop", "@shop.example", "bulk@shop.example") {
		set.SenderRoutes = append(set.SenderRoutes, sites.SenderRoute{
			Key: key, Value: d.of("relaylim:", "smtp:[relay2.example]", "DUNNO", "error:no", "smtp:relaydom.example")})
	}
	for _, pattern := range d.some("direct.example", "one.example", "u@one.example", "two.example", "other.example", "a.wild.example") {
		set.Routes = append(set.Routes, sites.Route{
			Pattern: pattern, Value: d.of("smtp:", ":", "oneshot:", "smtp:[mx.one.example]", ":[mx.one.example]",
				"relay:[smtp.sendgrid.net]:587", "relay:[paid.example]:587", "error:no", "lmtp:unix:x")})
	}
	for _, pattern := range d.some("*", ".wild.example", ".a.wild.example") {
		set.Routes = append(set.Routes, sites.Route{
			Pattern: pattern, Value: d.of("smtp:", ":", "smtp:[relay1.example]", ":[relay2.example]", "relaylim:relaydom.example")})
	}
	set.Credentials = []sites.Credential{{Key: "[paid.example]:587", Credential: transport.Credential{User: "u", Password: "canary"}}}
	for _, key := range d.some("vip@shop.example", "@shop.example") {
		set.Credentials = append(set.Credentials, sites.Credential{Key: key, Credential: transport.Credential{User: "v", Password: "canary"}})
	}
	return set
}

// mail draws a message of shop.example, and a recipient.
func (d *tableDraw) mail() transport.Query {
	q := transport.Query{
		ID:        fmt.Sprintf("%08X", d.rand.Uint32()),
		Recipient: d.of("u@direct.example", "u@one.example", "v@one.example", "u@two.example", "u@a.wild.example", "u@b.a.wild.example", "u@wild.example", "u@any.test", "u@other.example"),
		Sender:    d.of("vip", "vip+x", "VIP", "bulk", "bulk+news", "box", "anybody") + "@shop.example",
	}
	switch d.of("api", "panel", "clerk", "box", "sendmail", "forwarded") {
	case "api":
		q.Origin = transport.Origin{Site: "shop", Via: transport.ViaAPI}
	case "panel":
		q.Origin = transport.Origin{Via: transport.ViaAPI}
	case "clerk":
		q.Origin = transport.Origin{Site: "shop", Login: "clerk", Via: transport.ViaSMTP}
	case "box": // may send as itself alone
		q.Origin, q.Sender = transport.Origin{Site: "shop", Login: "Box@shop.example", Via: transport.ViaSMTP}, "box+y@shop.example"
	case "sendmail":
		q.Origin = transport.Origin{Site: "shop", Via: transport.ViaSendmail, UID: 1000}
	case "forwarded":
		q.Origin, q.Rewritten, q.Sender = transport.Origin{Via: transport.ViaSMTP}, true, "SRS0=aaaa=bb=far.example=u@shop.example"
	}
	return q
}

// seenAs are the addresses that the hosts of the recipient see when a plan is carried out.
func seenAs(t *testing.T, plan transport.Plan) (ips []netip.Addr) {
	hops, err := plan.Hops()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hops {
		switch from, relay := smartHostAddrs()[h.Name]; {
		case relay:
			ips = append(ips, from...)
		case h.Addr.IsLoopback() || !plan.Source.Bound():
			ips = append(ips, ownAddrs()...)
		default:
			ips = append(ips, plan.Source.IPv4, plan.Source.IPv6)
		}
	}
	return slices.DeleteFunc(ips, func(ip netip.Addr) bool { return !ip.IsValid() })
}

// server is one with two sites and the settings drawn.
func (d *tableDraw) server(dir string, world *mailtest.DNS) *mailcore.Server {
	config := mailcore.Config{Hostname: "mail.panel.example", Resolver: world.Resolver()}
	if d.rand.IntN(2) == 0 {
		config.DNS.Addrs = ownAddrs()
	}
	config.SmartHost = d.of("", "", "[smtp.sendgrid.net]:587", "[relay2.example]")
	srv, err := mailcore.Open(context.Background(), filepath.Join(dir, "panelmail.db"), config)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, s := context.Background(), srv.Sites()
	set := d.settings()
	for _, err := range []error{
		s.AddSite(ctx, sites.Site{Name: "shop"}), s.AddSite(ctx, sites.Site{Name: "other"}),
		s.AddDomain(ctx, sites.Domain{Name: "shop.example", Site: "shop", Class: sites.Hosted}),
		s.AddDomain(ctx, sites.Domain{Name: "other.example", Site: "other", Class: sites.Hosted}),
		s.Import(ctx, set),
	} {
		if err != nil {
			d.t.Fatal(err)
		}
	}
	for _, src := range d.sources() {
		if err := s.AddSource(ctx, src); err != nil {
			d.t.Fatal(err)
		}
	}
	return srv
}

func TestSPFPassesForEveryWayThatMailOfADomainLeavesAndForNoOther(t *testing.T) {
	world := egressWorld()
	for round := range *egressRounds {
		d := &tableDraw{t: t, rand: rand.New(rand.NewPCG(uint64(round), 7208))}
		srv := d.server(t.TempDir(), world)
		d.holdAgainst(srv, world)
		if err := srv.Close(); err != nil || t.Failed() {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

// holdAgainst holds the SPF record against where messages are planned to leave from.
func (d *tableDraw) holdAgainst(srv *mailcore.Server, world *mailtest.DNS) {
	data, err := srv.DNSData(context.Background(), "shop.example")
	if err != nil {
		d.t.Fatal(err)
	}
	zone, err := dnstmpl.Default().Render(data)
	if err != nil {
		d.t.Fatal(err)
	}
	r := receiver{zone, world}
	for range 60 {
		q := d.mail()
		plan, err := srv.Plan(context.Background(), q)
		if err != nil {
			continue // it waits, or goes back
		}
		for _, ip := range seenAs(d.t, plan) {
			if got := r.judge(ip, q.Sender); got != spf.Pass {
				d.t.Errorf("%s for %s from %s, by %s to %s from %+v because %+v:\n%s",
					got, q.Sender, ip, plan.Transport, plan.Nexthop, plan.Source, plan.Because, zone)
				return
			}
		}
	}
	for _, ip := range append(addresses("203.0.113.7", "2001:db8:ffff::7", "198.51.100.99"), d.rival...) {
		if ip.IsValid() && r.judge(ip, "u@shop.example") == spf.Pass {
			d.t.Errorf("mail from %s passes:\n%s", ip, zone)
		}
	}
}
