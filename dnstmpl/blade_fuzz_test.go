package dnstmpl_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/panelmail/panelmail/dnstmpl"
)

// hostileBlade are templates that want something of the machine that renders them.
var hostileBlade = []string{
	apiscp,
	"@if($ttl > 1 && $subdomain !== '')\n{{ $zone }}. {{ $ttl }} IN A {{ $ips[0] ?? '192.0.2.1' }}\n@else\n@{{ x }} @@if\n@endif",
	"@forelse($ips as $i => $ip)\n@continue($i > 1)\n{!! \"{$zone}. $ttl IN TXT \\\"a\\\"\" !!}\n@empty\n@verbatim {{ @endverbatim\n@endforelse",
	"@php foreach ([['a', 1], ['b', 2]] as [$x, $y]) { $s[$x][] = sprintf('%05d', $y ** 2 % 7); } @endphp\n{{ implode(' ', $s['b']) }}",
	"{{ array_map(fn($x) => strtoupper($x), explode('.', $zone))[0] . -1 . 1e3 . str_repeat('a', 3) }}{{-- c --}}",
	"@php($x ??= range(1, 9))\n@unless(isset($x[3]))@endunless @empty($y)@endempty {{ $svc->getServiceValue('a', 'b', 'c') }}",
	"{{ file_get_contents('/etc/passwd') }}", "{{ `id` }}", "@include('/etc/passwd')", "<?php readfile('/etc/passwd');", "@php include '/etc/passwd'; @endphp",
	"{{ array_map('system', ['id']) }}", "{{ array_filter(['id'], fn($x) => exec($x)) }}", "{!! \"\\n\\$INCLUDE /etc/passwd\" !!}", "{!! '$GENERATE 1-65535 $' !!}\n(\n",
	"@foreach(range(1, 10000) as $a) @foreach(range(1, 10000) as $b) {!! str_repeat($zone, 5000) !!} @endforeach @endforeach",
}

// FuzzParseBlade looks for templates that crash, that run on, or of which neither
// records come nor problems with a line.
func FuzzParseBlade(f *testing.F) {
	for _, text := range hostileBlade {
		f.Add(text, "shop", "v=DKIM1; p=QUJD")
	}
	f.Fuzz(func(t *testing.T, text, subdomain, variable string) {
		data := dnstmpl.Data{
			Zone: "example.com", Subdomain: subdomain, TTL: 3600,
			IPs:  []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
			Vars: map[string]string{"v": variable},
		}
		hangs := time.AfterFunc(20*time.Second, func() { panic(fmt.Sprintf("%q does not end", text)) })
		defer hangs.Stop()
		tmpl, err := dnstmpl.ParseBlade("fuzz", text)
		var zone dnstmpl.Zone
		if err == nil {
			zone, err = tmpl.Render(data)
		}
		if err != nil {
			checkProblems(t, err)
			return
		}
		understood(t, zone)
	})
}

// checkProblems checks that an error says what is wrong, and where if it is not
// the data.
func checkProblems(t *testing.T, err error) {
	t.Helper()
	var problems dnstmpl.Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("not Problems: %v", err)
	}
	for _, p := range problems {
		if p.File == "" || p.Text == "" || p.Line == 0 && p.Rule != dnstmpl.RuleData {
			t.Errorf("a problem without its place: %+v", p)
		}
	}
}
