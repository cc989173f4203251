package dnstmpl

import (
	"net/netip"
	"slices"
	"sync"
)

// defaultText is the template of [Default].
const defaultText = `
{{- /* who takes the mail of the domain */ -}}
{{$domain := fqdn .Domain}}{{$ttl := .TTL -}}
{{range .MX}}{{$domain}} {{$ttl}} IN MX {{.Preference}} {{fqdn .Host}}
{{end -}}

{{- /* where its mail comes from */ -}}
{{range .SPFRecords}}{{fqdn .Name}} {{$ttl}} IN TXT {{txt .Text}}
{{end -}}
{{range .DKIM}}{{fqdn .Name}} {{$ttl}} IN {{if .Target}}CNAME {{fqdn .Target}}{{else}}TXT {{txt .Text}}{{end}}
{{end -}}
{{if ne .DMARC "none"}}{{fqdn "_dmarc" $domain}} {{$ttl}} IN TXT {{txt .DMARC}}
{{end -}}

{{- /* TLS on the way to its mail exchangers */ -}}
{{if .MX}}{{if .MTASTS}}{{fqdn "_mta-sts" $domain}} {{$ttl}} IN TXT {{txt "v=STSv1; id=" .MTASTS}}
{{$policy := fqdn "mta-sts" $domain}}{{if and .PolicyHost (ne (fqdn .PolicyHost) $policy)}}{{$policy}} {{$ttl}} IN CNAME {{fqdn .PolicyHost}}
{{end}}{{end -}}
{{if .TLSRPT}}{{fqdn "_smtp._tls" $domain}} {{$ttl}} IN TXT {{txt "v=TLSRPTv1; rua=" (join "," .TLSRPT)}}
{{end}}{{end -}}

{{- /* for mail programs */ -}}
{{range .Services}}{{fqdn .Name $domain}} {{$ttl}} IN SRV {{.Priority}} {{.Weight}} {{.Port}} {{if eq .Target "."}}.{{else}}{{fqdn .Target}}{{end}}
{{end -}}
{{if .Autoconfig}}{{$host := fqdn .Autoconfig -}}
{{range list "autoconfig" "autodiscover"}}{{$name := fqdn . $domain}}{{if ne $name $host}}{{$name}} {{$ttl}} IN CNAME {{$host}}
{{end}}{{end -}}
{{fqdn "_autodiscover._tcp" $domain}} {{$ttl}} IN SRV 0 0 443 {{$host}}
{{end -}}

{{- /* the hosts of all this that are in the zone */ -}}
{{range $host := .Hosts}}{{range .Addrs}}{{fqdn $host.Name}} {{$ttl}} IN {{rrtype .}} {{.}}
{{end}}{{range .SPF}}{{fqdn .Name}} {{$ttl}} IN TXT {{txt .Text}}
{{end}}{{end -}}
`

// Default is the template for mail domains that need nothing of their own. For the
// domain it makes MX, SPF ([Data.SPFRecords]), DKIM for all keys of the data, DMARC,
// MTA-STS and TLS-RPT; SRV and autoconfig records if the data has services and a host
// for them; and addresses and SPF records for the hosts of the mail system in the zone. A
// policy or autoconfig host that has the very name which would lead to it gets no alias.
func Default() *Template { return parsedDefault() }

var parsedDefault = sync.OnceValue(func() *Template {
	t, err := Parse("default", defaultText)
	if err != nil {
		panic(err) // the text above is wrong
	}
	return t
})

// hosts are those of Hosts that have records in the zone. The apex and the mail domain
// itself have other ones: their addresses are those of a web site.
func (d Data) hosts() []Host {
	hosts := d.Hosts
	if hosts == nil {
		hosts = d.greeters()
	}
	return slices.DeleteFunc(hosts, func(h Host) bool {
		return h.Name == d.Zone || h.Name == d.Domain() || !within(h.Name, d.Zone) || len(h.Addrs)+len(h.SPF) == 0
	})
}

// greeters are the names of HELO, and Hostname with the addresses of IPs.
func (d Data) greeters() []Host {
	var hosts []Host
	for _, id := range append(slices.Clone(d.HELO), Identity{d.Hostname, d.IPs}) {
		i := slices.IndexFunc(hosts, func(h Host) bool { return h.Name == id.Name })
		if i < 0 {
			i, hosts = len(hosts), append(hosts, Host{Name: id.Name})
		}
		hosts[i].Addrs = append(hosts[i].Addrs, id.Addrs...)
	}
	for i := range hosts {
		h := &hosts[i]
		slices.SortFunc(h.Addrs, netip.Addr.Compare)
		h.Addrs = slices.Compact(h.Addrs)
		if i < len(d.HELO) && len(h.Addrs) > 0 {
			h.SPF = []Text{{h.Name, "v=spf1 a -all"}}
		}
	}
	return hosts
}
