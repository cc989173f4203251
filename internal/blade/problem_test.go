package blade_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/blade"
)

func TestAnErrorSaysWhereAndWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"a\n {{-- b":                             "2:2: a comment is not closed; write --}}",
		"{{ $zone }":                             "1:1: {{ is not closed; write }}",
		"é{!! $zone }}":                          "1:3: {!! is not closed; write !!}",
		"{{{ $zone }}":                           "1:1: {{{ is not closed; write }}}",
		"@{{ $zone }":                            "1:2: {{ is not closed; write }}",
		"{{ }}":                                  "1:1: an echo without an expression; write a variable in it",
		"{{ '}}' }}":                             "1:4: a string is not closed; write '",
		"{{ $zone $ttl }}":                       "1:10: $ttl is not expected here; write an operator before it",
		"{{ $zone or 'x' }}":                     "1:10: or is not clear in an echo; write ?? for a default, || for a condition",
		"{{ zone }}":                             "1:4: zone is not a constant; write $zone for a variable or 'zone' for a string",
		"{{ 'a' + }}":                            "1:9: the end is not expected here; write a value",
		"{{ $a['x' }}":                           "1:10: the end is not expected here; write ]",
		"{{ (1 }}":                               "1:6: the end is not expected here; write )",
		"{{ [1; 2] }}":                           "1:6: ; is not expected here; write , or ]",
		"{{ 08 }}":                               "1:4: 08 is not a number",
		"{{ 1e999 }}":                            "1:4: 1e999 is not a number that fits",
		"{{ $a[] }}":                             "1:6: [] has no value; write a key between the brackets",
		"{{ 1 == 1 == 1 }}":                      "1:11: == is not expected here; write parentheses around what is compared first",
		"{{ 1 ? 2 : 3 ? 4 : 5 }}":                "1:14: ? behind ? is not clear; write parentheses around one of them",
		"{{ 'a' = 'b' }}":                        "1:8: = is not expected here; write a variable before it, or === to compare",
		"{{ strlen() }}":                         "1:4: strlen() takes 1 argument, not 0",
		"{{ substr('a') }}":                      "1:4: substr() takes 2 to 3 arguments, not 1",
		"{{ max() }}":                            "1:4: max() takes at least 1, not 0",
		"{{ file_get_contents('/etc/passwd') }}": "1:4: file_get_contents() is not one of the functions that a template may call",
		"{{ $zone() }}":                          "1:9: ( is not expected here; write the name of a function before it",
		"{{ include 'x' }}":                      "1:4: include is not supported: a template only computes text",
		"{{ new X }}":                            "1:4: classes are not supported",
		"{{ X::y() }}":                           "1:4: X is not a constant; write $X for a variable or 'X' for a string",
		"{{ @$zone }}":                           "1:4: @ before an expression is not supported; write ?? for what may be missing",
		"{{ `id` }}":                             "1:4: '`' has no meaning in an expression",
		"{{ $a?->b }}":                           "1:6: ?-> is not supported; write ->",
		"{{ 1 << 2 }}":                           "1:6: bits are not shifted here: << is not supported",
		"{{ function() {} }}":                    "1:4: function is not supported; write fn($x) => …",
		"{{ \"${zone}\" }}":                      "1:5: ${ in a string is not supported; write {$",
		"{{ \"{$zone\" }}":                       "1:5: {$ in a string is not closed; write }",
		"{{ \"$a[x\" }}":                         "1:7: [ in a string is not closed; write ]",
		"{{ \"$a['x']\" }}":                      "1:8: a key in a string has no quotes; write {$name['key']}",
		"{{ \"\\u{zz}\" }}":                      `1:5: \u{ is not followed by the number of a character and }`,
		"{{ isset('x') }}":                       "1:10: isset() takes a variable; write … !== null",
		"{{ <<<X }}":                             "1:4: <<< strings are not supported; write quotes",

		"@if(true)\na":                    "1:1: @if is not closed; write @endif",
		"@foreach($ips as $ip)\na":        "1:1: @foreach is not closed; write @endforeach",
		"@forelse($ips as $ip)\na":        "1:1: @forelse is not closed; write @empty",
		"a @endif":                        "1:3: @endif without @if before it",
		"a @else":                         "1:3: @else without @if before it",
		"a @endphp":                       "1:3: @endphp without @php before it",
		"@if true":                        "1:1: @if needs parentheses behind it",
		"@if(true) @else (x) @endif":      "1:11: @else takes nothing in parentheses",
		"@if('a)'":                        "1:4: the parenthesis behind @if is not closed",
		"@if() @endif":                    "1:5: an expression is missing",
		"@foreach($ips) @endforeach":      "1:14: the end is not expected here; write as and a variable",
		"@foreach($ips as 5) @endforeach": "1:18: 5 is not expected here; write a variable",
		"@break":                          "1:1: @break outside of a loop",
		"@foreach($ips as $i) @break(2) @endforeach": "1:29: @break leaves one loop at a time; write a condition or nothing",
		"@php $x = 1;":                         "1:1: @php is not closed; write @endphp",
		"@php $x = 1 $y = 2; @endphp":          "1:13: $y is not expected here; write ; before it",
		"@php foreach ($ips as $ip) { @endphp": "1:30: the end is not expected here; write }",
		"@php if (true): @endphp":              "1:15: : is not expected here; write {",
		"@php while (true) { } @endphp":        "1:6: while is not supported; write foreach (range(1, 3) as $i)",
		"@php $x = &$y; @endphp":               "1:11: references are not supported",
		"@verbatim x":                          "1:1: @verbatim is not closed; write @endverbatim",
		"@for($i = 0; $i < 3; $i++)":           "1:1: @for is not supported; write @foreach(range(1, 3) as $i)",
		"@include('x')":                        "1:1: @include is not supported; write the lines here: a template opens no other file",
		"@switch($x)":                          "1:1: @switch is not supported; write @if, @elseif and @else",
		"@section('x')":                        "1:1: @section is not supported; write @@section to print it",
		"<?php echo 1 ?>":                      "1:1: PHP is not run; write @php … @endphp or {!! … !!}",

		"{{ $none }}":                                   "1:4: there is no variable $none",
		"{{ $a['none'] }}":                              `1:6: there is no entry "none"`,
		"{{ $ips[2] }}":                                 "1:8: there is no entry 2",
		"{{ $zone[99] }}":                               "1:9: there is no entry 99",
		"{{ $zone['x'] }}":                              "1:9: a position in a string is an int",
		"{{ $n['x'] }}":                                 "1:6: null has no entries",
		"{{ $ips }}":                                    "1:4: an array is no string; write implode(' ', …) or @foreach",
		"{{ '5 apples' + 1 }}":                          `1:15: "5 apples" is no number`,
		"{{ 1 / 0 }}":                                   "1:6: a number is divided by zero",
		"{{ $zone->x }}":                                "1:11: a string has no property x",
		"{{ $zone->x() }}":                              "1:11: a string has no method x()",
		"{{ $svc->other() }}":                           "1:10: there is no method other()",
		"{{ $svc->value('a') }}":                        "1:10: no value a",
		"{{ implode('.', $zone) }}":                     "1:4: implode(), argument 2: a string is not an array",
		"{{ sprintf('%d %d', 1) }}":                     "1:4: sprintf(): the format wants 2 values",
		"{{ sprintf('%y', 1) }}":                        "1:4: sprintf(): %y is not a format",
		"{{ array_map('system', ['id']) }}":             `1:4: array_map(), argument 1: "system" is not a function that a template may call with 1 arguments`,
		"{{ array_map(fn($x) => $x . $none, ['id']) }}": "1:29: there is no variable $none",
		"@foreach($zone as $x) @endforeach":             "1:10: a string is not a list to go over",
		"@foreach([1] as [$x]) @endforeach":             "1:17: an int has no parts",
		"{{ count(range(1, 2, 0.25)) }}":                "1:10: range(), argument 3: 0.25 is no whole number",
		"{{ count(range('1.5', 2)) }}":                  "1:10: range(), argument 1: 1.5 is no whole number",
		"{{ count(range(1, 2.5)) }}":                    "1:10: range(), argument 2: 2.5 is no whole number",
		"@php $zone['x'] = 1; @endphp":                  "1:6: a string takes no entries",
	} {
		vars := judgeVars()
		vars["svc"] = blade.Object{"value": func(args []string) (string, error) { return "", errors.New("no value " + args[0]) }}
		_, err := render(text, vars)
		if err == nil {
			t.Errorf("%s: no error, want %s", text, want)
			continue
		}
		if err.Error() != want {
			t.Errorf("%s:\n is  %v\n not %s", text, err, want)
		}
	}
}

