package dnstmpl

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// checked is the data as templates see it: names in lower case, as A-labels, without
// final dots, defaults filled in. Nothing in it is shared with d.
func (d Data) checked() (Data, Problems) {
	c := dataCheck{}
	d.Zone = c.name("Zone", d.Zone, aliasName, true)
	if d.Subdomain != "" && d.Zone != "" {
		d.Subdomain = strings.TrimSuffix(c.name("Subdomain", strings.TrimSuffix(d.Subdomain, ".")+"."+d.Zone, aliasName, false), "."+d.Zone)
	}
	if d.TTL == 0 {
		d.TTL = DefaultTTL
	}
	d.IPs = c.addrs("IPs", d.IPs)
	d.Egress = c.addrs("Egress", d.Egress)
	d.Networks = slices.Clone(d.Networks)
	for _, n := range d.Networks {
		if !n.IsValid() {
			c.add("Networks has an invalid network")
		}
	}
	d.Hostname = c.name("Hostname", d.Hostname, hostName, false)
	if d.Hostname == "" && d.Zone != "" {
		d.Hostname = "mail." + d.Zone
	}
	d.PolicyHost = c.name("PolicyHost", d.PolicyHost, hostName, false)
	d.Autoconfig = c.name("Autoconfig", d.Autoconfig, hostName, false)
	c.lists(&d)
	if d.DMARC == "" {
		d.DMARC = DefaultDMARC
	}
	c.text("SPF", d.SPF)
	c.text("DMARC", d.DMARC)
	c.text("MTASTS", d.MTASTS)
	d.TLSRPT = slices.Clone(d.TLSRPT)
	for _, s := range d.TLSRPT {
		c.text("TLSRPT", s)
	}
	d.Vars = maps.Clone(d.Vars)
	for _, name := range slices.Sorted(maps.Keys(d.Vars)) {
		c.text("Vars "+name, d.Vars[name])
	}
	return d, c.problems
}

// A dataCheck collects what is wrong with Data.
type dataCheck struct{ problems Problems }

// lists checks the structs in lists.
func (c *dataCheck) lists(d *Data) {
	d.MX = slices.Clone(d.MX)
	for i := range d.MX {
		d.MX[i].Host = c.name("MX", d.MX[i].Host, hostName, true)
	}
	if d.SendOnly {
		d.MX = nil
	} else if len(d.MX) == 0 {
		d.MX = []Exchanger{{d.Hostname, 10}}
	}
	d.Relays = slices.Clone(d.Relays)
	for i, r := range d.Relays {
		if !isAddr(strings.Trim(r.Host, "[]")) {
			d.Relays[i].Host = c.name("Relays", r.Host, hostName, false)
		}
		d.Relays[i].Include = slices.Clone(r.Include)
		for j, name := range r.Include {
			d.Relays[i].Include[j] = c.name("Relays.Include", name, aliasName, true)
		}
	}
	d.HELO = slices.Clone(d.HELO)
	for i, id := range d.HELO {
		d.HELO[i] = Identity{c.name("HELO", id.Name, hostName, true), c.addrs("HELO", id.Addrs)}
	}
	c.hosts(d)
	d.DKIM = slices.Clone(d.DKIM)
	for i, k := range d.DKIM {
		d.DKIM[i].Name = c.name("DKIM.Name", k.Name, aliasName, true)
		d.DKIM[i].Target = c.name("DKIM.Target", k.Target, aliasName, false)
		c.text("DKIM.Text", k.Text)
	}
	d.Services = slices.Clone(d.Services)
	for i, s := range d.Services {
		d.Services[i].Name = c.name("Services.Name", s.Name, aliasName, true)
		if s.Target != "." {
			d.Services[i].Target = c.name("Services.Target", s.Target, hostName, true)
		}
	}
}

func (c *dataCheck) hosts(d *Data) {
	d.Hosts = slices.Clone(d.Hosts)
	for i, h := range d.Hosts {
		d.Hosts[i] = Host{c.name("Hosts", h.Name, hostName, true), c.addrs("Hosts", h.Addrs), slices.Clone(h.SPF)}
		for j, t := range h.SPF {
			d.Hosts[i].SPF[j].Name = c.name("Hosts.SPF", t.Name, aliasName, true)
			c.text("Hosts.SPF", t.Text)
		}
	}
	d.Hosts = d.hosts()
}

func (c *dataCheck) add(format string, args ...any) {
	c.problems = append(c.problems, Problem{Rule: RuleData, Text: fmt.Sprintf(format, args...)})
}

func (c *dataCheck) name(what, name string, kind nameKind, required bool) string {
	if name == "" {
		if required {
			c.add("%s is empty", what)
		}
		return ""
	}
	name = strings.TrimSuffix(name, ".")
	if !ascii(name) {
		if a, ok := toASCII(name); ok {
			name = a
		}
	}
	if text, _ := nameProblem(name, kind); text != "" {
		c.add("%s: %s", what, text)
	}
	return strings.ToLower(name)
}

func (c *dataCheck) addrs(what string, list []netip.Addr) []netip.Addr {
	plain := make([]netip.Addr, len(list))
	for i, a := range list {
		if !a.IsValid() || a.Zone() != "" {
			c.add("%s has an address that DNS cannot have: %s", what, a)
		}
		plain[i] = a.Unmap()
	}
	return plain
}

// text refuses a value that could begin a line, or that no text has.
func (c *dataCheck) text(what, s string) {
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		c.add("%s has a control character: %q", what, s[i])
	}
}
