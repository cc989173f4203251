package dnstmpl_test

import (
	"fmt"
	"net/netip"

	"github.com/panelmail/panelmail/dnstmpl"
)

func ExampleTemplate_Render() {
	tmpl, err := dnstmpl.Parse("mail.tmpl", `
{{- $name := fqdn .Subdomain .Zone -}}
{{$name}} {{.TTL}} IN MX 10 mail.{{.Zone}}.
{{$name}} {{.TTL}} IN TXT {{txt "v=spf1 mx include:relay.mailchannels.net -all"}}
{{range .IPs}}mail.{{$.Zone}}. {{$.TTL}} IN {{rrtype .}} {{.}}
{{end}}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	zone, err := tmpl.Render(dnstmpl.Data{
		Zone: "example.com", Subdomain: "shop", TTL: 3600,
		IPs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
	})
	if err != nil {
		fmt.Println(err) // every problem with file, line and column
		return
	}
	fmt.Print(zone)
	// Output:
	// shop.example.com. 3600 IN MX 10 mail.example.com.
	// shop.example.com. 3600 IN TXT "v=spf1 mx include:relay.mailchannels.net -all"
	// mail.example.com. 3600 IN A 192.0.2.1
	// mail.example.com. 3600 IN AAAA 2001:db8::1
}

func ExampleTemplate_Render_problems() {
	tmpl, err := dnstmpl.Parse("mail.tmpl", `{{.Zone}}. {{.TTL}} IN MX 10 mail.{{.Zone}}
_dmarc.{{.Zone}}. {{.TTL}} IN TXT v=DMARC1; p=none
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = tmpl.Render(dnstmpl.Data{Zone: "example.com"})
	fmt.Println(err)
	// Output:
	// mail.tmpl:1:44: the name "mail.example.com" has no final dot; write mail.example.com.
	// mail.tmpl:2:43: the semicolon begins a comment: the rest of the line would be lost; write text in quotes, or a blank in front of a comment
}

func ExampleZone_Diff() {
	wanted, err := dnstmpl.ParseZone("wanted", "example.com", `example.com. 3600 IN MX 10 mail.example.com.
example.com. 3600 IN TXT "v=spf1 ip4:192.0.2.1 -all"
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	published, err := dnstmpl.ParseZone("published", "example.com", `example.com. 3600 IN TXT "v=spf1 include:_spf.newsletter.example ~all"
example.com. 3600 IN TXT "site-verification=1"
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, change := range wanted.Diff(published) {
		fmt.Println(change)
	}
	// Output:
	// + example.com. 3600 IN MX 10 mail.example.com.
	// - example.com. 3600 IN TXT "v=spf1 include:_spf.newsletter.example ~all"
	// + example.com. 3600 IN TXT "v=spf1 include:_spf.newsletter.example ip4:192.0.2.1 ~all"
}
