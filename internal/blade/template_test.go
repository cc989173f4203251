package blade_test

import (
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/blade"
)

// render gives all that a template writes.
func render(text string, vars map[string]any) (string, error) {
	t, err := blade.Parse(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = t.Render(vars, func(w blade.Written) error {
		out.WriteString(w.Text)
		return nil
	})
	return out.String(), err
}

// rendered are templates with what Laravel 12 writes for them, with the variables
// of judgeVars.
var rendered = []struct{ name, text, want string }{
	{"an echo keeps its line end", "a {{ $zone }}\n{!! $ttl !!}\r\nb", "a example.com\n43200\r\nb"},
	{"a directive eats its line end", "a\n@if(true)\nb\n@endif\nc", "a\nb\nc"},
	{"a directive eats the line end of Windows", "a\r\n@if(true)\r\nb\r\n@endif\r\nc", "a\r\nb\r\nc"},
	{"a directive eats one line end", "@if(true)\n\nb\n@endif\n\nc", "\nb\n\nc"},
	{"a directive eats no blanks", "  @if(true) \n  b\n  @endif  \nc", "   \n  b\n    \nc"},
	{"statements eat their line end", "a\n@php $x = 1; @endphp\n{{ $x }}", "a\n1"},
	{"a comment leaves its line end", "a\n{{-- {{ $x }} @if( \n --}}\nb", "a\n\nb"},
	{"a comment hides no line end", "@if(true){{-- a --}}{{-- b --}}\nb @endif", "b "},
	{"what is echoed is escaped", `{{ "<a href='x'>&amp;" }} {{{ '"' }}} {!! '<>"&' !!}`, `&lt;a href=&#039;x&#039;&gt;&amp;amp; &quot; <>"&`},
	{"a semicolon in an echo", "{{ $zone; }}{!! $ttl ; !!}", "example.com43200"},
	{"an echo over lines", "{{\n  $zone\n}}\nb", "example.com\nb"},
	{"null and false are nothing, true is 1", "({!! null !!}{!! false !!}{!! true !!})", "(1)"},
	{"an echo with @ is text", "@{{ $x }} @{!! $x !!}\n@{{ a }}", "{{ $x }} {!! $x !!}\n{{ a }}"},
	{"a directive with @@ is text", "@@if @@foreach($x) @@nothing", "@if @foreach($x) @nothing"},
	{"an address is no directive", "hostmaster@if.example me@foreach @", "hostmaster@if.example me@foreach @"},
	{"what is no directive is text", "@ 60 IN A\n@nothing @nothing(1)", "@ 60 IN A\n@nothing @nothing(1)"},
	{"directives in any case", "@IF(true)a @EndIf", "a "},
	{"blanks before parentheses", "@if   (true).@endif", "."},
	{"parentheses in strings", "@if(strpos($zone, ')') === false)- @endif @if(in_array(\"(\", ['(']))+ @endif", "-  + "},
	{"no more than one branch", "@if($subdomain)a @elseif($ttl > 1)b @elseif(true)c @else d @endif", "b "},
	{"the last branch", "@if($subdomain)a @elseif($f)b @else\nd\n@endif\n", "d\n"},
	{"unless", "@unless($subdomain)a @else b @endunless", "a "},
	{"isset", "@isset($zone)a @endisset @isset($zone, $none)b @endisset @isset($a['z'])c @else d @endisset", "a    d "},
	{"empty", "@empty($subdomain)a @endempty @empty($zone)b @endempty @empty($none['x'])c @endempty", "a   c "},
	{"a loop", "@foreach($ips as $ip)\n{{ $ip }}\n@endforeach\n.", "192.0.2.1\n2001:db8::1\n."},
	{"a loop with keys", "@foreach(['a' => 1, 5 => 2, 3] as $k => $v){{ $k }}={{ $v }} @endforeach", "a=1 5=2 6=3 "},
	{"a loop over lists", "@foreach([['mx1', 10], ['mx2', 20]] as [$host, $pref]){{ $pref }} {{ $host }},@endforeach", "10 mx1,20 mx2,"},
	{"a loop over maps", "@foreach([['h' => 'mx1', 'p' => [1, 2]]] as ['p' => [$a, $b], 'h' => $h]){{ $a }}{{ $b }}{{ $h }}@endforeach", "12mx1"},
	{"loops in loops", "@foreach([1, 2] as $a)@foreach(['x', 'y'] as $b){{ $a . $b }} @endforeach;@endforeach", "1x 1y ;2x 2y ;"},
	{"a variable stays after its loop", "@foreach([1, 2] as $a)@endforeach{{ $a }}", "2"},
	{"a loop goes over what there was", "@php $l = [1, 2]; @endphp\n@foreach($l as $a)@php $l[] = $a; @endphp @endforeach{{ count($l) }}", "  4"},
	{"$loop", "@foreach(['a', 'b', 'c'] as $x){{ $loop->index }}{{ $loop->iteration }}{{ $loop->remaining }}{{ $loop->count }}{{ $loop->first }}{{ $loop->last }}{{ $loop->even }}{{ $loop->odd }}{{ $loop->depth }} @endforeach", "0123111 121311 2303111 "},
	{"$loop in a loop", "@foreach([1, 2] as $x)@foreach([1] as $y){{ $loop->parent->iteration }}{{ $loop->depth }} @endforeach{{ $loop->depth }} @endforeach{{ $loop === null }}", "12 1 22 1 1"},
	{"nothing to go over", "@forelse([] as $x)a @empty\nb\n@endforelse @forelse([1] as $x)\nc\n@empty d @endforelse", "b\n c\n"},
	{"break and continue", "@foreach(range(1, 9) as $x)@continue($x % 2)@break($x > 6){{ $x }}@if($x == 4)@continue @endif,@endforeach", "2,46,"},
	{"break and continue without a condition", "@foreach([1, 2] as $x)@foreach([1, 2] as $y){{ $y }}@break @endforeach @continue x @endforeach", "1 1 "},
	{"statements over lines", "@php\n  $a = 'x'; // one\n  # two\n  $b = [$a, /* three */ 'y'];\n@endphp\n{{ implode(',', $b) }}", "x,y"},
	{"statements with blocks", "@php\nforeach ($ips as $i => $ip) {\n if (strpos($ip, ':') === false) { $v4[] = $ip; continue; } elseif ($i > 5) break; else { $v6[] = $ip; }\n}\n@endphp\n{{ count($v4) }}{{ $v6[0] }}", "12001:db8::1"},
	{"statements echo without escaping", "@php echo '<', $ttl, \">\\n\"; @endphp\nx", "<43200>\nx"},
	{"one statement in parentheses", "@php($x = strlen($zone))\n{{ $x }}", "11"},
	{"parentheses that begin statements", "@php ($x = 1); $y = 2; @endphp\n{{ $x + $y }}", "3"},
	{"verbatim text", "@verbatim\n{{ $x }} @if @{{\n@endverbatim\nx", "\n{{ $x }} @if @{{\n\nx"},
	{"an array is copied when it is assigned", "@php $x = [1, [2]]; $y = $x; $y[1][] = 3; $x['k']['l'] = 4; @endphp\n{{ count($y[1]) }}{{ count($x) }}{{ $x['k']['l'] }}", "234"},
	{"assignments with operators", "@php $i = 5; $i += 2; $i *= 3; $i -= 1; $i /= 4; $i **= 2; $i %= 7; $s = 'a'; $s .= 'b'; $n ??= 'c'; $q ??= 'd'; @endphp\n{{ $i }}{{ $s }}{{ $n }}{{ $q }}", "4abcd"},
	{"an assignment is an expression", "{{ $x = 5 }}{{ $x }}@if(($y = strpos($zone, '.')) !== false){{ $y }}@endif", "557"},
	{"counting", "@php $i = 1; $a = $i++ . $i . ++$i . $i-- . --$i; $u['x'] = 1; $u['x']++; @endphp\n{{ $a }}{{ $u['x'] }}", "1233" + "12"},
	{"strings are filled in", `{!! "a $zone $a[x] {$a['y']} $ips[0] {$ips[1]} \$zone {zone} $ 1 \x41\u{e9}\101 \q \\ \"" !!}`, "a example.com 1 2 192.0.2.1 2001:db8::1 $zone {zone} $ 1 A\u00e9A \\q \\ \""},
	{"a string with single quotes", `{!! 'a\'b\\c\n$zone' !!}`, `a'b\c\n$zone`},
}

func TestTemplatesComeToWhatLaravelMakesOfThem(t *testing.T) {
	for _, c := range rendered {
		t.Run(c.name, func(t *testing.T) {
			got, err := render(c.text, judgeVars())
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("%s\n is  %q\n not %q", c.text, got, c.want)
			}
		})
	}
}
