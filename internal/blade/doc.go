// Package blade interprets the part of Laravel's Blade that hosting panels
// write DNS templates in. Nothing of PHP is run: a template is parsed into a
// tree that knows values, operators and a fixed list of functions, none of
// which reads a file, a clock, the network or the environment. The same
// template and variables always give the same text.
//
// # Template
//
//	{{-- … --}}                            nothing
//	{!! expression !!}                     the value
//	{{ expression }} {{{ expression }}}    the value, with & < > " ' escaped for HTML
//	@{{ … }} @{!! … !!} @@name             the same without the first @
//	@if(e) @elseif(e) @else @endif         also @unless(e), @isset($v), @empty($v)
//	@foreach(e as $v) … @endforeach        also as $k => $v, as [$a, $b]; $loop as in Blade
//	@forelse(e as $v) … @empty … @endforelse
//	@break @continue                       with a condition in parentheses or without
//	@php … @endphp and @php(e)             statements
//	@verbatim … @endverbatim               the text between
//
// A directive's @ stands behind a character that is not of a word, so an
// address is text; @name that Blade does not know is text. A directive of
// Blade that is not in the list is an error, as is a PHP tag.
//
// A directive eats a line end right behind it, and only right behind it; an
// echo keeps it; a comment is as if it had not been there. Text before a
// directive, indentation too, stays.
//
// # Expressions
//
// Values are null, bool, int (64 bits), float, string (octets) and array
// (ordered, copied when assigned). Operators, their precedence and the
// conversions between types are those of PHP 8: + - * / % ** . == != <> ===
// !== < <= > >= <=> && || ! and or xor ?? ?: & | the assignments, ++ and --,
// the casts, isset and empty. Strings in double quotes fill in "$v", "$v[k]",
// "$v->p" and "{$expression}". Statements are expressions, echo, if and foreach
// with braces. Functions are listed with [Functions]; array_map and
// array_filter take one of these by its name, or fn($x) => expression.
//
// Where PHP warns and goes on (an unknown variable, a missing key, an array
// used as a string, "5 apples" as a number) this is an error, as Laravel makes
// it. Not there: classes, references, static, globals, heredocs, includes,
// regular expressions, and functions of their own.
package blade
