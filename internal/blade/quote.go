package blade

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// unquote is the value of what stands between single quotes.
func unquote(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '\\' || s[i+1] == '\'') {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// A filler reads what stands between double quotes.
type filler struct {
	p     *parser
	at    int // offset of the next octet in the template
	end   int // offset of the closing quote
	lit   strings.Builder
	from  int // offset of the literal octets
	parts []expr
}

// fill reads a string in double quotes.
func (p *parser) fill(t token) (expr, error) {
	f := &filler{p: p, at: t.at + 1, end: t.at + 1 + len(t.text), from: t.at}
	for f.at < f.end {
		if err := f.next(); err != nil {
			return nil, err
		}
	}
	if len(f.parts) == 0 {
		return &literal{at(t.at), f.lit.String()}, nil
	}
	f.flush()
	return &filled{at(t.at), f.parts}, nil
}

// flush ends the literal octets.
func (f *filler) flush() {
	if f.lit.Len() > 0 {
		f.parts = append(f.parts, &literal{at(f.from), f.lit.String()})
		f.lit.Reset()
	}
}

// next reads an octet, an escape or an expression.
func (f *filler) next() error {
	rest := f.p.src.text[f.at:f.end]
	switch {
	case rest[0] == '\\' && len(rest) > 1:
		return f.escape(rest)
	case strings.HasPrefix(rest, "${"):
		return f.p.src.errorf(f.at, "${ in a string is not supported; write {$")
	case strings.HasPrefix(rest, "{$"):
		return f.braces()
	case rest[0] == '$' && len(rest) > 1 && isLetter(rest[1]):
		return f.simple()
	}
	f.lit.WriteByte(rest[0])
	f.at++
	return nil
}

// escape reads a backslash and what it stands for. One that stands for nothing
// stays.
func (f *filler) escape(rest string) error {
	const from, to = `nrtvef\$"`, "\n\r\t\v\x1b\f\\$\""
	if i := strings.IndexByte(from, rest[1]); i >= 0 {
		f.lit.WriteByte(to[i])
		f.at += 2
		return nil
	}
	size, base := 0, 8
	digits := rest[1:]
	switch {
	case rest[1] == 'u' && len(rest) > 2 && rest[2] == '{':
		return f.unicode(rest)
	case rest[1] == 'x':
		digits, base = rest[2:], 16
		size = span(digits, "0123456789abcdefABCDEF", 2)
	default:
		size = span(digits, "01234567", 3)
	}
	if size == 0 {
		f.lit.WriteByte('\\')
		f.at++
		return nil
	}
	n, _ := strconv.ParseUint(digits[:size], base, 16)
	f.lit.WriteByte(byte(n))
	f.at += len(rest) - len(digits) + size
	return nil
}

// unicode reads \u{…}.
func (f *filler) unicode(rest string) error {
	end := strings.IndexByte(rest, '}')
	n, err := strconv.ParseUint(rest[len(`\u{`):max(end, len(`\u{`))], 16, 32)
	if err != nil || n > utf8.MaxRune {
		return f.p.src.errorf(f.at, `\u{ is not followed by the number of a character and }`)
	}
	f.lit.WriteRune(rune(n))
	f.at += end + 1
	return nil
}

// span is how many octets, at most limit, a text begins with that are in a set.
func span(s, set string, limit int) int {
	n := 0
	for n < len(s) && n < limit && strings.IndexByte(set, s[n]) >= 0 {
		n++
	}
	return n
}

// braces reads {$…}.
func (f *filler) braces() error {
	f.flush()
	text, depth, end := f.p.src.text, 0, f.at
	for ; end < f.end; end++ {
		switch text[end] {
		case '{':
			depth++
		case '}':
			depth--
		case '\'':
			if end = endOfString(text[:f.end], end); end < 0 {
				return f.p.src.errorf(f.at, "{$ in a string is not closed; write }")
			}
		}
		if depth == 0 {
			break
		}
	}
	if end >= f.end {
		return f.p.src.errorf(f.at, "{$ in a string is not closed; write }")
	}
	x, err := parseExpr(f.p.src, f.at+1, end, f.p.depth+1)
	f.parts = append(f.parts, x)
	f.at, f.from = end+1, end+1
	return err
}

// simple reads $name, $name[key] or $name->property.
func (f *filler) simple() error {
	f.flush()
	text := f.p.src.text[:f.end]
	place := f.at
	f.at = endOfWord(text, place+1)
	var x expr = &variable{at(place), text[place+1 : f.at]}
	rest := text[f.at:]
	switch {
	case strings.HasPrefix(rest, "["):
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			return f.p.src.errorf(f.at, "[ in a string is not closed; write ]")
		}
		k, err := f.simpleKey(f.at+1, f.at+end)
		if err != nil {
			return err
		}
		x = &element{at(f.at), x, k}
		f.at += end + 1
	case strings.HasPrefix(rest, "->") && len(rest) > 2 && isLetter(rest[2]):
		end := endOfWord(text, f.at+2)
		x = &property{at(f.at + 2), x, text[f.at+2 : end]}
		f.at = end
	}
	f.parts = append(f.parts, x)
	f.from = f.at
	return nil
}

// simpleKey reads a key without quotes.
func (f *filler) simpleKey(from, to int) (expr, error) {
	word := f.p.src.text[from:to]
	name := strings.TrimPrefix(strings.TrimPrefix(word, "$"), "-")
	if name == "" || endOfWord(name, 0) < len(name) {
		return nil, f.p.src.errorf(from, "a key in a string has no quotes; write {$name['key']}")
	}
	switch {
	case word[0] == '$':
		return &variable{at(from), name}, nil
	default:
		return &literal{at(from), word}, nil
	}
}
