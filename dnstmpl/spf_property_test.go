package dnstmpl_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"blitiri.com.ar/go/spf"
	"pgregory.net/rapid"

	"github.com/panelmail/panelmail/dnstmpl"
)

// A receiver evaluates SPF with a zone of ours published, and the internet around it.
type receiver struct {
	zone  dnstmpl.Zone
	world *internet
}

func found[T any](list []T, err error) ([]T, error) {
	if err == nil && len(list) == 0 {
		err = &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return list, err
}

func (r receiver) LookupTXT(ctx context.Context, name string) (texts []string, err error) {
	for _, rec := range r.zone.Records {
		if v, ok := rec.Value.(dnstmpl.TXT); ok && rec.Name == strings.TrimSuffix(name, ".")+"." {
			texts = append(texts, v.Text)
		}
	}
	if texts == nil {
		texts, err = r.world.Text(ctx, strings.TrimSuffix(name, "."))
	}
	return found(texts, err)
}

func (r receiver) LookupMX(ctx context.Context, name string) (all []*net.MX, err error) {
	hosts, err := r.world.MX(ctx, strings.TrimSuffix(name, "."))
	for _, h := range hosts {
		all = append(all, &net.MX{Host: h})
	}
	return found(all, err)
}

func (r receiver) LookupIPAddr(ctx context.Context, host string) (all []net.IPAddr, err error) {
	addrs, err := r.world.Addrs(ctx, strings.TrimSuffix(host, "."))
	for _, a := range addrs {
		all = append(all, net.IPAddr{IP: a.AsSlice()})
	}
	return found(all, err)
}

func (r receiver) LookupAddr(context.Context, string) ([]string, error) { return nil, nil }

func (r receiver) judge(ip netip.Addr) spf.Result {
	result, _ := spf.CheckHostWithSender(ip.AsSlice(), "mail.panel.example", "u@shop.example", spf.WithResolver(r))
	return result
}

// drawEgress draws data, and the addresses that mail leaves from by it.
func drawEgress(t *rapid.T, world *internet) (d dnstmpl.Data, from []netip.Addr) {
	d = dnstmpl.Data{Zone: "shop.example", SendOnly: true, SPF: rapid.SampledFrom([]string{"", "-all"}).Draw(t, "all")}
	for range rapid.IntRange(0, 130).Draw(t, "addresses") {
		ip := netip.AddrFrom4([4]byte{192, 0, 2, rapid.Byte().Draw(t, "four")})
		if rapid.IntRange(0, 3).Draw(t, "family") == 0 {
			ip = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", rapid.Uint16().Draw(t, "six")))
		}
		d.Egress = append(d.Egress, ip)
	}
	from = slices.Clone(d.Egress)
	for i := range rapid.IntRange(0, 12).Draw(t, "relays") {
		r := dnstmpl.Relay{Host: fmt.Sprintf("relay%d.example", i)}
		ip := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			world.addrs[r.Host] = []netip.Addr{ip}
		case 1:
			r.MX, world.mx[r.Host], world.addrs["mx."+r.Host] = true, []string{"mx." + r.Host}, []netip.Addr{ip}
		case 2:
			r.Host = ip.String()
		case 3:
			domain := "_spf." + r.Host
			r.Include = []string{domain}
			for n := range rapid.IntRange(0, 4).Draw(t, "nested") {
				inner := fmt.Sprintf("_%d.%s", n, domain)
				world.text[domain] = append(world.text[domain], "include:"+inner)
				world.text[inner] = []string{"v=spf1 -all"}
			}
			terms := append([]string{"v=spf1"}, world.text[domain]...)
			world.text[domain] = []string{strings.Join(append(terms, "ip4:"+ip.String(), "~all"), " ")}
		}
		d.Relays, from = append(d.Relays, r), append(from, ip)
	}
	if len(from) == 0 {
		d.IPs = addrs("192.0.2.1")
		from = d.IPs
	}
	return d, from
}

func TestACompiledSPFRecordPassesForItsEgressAloneOrTakesTooManyLookupsAndLintSaysSo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		world := &internet{text: map[string][]string{}, mx: map[string][]string{}, addrs: map[string][]netip.Addr{}}
		d, from := drawEgress(t, world)
		zone, err := dnstmpl.Default().Render(d)
		if err != nil {
			t.Fatal(err)
		}
		r := receiver{zone, world}
		tooMany := slices.ContainsFunc(zone.Lint(context.Background(), d, world), func(p dnstmpl.Problem) bool { return p.Rule == dnstmpl.RuleLookups })
		for _, ip := range from {
			if got := r.judge(ip); got != spf.Pass && !tooMany {
				t.Fatalf("%s for %s:\n%s", got, ip, zone)
			}
		}
		for _, ip := range addrs("203.0.113.7", "192.0.3.1", "2001:db8:1::7") {
			got := r.judge(ip)
			if got == spf.Pass || (got == spf.PermError) != tooMany {
				t.Fatalf("%s for %s, and lint says that there are too many look-ups: %t\n%s", got, ip, tooMany, zone)
			}
		}
		for _, rec := range zone.Records {
			if v, ok := rec.Value.(dnstmpl.TXT); ok && len(rec.Name)-1+len(v.Text) >= 450 && !tooMany {
				t.Fatalf("%d octets: %s", len(v.Text), rec)
			}
		}
	})
}
