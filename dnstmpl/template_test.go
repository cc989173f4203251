package dnstmpl_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
)

// hosting is the set of records that a hosting panel makes for a mail domain.
const hosting = `{{/* the mail hosts are below the zone, wherever the mail domain is */ -}}
{{$name := fqdn .Subdomain .Zone -}}
{{$name}} {{.TTL}} IN MX 10 mail.{{.Zone}}.
{{$name}} {{.TTL}} IN MX 20 mail.{{.Zone}}.
{{$name}} {{.TTL}} IN TXT {{txt "v=spf1 a mx include:" "relay.provider.test" " ?all"}}
{{range $ip := .IPs}}{{range list "mail" "webmail"}}{{fqdn . $.Zone}} {{$.TTL}} IN {{rrtype $ip}} {{$ip}}
{{end}}{{end}}`

func example() dnstmpl.Data {
	return dnstmpl.Data{
		Zone: "example.com", Subdomain: "", TTL: 3600,
		IPs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
	}
}

func TestATemplateMakesTypedRecords(t *testing.T) {
	tmpl, err := dnstmpl.Parse("hosting.tmpl", hosting)
	if err != nil {
		t.Fatal(err)
	}
	data := example()
	data.Subdomain = "shop"
	zone, err := tmpl.Render(data)
	if err != nil {
		t.Fatal(err)
	}
	four, six := dnstmpl.A{Addr: data.IPs[0]}, dnstmpl.AAAA{Addr: data.IPs[1]}
	want := dnstmpl.Zone{Name: "example.com.", Records: []dnstmpl.Record{
		{Name: "shop.example.com.", TTL: 3600, Value: dnstmpl.MX{Preference: 10, Host: "mail.example.com."}},
		{Name: "shop.example.com.", TTL: 3600, Value: dnstmpl.MX{Preference: 20, Host: "mail.example.com."}},
		{Name: "shop.example.com.", TTL: 3600, Value: dnstmpl.TXT{Text: "v=spf1 a mx include:relay.provider.test ?all"}},
		{Name: "mail.example.com.", TTL: 3600, Value: four},
		{Name: "webmail.example.com.", TTL: 3600, Value: four},
		{Name: "mail.example.com.", TTL: 3600, Value: six},
		{Name: "webmail.example.com.", TTL: 3600, Value: six},
	}}
	if diff := cmp.Diff(want, zone, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestAProblemNamesFileLineAndColumnOfTheTemplate(t *testing.T) {
	tmpl, err := dnstmpl.Parse("mail.tmpl", "{{range .IPs}}{{end -}}\n\n; hosts\n{{.Zone}}. {{.TTL}} IN MX 10 mail.{{.Zone}}\n")
	if err != nil {
		t.Fatal(err)
	}
	_, err = tmpl.Render(example())
	var got dnstmpl.Problem
	if !errors.As(err, &got) {
		t.Fatalf("got %v", err)
	}
	want := dnstmpl.Problem{
		File: "mail.tmpl", Line: 4, Column: 44, Rule: dnstmpl.RuleFinalDot,
		Text: `the name "mail.example.com" has no final dot`, Fix: "mail.example.com.",
		Record: "example.com. 3600 IN MX 10 mail.example.com",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
