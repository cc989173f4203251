package dnstmpl_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dnstmpl"
)

// apiscp is the mail template that ApisCP's records come from, without the
// MailChannels include.
const apiscp = `{{--
        What this makes is listed in the manual.

        Notes:
                - $ips are the addresses of the mail server
                - no line may begin with a blank
--}}
{!! ltrim(implode('.', [$subdomain, $zone]), '.') !!}. {!! $ttl !!} IN MX 10 mail.{{ $zone }}.
{!! ltrim(implode('.', [$subdomain, $zone]), '.') !!}. {!! $ttl !!} IN MX 20 mail.{{ $zone }}.
{!! ltrim(implode('.', [$subdomain, $zone]), '.') !!}. {!! $ttl !!} IN TXT "v=spf1 a mx ?all"
@foreach($ips as $ip)
@php $rr = false === strpos($ip, ':') ? 'A' : 'AAAA'; @endphp
@foreach(['mail','horde','roundcube'] as $mailsub)
{!! ltrim(implode('.', [$mailsub, $zone]), '.') !!}. {!! $ttl !!} IN {!! $rr !!} {!! $ip !!}
@endforeach
@endforeach
`

func TestTheMailTemplateOfApisCPMakesItsRecords(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	mailchannels := strings.Replace(apiscp, "mx ?all", "mx include:relay.mailchannels.net ?all", 1)
	for name, c := range map[string]struct {
		template  string
		subdomain string
		ips       []netip.Addr
		ttl       uint32
		spf       string
	}{
		"default":                       {apiscp, "", []netip.Addr{four}, 0, "v=spf1 a mx ?all"},
		"default, two families":         {apiscp, "", []netip.Addr{four, six}, 3600, "v=spf1 a mx ?all"},
		"default, subdomain":            {apiscp, "shop", []netip.Addr{six}, 300, "v=spf1 a mx ?all"},
		"default, no address":           {apiscp, "", nil, 0, "v=spf1 a mx ?all"},
		"MailChannels":                  {mailchannels, "", []netip.Addr{four, six}, 0, "v=spf1 a mx include:relay.mailchannels.net ?all"},
		"MailChannels, subdomain":       {mailchannels, "a.b", []netip.Addr{six, four}, 60, "v=spf1 a mx include:relay.mailchannels.net ?all"},
		"with the line ends of Windows": {strings.ReplaceAll(apiscp, "\n", "\r\n"), "shop", []netip.Addr{four}, 60, "v=spf1 a mx ?all"},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := dnstmpl.ParseBlade("email.blade.php", c.template)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tmpl.Render(dnstmpl.Data{Zone: "example.com", Subdomain: c.subdomain, TTL: c.ttl, IPs: c.ips})
			if err != nil {
				t.Fatal(err)
			}
			owner, ttl := "example.com.", c.ttl
			if c.subdomain != "" {
				owner = c.subdomain + "." + owner
			}
			if ttl == 0 {
				ttl = 43200
			}
			want := dnstmpl.Zone{Name: "example.com.", Records: []dnstmpl.Record{
				{Name: owner, TTL: ttl, Value: dnstmpl.MX{Preference: 10, Host: "mail.example.com."}},
				{Name: owner, TTL: ttl, Value: dnstmpl.MX{Preference: 20, Host: "mail.example.com."}},
				{Name: owner, TTL: ttl, Value: dnstmpl.TXT{Text: c.spf}},
			}}
			for _, ip := range c.ips {
				var value dnstmpl.Value = dnstmpl.A{Addr: ip}
				if ip.Is6() {
					value = dnstmpl.AAAA{Addr: ip}
				}
				for _, host := range []string{"mail.", "horde.", "roundcube."} {
					want.Records = append(want.Records, dnstmpl.Record{Name: host + "example.com.", TTL: ttl, Value: value})
				}
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNameServersReadWhatABladeTemplateMakes(t *testing.T) {
	mailchannels := strings.Replace(apiscp, "mx ?all", "mx include:relay.mailchannels.net ?all", 1)
	for _, text := range []string{apiscp, mailchannels} {
		tmpl, err := dnstmpl.ParseBlade("email.blade.php", text)
		if err != nil {
			t.Fatal(err)
		}
		for _, subdomain := range []string{"", "shop", "a.b-c.2024"} {
			data := example()
			data.Subdomain = subdomain
			z, err := tmpl.Render(data)
			if err != nil {
				t.Fatal(err)
			}
			judged(t, z)
		}
	}
}

func TestABladeTemplateSeesAllOfTheData(t *testing.T) {
	const text = `@foreach ($mx as $x)
{{ $domain }}. {{ $ttl }} IN MX {{ $x['preference'] }} {{ $x['host'] }}.
@endforeach
{!! $hostname !!}. {{ $ttl }} IN A {{ $egress[0] }}
@foreach ($dkim as ['name' => $name, 'text' => $key, 'target' => $target])
@if ($target !== '')
{{ $name }}. {{ $ttl }} IN CNAME {{ $target }}.
@else
{{ $name }}. {{ $ttl }} IN TXT "{!! $key !!}"
@endif
@endforeach
@if ($svc->getServiceValue('siteinfo', 'plan') === 'basic' && $svc->getServiceValue('a', 'b', 'c') === 'c')
{{ $support }}. {{ $ttl }} IN CNAME {{ $relays[0]['include'][0] }}.
@endif
@foreach ($spf as ['name' => $name, 'text' => $terms])
{{ $name }}. {{ $ttl }} IN TXT "{!! $terms !!}"
@endforeach
@foreach ($services as $s)
{!! "{$s['name']}.$domain. $ttl IN SRV {$s['priority']} {$s['weight']} {$s['port']} {$s['target']}." !!}
@endforeach
`
	tmpl, err := dnstmpl.ParseBlade("all.blade.php", text)
	if err != nil {
		t.Fatal(err)
	}
	zone, err := tmpl.Render(dnstmpl.Data{
		Zone: "example.com", TTL: 60, Hostname: "mx.example.com",
		MX:       []dnstmpl.Exchanger{{Host: "mx.example.com", Preference: 5}},
		Egress:   []netip.Addr{netip.MustParseAddr("192.0.2.9")},
		Relays:   []dnstmpl.Relay{{Host: "smtp.relay.test", Include: []string{"spf.relay.test"}}},
		DKIM:     []dnstmpl.DKIM{{Name: "s1._domainkey.example.com", Text: "v=DKIM1; p=QUJD"}, {Name: "s2._domainkey.example.com", Target: "s2.keys.test"}},
		Services: []dnstmpl.Service{{Name: "_submissions._tcp", Port: 465, Target: "mx.example.com"}},
		Vars:     map[string]string{"siteinfo.plan": "basic", "support": "help.example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `example.com. 60 IN MX 5 mx.example.com.
mx.example.com. 60 IN A 192.0.2.9
s1._domainkey.example.com. 60 IN TXT "v=DKIM1; p=QUJD"
s2._domainkey.example.com. 60 IN CNAME s2.keys.test.
help.example.com. 60 IN CNAME spf.relay.test.
example.com. 60 IN TXT "v=spf1 ip4:192.0.2.9 include:spf.relay.test ~all"
_submissions._tcp.example.com. 60 IN SRV 0 0 465 mx.example.com.
`
	if diff := cmp.Diff(want, zone.String()); diff != "" {
		t.Error(diff)
	}
}

func TestABladeProblemNamesFileLineAndColumnAndWhatToWrite(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want dnstmpl.Problem
	}{
		"in the template": {"example.com. 60 IN A {{ $ips[0] }}\n@if($ttl > 1)\n", dnstmpl.Problem{
			File: "t.blade.php", Line: 2, Column: 1, Rule: dnstmpl.RuleSyntax, Text: "@if is not closed", Fix: "@endif",
		}},
		"in an expression": {"\n{!! $ttl !!} {!! system('id') !!}\n", dnstmpl.Problem{
			File: "t.blade.php", Line: 2, Column: 18, Rule: dnstmpl.RuleSyntax, Text: "system() is not one of the functions that a template may call",
		}},
		"while it renders": {"{{-- é --}}\n@foreach($ips as $ip)\né{{ $ipp }}\n@endforeach\n", dnstmpl.Problem{
			File: "t.blade.php", Line: 3, Column: 6, Rule: dnstmpl.RuleSyntax, Text: "there is no variable $ipp",
		}},
		"in a record": {"@foreach($ips as $ip)\n\nexample.com. 60 IN MX 10 mail.{{ $zone }}\n@endforeach\n", dnstmpl.Problem{
			File: "t.blade.php", Line: 3, Column: 42, Rule: dnstmpl.RuleFinalDot, Text: `the name "mail.example.com" has no final dot`,
			Fix: "mail.example.com.", Record: "example.com. 60 IN MX 10 mail.example.com",
		}},
		"in what an echo wrote": {"\n\n  {!! \"\\nexample.com. 60 IN A 192.0.2.1\\nexample.com. IN\" !!}\n", dnstmpl.Problem{
			File: "t.blade.php", Line: 3, Column: 3, Rule: dnstmpl.RuleMissing, Text: "the TTL is missing",
			Fix: "example.com. 3600 IN", Record: "example.com. IN",
		}},
		"over a limit": {"@foreach(range(1, 10000) as $a)\n@foreach(range(1, 10000) as $b)\n@endforeach\n@endforeach", dnstmpl.Problem{
			File: "t.blade.php", Line: 2, Column: 1, Rule: dnstmpl.RuleLimit, Text: "the template takes more than 200000 steps",
		}},
		"over the size": {"@foreach(range(1, 10000) as $a)\n{!! str_repeat('x', 200) !!}\n@endforeach", dnstmpl.Problem{
			File: "t.blade.php", Line: 2, Column: 1, Rule: dnstmpl.RuleLimit, Text: "the template writes more than 1048576 octets",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := dnstmpl.ParseBlade("t.blade.php", c.text)
			if err == nil {
				_, err = tmpl.Render(example())
			}
			var got dnstmpl.Problem
			if !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