func TestNoTemplateKeepsAProcessorOrMemoryBusy(t *testing.T) {
	deep := func(open, inside, closing string, n int) string {
		return strings.Repeat(open, n) + inside + strings.Repeat(closing, n)
	}
	loops := deep("@foreach(range(1, 10000) as $i)\n", "x ", "@endforeach ", 4)
	for name, c := range map[string]struct{ text, want string }{
		"a long template":              {strings.Repeat("a", blade.MaxSource+1), "1:1: a template has 262144 octets at most"},
		"parentheses without an end":   {strings.Repeat("@php( @endphp\n", 15_000), "too many parentheses behind @php are not closed"},
		"parentheses far from an end":  {strings.Repeat("@php( @endphp\n", 15_000) + strings.Repeat(")", 15_000) + "x", "too many parentheses behind @php are not closed"},
		"strings without an end":       {strings.Repeat("@php(' @endphp\n", 15_000), "too many parentheses behind @php are not closed"},
		"loops in loops":               {loops, "the template takes more than 200000 steps"},
		"loops in statements":          {"@php foreach (range(1, 10000) as $a) { foreach (range(1, 10000) as $b) { } } @endphp", "steps"},
		"blocks in blocks":             {deep("@if(true) ", "", "@endif ", 100), "nested more than 64 levels deep"},
		"parentheses":                  {"{{ " + deep("(", "1", ")", 100) + " }}", "nested more than 64 levels deep"},
		"signs":                        {"{{ " + strings.Repeat("-", 99) + "1 }}", "-- is not expected"},
		"negations":                    {"{{ " + strings.Repeat("!", 100) + "1 }}", "nested more than 64 levels deep"},
		"arrays":                       {"{{ " + deep("[", "1", "]", 100) + " }}", "nested more than 64 levels deep"},
		"patterns":                     {"@foreach($a as " + deep("[", "$x", "]", 100) + ") @endforeach", "nested more than 64 levels deep"},
		"statements":                   {"@php " + deep("if (true) {", "", "}", 100) + " @endphp", "nested more than 64 levels deep"},
		"a long expression":            {"{{ 1" + strings.Repeat("+1", 10000) + " }}", "more than 10000 operands and operators"},
		"a string that doubles":        {"@php $s = 'x'; foreach (range(1, 99) as $i) { $s .= $s; } @endphp", "a string has more than 65536 octets"},
		"a filled string":              {"@php $s = str_repeat('x', 60000); @endphp\n{{ \"$s$s\" }}", "a string has more than 65536 octets"},
		"a repeated string":            {"{{ str_repeat('ab', 9223372036854775807) }}", "a string has more than 65536 octets"},
		"a padded string":              {"{{ str_pad('a', 2000000000) }}", "a string has more than 65536 octets"},
		"a joined string":              {"{{ implode(str_repeat('x', 1000), range(1, 1000)) }}", "a string has more than 65536 octets"},
		"a replaced string":            {"{{ str_replace('a', str_repeat('a', 1000), str_repeat('a', 1000)) }}", "a string has more than 65536 octets"},
		"a format":                     {"{{ sprintf('%99999d', 1) }}", "the format wants too many characters"},
		"a long range":                 {"{{ count(range(0, 9223372036854775806)) }}", "an array has more than 10000 entries"},
		"a range of all ints":          {"{{ count(range(PHP_INT_MIN, PHP_INT_MAX)) }}", "is no step from"},
		"parts of a string":            {"{{ count(explode(',', str_repeat(',', 20000))) }}", "an array has more than 10000 entries"},
		"octets of a string":           {"{{ count(str_split(str_repeat(',', 20000))) }}", "an array has more than 10000 entries"},
		"merged arrays":                {"@php $a = range(1, 9000); $a = array_merge($a, $a); @endphp", "an array has more than 10000 entries"},
		"an array that grows":          {"@php foreach (range(1, 10000) as $i) { $b[] = $i; } @endphp", "steps"},
		"arrays that nest":             {"@php $b = []; foreach (range(1, 100) as $i) { $b = [$b, $b]; } @endphp", "arrays are nested in arrays more than 64 levels deep"},
		"arrays compared":              {"@php $b = []; foreach (range(1, 60) as $i) { $b = [$b, $b]; } @endphp\n{{ $b == [[$b[0][0], $b[0][1]], $b[1]] }}", "steps"},
		"functions in functions":       {"{{ count(array_map(fn($x) => array_map(fn($y) => $x . $y, range(1, 1000)), range(1, 1000))) }}", "steps"},
		"many long strings":            {"@php $s = str_repeat('x', 60000); foreach (range(1, 10000) as $i) { $p[] = $s . $i; } @endphp", "steps"},
		"trims":                        {"@php $s = str_repeat(' ', 60000); foreach (range(1, 10000) as $i) { foreach (range(1, 9) as $j) { $r = trim($s); } } @endphp", "steps"},
		"sums":                         {"@php $s = str_repeat('1', 60000); foreach (range(1, 10000) as $i) { foreach (range(1, 9) as $j) { $r = $s * 2; } } @endphp", "steps"},
		"casts":                        {"@php $s = str_repeat('1', 60000); foreach (range(1, 10000) as $i) { foreach (range(1, 9) as $j) { $r = (float)$s; } } @endphp", "steps"},
		"numbers compared":             {"@php $s = str_repeat('1', 60000); foreach (range(1, 9000) as $i) { $l[] = $s; if ($i > 500) break; }  foreach (range(1, 10000) as $i) { $r = $l == $l; } @endphp", "steps"},
		"a function that calls itself": {"@php $g = fn($h, $x) => array_map($h, [$h], [$x]); $y = array_map($g, [$g], [1]); @endphp", "functions call functions more than 64 levels deep"},
		"searches":                     {"@php $s = str_repeat('x', 60000); foreach (range(1, 10000) as $i) { $t = strpos($s, 'y'); } @endphp", "steps"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := render(c.text, judgeVars())
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
